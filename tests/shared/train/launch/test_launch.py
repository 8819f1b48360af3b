"""GPU leases and the launcher, on a node that is told how many GPUs it has."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from shared.train.launch.devices import available_devices, require_device
from shared.train.launch.leases import lease_directory, leased

SLEEPER = """
import os, pathlib, signal, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(f"{sys.argv[1]}.{os.environ.get('RANK', 0)}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
if "failing" in sys.argv and os.environ["RANK"] == "1":
    raise SystemExit(3)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path, environment):
    """Starts the launcher in the background; ends what is left of it afterwards."""
    (tmp_path / "sleeper.py").write_text(SLEEPER, encoding="utf-8")
    (tmp_path / "report.py").write_text("import os; print(dict(os.environ)); raise SystemExit(7)", encoding="utf-8")
    del environment["CUDA_VISIBLE_DEVICES"]
    environment["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    started = []

    def start(*arguments, num_devices=2, **variables):
        common = ["--num-devices", str(num_devices), "--lease-dir", str(tmp_path / "leases")]
        command = [sys.executable, "-m", "shared.train.launch", *common, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        started.append(subprocess.Popen(command, env=environment | variables, **pipes))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a session of their own: the launcher and its children
        process.communicate()


def wait_for(path):
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.02)
    return path.read_text(encoding="utf-8")


def test_two_launchers_at_once_get_different_gpus_and_a_third_is_told(start, tmp_path):
    for name in ("a", "b"):
        start("--gpus", 1, "--", "sleeper", tmp_path / name)
    assert {wait_for(tmp_path / "a.0"), wait_for(tmp_path / "b.0")} == {"0", "1"}
    third = start("--gpus", 1, "--timeout", 0, "--", "sleeper", tmp_path / "c")
    _, errors = third.communicate()
    assert third.returncode == 2 and not (tmp_path / "c.0").exists()
    assert "1 of the GPUs 0, 1 were asked for and 0 are free" in errors


def test_a_crashed_job_frees_its_lease(start, tmp_path):
    crashed = start("--gpus", 2, "--", "sleeper", tmp_path / "a")
    assert wait_for(tmp_path / "a.0") == "0,1"
    waiting = start("--gpus", 2, "--", "sleeper", tmp_path / "b")
    assert "waiting for 2 free of the GPUs 0, 1" in waiting.stderr.readline()
    os.killpg(crashed.pid, signal.SIGKILL)
    assert wait_for(tmp_path / "b.0") == "0,1"


def test_a_step_whose_launcher_is_killed_ends_too(start, tmp_path):
    launcher = start("--gpus", 2, "--", "sleeper", tmp_path / "a")
    wait_for(tmp_path / "a.0"), wait_for(tmp_path / "a.1")
    launcher.kill()
    start("--gpus", 2, "--", "sleeper", tmp_path / "b")
    assert wait_for(tmp_path / "b.0") == "0,1"


def test_a_gpu_stays_leased_while_the_step_still_runs_without_its_launcher(start, tmp_path):
    launcher = start("--gpus", 2, "--", "sleeper", tmp_path / "a", "stubborn")
    wait_for(tmp_path / "a.0"), wait_for(tmp_path / "a.1")
    launcher.kill()
    launcher.wait()
    assert start("--gpus", 1, "--timeout", 0, "--", "sleeper", tmp_path / "b").wait() == 2


def test_when_one_process_fails_the_others_end_and_its_status_comes_back(start, tmp_path):
    launcher = start("--gpus", 2, "--", "sleeper", tmp_path / "a", "failing")
    assert launcher.wait(timeout=30) == 3


def test_sigterm_reaches_the_step_and_its_status_comes_back(start, tmp_path):
    launcher = start("--gpus", 1, "--", "sleeper", tmp_path / "a")
    wait_for(tmp_path / "a.0")
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=20) == 128 + signal.SIGTERM


def test_the_step_is_told_its_gpus_and_the_number_of_processes(start):
    output, errors = (job := start("--gpus", 1, "--", "report")).communicate()
    assert job.returncode == 7, errors
    assert "'CUDA_VISIBLE_DEVICES': '0'" in output and "'TRAIN_EXPECTED_PROCESSES': '1'" in output


def test_a_cpu_job_sees_no_gpu(start):
    output, _ = start("--", "report", CUDA_VISIBLE_DEVICES="0,1").communicate()
    assert "'CUDA_VISIBLE_DEVICES': ''" in output


def test_a_device_list_that_is_set_already_is_respected(start, tmp_path):
    start("--gpus", 1, "--", "sleeper", tmp_path / "a", num_devices=8, CUDA_VISIBLE_DEVICES="5,GPU-7f/3")
    assert wait_for(tmp_path / "a.0") == "5"
    start("--gpus", 1, "--", "sleeper", tmp_path / "b", num_devices=8, CUDA_VISIBLE_DEVICES="5,GPU-7f/3")
    assert wait_for(tmp_path / "b.0") == "GPU-7f/3"


@pytest.mark.parametrize(
    ("listed", "num_devices", "wanted", "words"),
    [
        (None, 0, 1, "--gpus 1 was given and this machine shows no GPU; use --gpus 0"),
        (None, 2, 3, "--gpus 3 was given and this machine has 2"),
        ("4", 8, 2, "--gpus 2 was given and CUDA_VISIBLE_DEVICES=4 leaves 1"),
        ("", 8, 1, "this machine shows no GPU"),
    ],
)
def test_more_gpus_than_there_are_is_one_sentence(listed, num_devices, wanted, words, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    with pytest.raises(ValueError, match=words):
        available_devices(num_devices, wanted=wanted)


def test_a_launcher_without_gpus_exits_with_one_sentence(start):
    _, errors = (job := start("--gpus", 1, "--", "report", num_devices=0)).communicate()
    assert job.returncode == 2
    assert errors.splitlines() == [
        "error: --gpus 1 was given and this machine shows no GPU; use --gpus 0, or run at scale smoke or cpu"
    ]


def test_leases_are_all_or_nothing(tmp_path):
    with leased(["0", "1", "2"], 2, directory=tmp_path):
        with pytest.raises(TimeoutError), leased(["0", "1", "2"], 2, directory=tmp_path, timeout=0):
            pass
        with leased(["0", "1", "2"], 1, directory=tmp_path, timeout=0) as (devices, _):
            assert devices == ["2"]
    with leased(["0", "1", "2"], 3, directory=tmp_path, timeout=0) as (devices, _):
        assert devices == ["0", "1", "2"]


def test_jobs_that_share_gpus_take_the_emptiest_first(tmp_path):
    shared = {"directory": tmp_path, "sharing": 2, "timeout": 0}
    with leased(["0", "1"], 1, **shared) as (first, _), leased(["0", "1"], 1, **shared) as (second, _):
        assert first == ["0"] and second == ["1"]
        with leased(["0", "1"], 2, **shared) as (both, _):
            assert both == ["0", "1"]  # the processes of one job never share one
            with pytest.raises(TimeoutError), leased(["0", "1"], 1, **shared):
                pass
    with pytest.raises(ValueError, match="3 GPUs were asked for"), leased(["0", "1"], 3, **shared):
        pass


@pytest.mark.parametrize("said", ["0", "-1", "many", "1.5"])
def test_a_number_of_jobs_that_is_none_is_one_sentence(start, said):
    _, errors = (job := start("--gpus", 1, "--", "report", TRAIN_JOBS_PER_GPU=said)).communicate()
    assert job.returncode == 2
    assert errors.splitlines() == [f"error: TRAIN_JOBS_PER_GPU={said} is no number of jobs; set it to 1 or more"]


def test_two_allocations_of_a_cluster_do_not_share_leases(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    alone = lease_directory()
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert lease_directory().name == "17" and lease_directory() != alone


@pytest.mark.parametrize("scale", ["gpu", "paper", "cuda"])
def test_a_scale_that_needs_a_gpu_says_so(scale, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=f"'{scale}' needs a CUDA GPU and this machine shows none; .*records=dvc"):
        require_device(scale)


@pytest.mark.parametrize("scale", ["smoke", "cpu"])
def test_small_scales_run_on_the_cpu(scale):
    assert require_device(scale) == "cpu"


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="unknown scale or device 'tpu'; known are smoke, cpu, gpu"):
        require_device("tpu")


def test_torch_free_modules_stay_so():
    modules = ["run", "config", "launch.__main__", "loop.result", "loop.progress", "sweep.packing", "images.config"]
    code = f"import sys; {'; '.join(f'import shared.train.{name}' for name in modules)}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"

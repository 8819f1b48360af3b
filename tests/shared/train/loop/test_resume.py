"""A run that was killed, interrupted or damaged continues to the same bits."""

import json
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from safetensors.torch import load_file
from toy_training import ToyTask, toy_config, toy_run

from shared.train.checkpoint import save_weights, sole_user
from shared.train.loop.fit import fit
from shared.train.run import Run


def run(folder, environment, settings=None, disturbance=None):
    """The toy training in a process of its own; its exit status."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "toy_training", folder, json.dumps(settings or {}), json.dumps(disturbance or {})]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def fit_in(folder, task=None, run=None, **changes):
    result = fit(task or ToyTask(), run or toy_run(), toy_config(**changes), checkpoint_dir=folder, progress=False)
    return result.model, result


def assert_same(first, second):
    assert repr(first[1].rows) == repr(second[1].rows)
    for a, b in zip(first[0].state_dict().values(), second[0].state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_run_killed_at_random_steps_ends_with_the_bits_of_an_undisturbed_one(tmp_path, environment):
    killed = tmp_path / "killed"
    steps = random.Random(0)
    early, late = steps.randrange(6, 20), steps.randrange(24, 40)
    for disturbance in ({"kill_at": early}, {"kill_while_saving": True}, {"kill_at": late}):
        assert run(killed, environment, disturbance=disturbance).returncode == -signal.SIGKILL
    assert run(killed, environment).returncode == 0
    model, whole = fit_in(tmp_path / "whole")

    report = json.loads((killed / "rank-0.json").read_text(encoding="utf-8"))
    assert json.dumps(report["rows"]) == json.dumps(whole.rows)
    assert (killed / "weights-0.safetensors").read_bytes() == save_weights(model, tmp_path / "weights").read_bytes()
    # neither the run killed while saving nor the last kill lost more than the updates since a checkpoint
    assert report["provenance"]["resumed_at_steps"] == [6 * (early // 6), 6 * (late // 6)]
    assert not list((killed / "checkpoints").glob(".*")), "half-written files stay behind"


def test_every_step_sees_its_own_batch_once_it_resumes(tmp_path):
    whole, first, second = ToyTask(), ToyTask(kill_at=20, signal_number=signal.SIGINT), ToyTask()
    fit_in(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        fit_in(tmp_path / "cut", first)
    fit_in(tmp_path / "cut", second)
    assert [step for step, _, _ in whole.seen] == list(range(40))
    assert len({digest for _, _, digest in whole.seen}) == 40
    assert first.seen + second.seen == whole.seen


@pytest.mark.parametrize("stop_at", [0, 5, 6, 7, 14, 39])
def test_an_interrupt_saves_first_and_the_rerun_ends_with_the_same_bits(stop_at, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    task = ToyTask(kill_at=stop_at, signal_number=signal.SIGTERM)
    whole = fit_in(tmp_path / "whole")
    if stop_at == 39:  # the last update: the run is over before it could leave
        fit_in(tmp_path / "cut", task)
    else:
        with pytest.raises(SystemExit) as leaving:
            fit_in(tmp_path / "cut", task)
        assert leaving.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    resumed = fit_in(tmp_path / "cut")
    assert_same(whole, resumed)
    assert resumed[1].provenance["resumed_at_steps"] == ([] if stop_at == 39 else [stop_at + 1])


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [("sgd", {"momentum": 0.9, "nesterov": 1.0}), ("rmsprop", {"momentum": 0.5}), ("momo", {}), ("adam", {"l2": 0.1})],
)
def test_the_state_of_any_rule_is_resumed(optimizer, settings, tmp_path):
    run = Run(name="one", optimizer=optimizer, settings={"lr": 0.01, **settings}, num_steps=40, batch_size=16)
    with pytest.raises(KeyboardInterrupt):
        fit_in(tmp_path / "cut", ToyTask(kill_at=13, signal_number=signal.SIGINT), run)
    assert_same(fit_in(tmp_path / "cut", run=run), fit_in(tmp_path / "whole", run=run))


def test_a_finished_run_returns_from_its_checkpoint_without_training(tmp_path):
    first = fit_in(tmp_path)
    task = ToyTask()
    second = fit_in(tmp_path, task)
    assert task.seen == []
    assert_same(first, second)
    assert first[1] == second[1]
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000040.safetensors"]
    assert not any("optimizer" in name for name in load_file(tmp_path / "step-000000040.safetensors"))


def cut_short(folder):
    """A run that ended after step 21, with checkpoints at 18 and 21; newest first."""
    with pytest.raises(KeyboardInterrupt):
        fit_in(folder, ToyTask(kill_at=20, signal_number=signal.SIGINT))
    paths = sorted(folder.iterdir(), reverse=True)
    assert [path.name for path in paths] == ["step-000000021.safetensors", "step-000000018.safetensors"]
    return paths


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty])
def test_a_damaged_checkpoint_gives_the_one_before_and_a_warning_that_names_both(damage, tmp_path):
    newest, older = cut_short(tmp_path / "cut")
    damage(newest)
    with pytest.warns(UserWarning, match=f"{newest} is .*; this run continues from {older}"):
        resumed = fit_in(tmp_path / "cut")
    assert resumed[1].provenance["resumed_at_steps"] == [18]
    assert_same(resumed, fit_in(tmp_path / "whole"))


@pytest.mark.parametrize("damage", [truncate, flip, empty])
def test_without_a_usable_checkpoint_the_run_stops_with_a_sentence(damage, tmp_path):
    fit_in(tmp_path)
    (path,) = tmp_path.iterdir()
    damage(path)
    with pytest.raises(ValueError, match=rf"{path} is (truncated or )?damaged \(.*; delete it and run again"):
        fit_in(tmp_path)


def test_a_checkpoint_of_other_settings_is_refused_with_the_keys_named(tmp_path):
    cut_short(tmp_path)
    with pytest.raises(ValueError, match=r"run.batch_size \(there 16, now 32\), run.lr \(there 0.01, now 0.5"):
        fit_in(tmp_path, ToyTask(batch_size=32), toy_run({"lr": 0.5}, batch_size=32))


def test_settings_of_model_and_data_count_as_well(tmp_path):
    for value in (1, 1, 2):
        arguments = {"settings": {"model": {"width": value}}, "checkpoint_dir": tmp_path, "progress": False}
        if value == 1:
            fit(ToyTask(), toy_run(), toy_config(), **arguments)
    with pytest.raises(ValueError, match=r"settings.model.width \(there 1, now 2\)"):
        fit(ToyTask(), toy_run(), toy_config(), **arguments)


def test_how_often_checkpoints_are_written_may_change(tmp_path):
    cut_short(tmp_path / "cut")
    assert_same(fit_in(tmp_path / "cut", checkpoint_every=0), fit_in(tmp_path / "whole"))


def test_another_number_of_threads_is_a_warning(tmp_path):
    cut_short(tmp_path)
    with pytest.warns(UserWarning, match="num_threads 1 there and 2 now"):
        fit(ToyTask(), toy_run(), toy_config(), checkpoint_dir=tmp_path, num_threads=2, progress=False)


def test_a_second_run_in_the_same_folder_waits_for_the_first(tmp_path, capfd):
    task = ToyTask()
    second = threading.Thread(target=fit_in, args=(tmp_path, task))
    with sole_user(tmp_path, on_wait=lambda: None):
        second.start()
        deadline = time.monotonic() + 30
        while f"another run uses {tmp_path}; waiting" not in capfd.readouterr().err:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert task.seen == []
    second.join(timeout=60)
    assert len(task.seen) == 40

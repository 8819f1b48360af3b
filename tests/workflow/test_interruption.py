"""A build that is killed or interrupted anywhere is finished by running it again; finished shards stay."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from toy_repository import ARTIFACTS, edit, environment, run_in


def _listens_to_ctrl_c() -> None:
    """A test run that was put into the background passes on an ignored SIGINT, which no terminal would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def stalled(fresh):
    """A build, with a job per shard, whose second shard never ends, and in which the first shard is finished."""
    fresh = replace(fresh, scale="cpu")
    output = fresh.root / "output.txt"
    command = [sys.executable, "-m", "snakemake", "papers/toy/all", "--config", "scale=cpu", "--cores", "2"]
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            cwd=fresh.root,
            env=environment(TOY_STALLS="curvature=10"),
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=_listens_to_ctrl_c,
        )
    started = fresh.results / "logs" / "descend" / "curvature=10.log"
    for _ in range(3000):
        if "Finished jobid" in output.read_text(encoding="utf-8") and started.exists():
            break
        assert process.poll() is None, output.read_text(encoding="utf-8")
        time.sleep(0.1)
    yield fresh, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def finish(repository, before: int) -> None:
    """Build again: everything is made, and the shard that was finished is not made again."""
    result = repository.snakemake("papers/toy/all")
    assert result.returncode == 0, result.stdout
    assert [f for f in ARTIFACTS if not (repository.results / f).is_file()] == []
    assert repository.record(1).stat().st_mtime_ns == before
    assert result.stdout.count("rule toy_descend:") == 1
    assert [p.name for p in repository.record(1).parent.iterdir() if p.name.startswith(".")] == []


def test_a_killed_build_is_finished_after_the_unlock_that_snakemake_prints(stalled):
    repository, process = stalled
    before = repository.record(1).stat().st_mtime_ns
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not repository.record(10).exists()
    locked = repository.snakemake("papers/toy/all")
    assert locked.returncode != 0 and "--unlock" in locked.stdout, locked.stdout
    assert repository.snakemake("--unlock").returncode == 0
    finish(repository, before)


def test_an_interrupted_build_is_finished_by_running_it_again(stalled):
    repository, process = stalled
    before = repository.record(1).stat().st_mtime_ns
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole foreground group
    assert process.wait(timeout=300) != 0
    assert not repository.record(10).exists()
    finish(repository, before)


def test_a_step_that_fails_in_a_rebuild_is_asked_for_again_by_every_target(built):
    """Its record is gone, and the summary of the build before is still there."""
    edit(
        built.paper / "descend.py",
        "    losses = loss_path(",
        "    assert shard != 'curvature=10'\n    losses = loss_path(",
    )
    assert built.snakemake("papers/toy/all").returncode != 0
    assert not built.record(10).exists() and (built.results / "summary.md").exists()
    for target in ("papers/toy/all", "papers/toy/diff", "claims", "all"):
        again = built.snakemake(target)
        assert again.returncode != 0 and "Nothing to be done" not in again.stdout, again.stdout
    status = run_in(built.root, "-m", "shared.artifacts.status", "toy", "--scale", "smoke")
    assert "descend: not built yet" in status.stdout, status.stdout
    edit(built.paper / "descend.py", "    assert shard != 'curvature=10'\n", "")
    assert built.snakemake("papers/toy/all").returncode == 0


def test_tables_that_fail_leave_those_of_the_build_before_and_are_asked_for_again(built):
    table = built.results / "tables" / "tab_final.csv"
    before = table.read_bytes()
    edit(built.paper / "tables.py", "    return reported.beside(", "    1 / 0\n    return reported.beside(")
    for _ in range(2):
        result = built.snakemake("papers/toy/all")
        assert result.returncode != 0 and table.read_bytes() == before, result.stdout
        assert "papers/toy/tables.py, tab_final" in result.stdout and "Traceback" not in result.stdout
    assert "1 / 0" in (built.results / "logs" / "tables.traceback").read_text(encoding="utf-8")

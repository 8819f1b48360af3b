"""A run that goes on from a checkpoint has cost what all of its processes spent."""

import pytest

from shared.artifacts.provenance import Provenance
from shared.base import spent
from shared.train.checkpoint import read_checkpoint, save_tree, write_checkpoint


@pytest.fixture
def process(monkeypatch):
    """`process()` begins another one, whose clocks run from 0; `process.spend(cpu, wall)` lets time pass."""

    class Process:
        def __call__(self):
            self.cpu = self.wall = 0.0
            monkeypatch.setattr(spent, "_begun", {})
            monkeypatch.setattr(spent, "_before", {})

        def spend(self, cpu, wall):
            self.cpu, self.wall = self.cpu + cpu, self.wall + wall

    found = Process()
    monkeypatch.setattr("time.process_time", lambda: found.cpu)
    monkeypatch.setattr("time.perf_counter", lambda: found.wall)
    found()
    return found


def test_three_processes_add_up_and_lost_work_counts_once(process, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    process.spend(5, 6)  # imports
    assert read_checkpoint(one) is None
    process.spend(10, 20)
    write_checkpoint(one, 1, {})
    process.spend(3, 3)  # lost: killed before the next checkpoint
    process()
    process.spend(1, 1)
    provenance = Provenance()
    assert read_checkpoint(one)[1] == {}
    process.spend(10, 20)
    write_checkpoint(one, 2, {})
    assert read_checkpoint(other) is None
    process.spend(100, 200)
    write_checkpoint(other, 1, {})
    assert {name: provenance.finish()[name] for name in ("cpu_seconds", "wall_seconds")} == {
        "cpu_seconds": 10 + 1 + 10 + 100,
        "wall_seconds": 20 + 20 + 200,
    }
    process()
    for folder in (one, other, one):  # both are finished: read again, counted once
        read_checkpoint(folder)
    assert spent.spent_before() == spent.Spent(20 + 100, 40 + 200)


def test_what_this_process_has_done_itself_is_not_added_again(process, tmp_path):
    process.spend(7, 7)
    write_checkpoint(tmp_path, 1, {})
    process.spend(7, 7)
    read_checkpoint(tmp_path)
    assert spent.spent_before() == spent.Spent()


def test_a_checkpoint_without_an_account_costs_nothing(process, tmp_path):
    process.spend(7, 7)
    save_tree({"step": 1}, tmp_path / "step-000000001.safetensors")
    assert read_checkpoint(tmp_path)[1] == {"step": 1} and spent.spent_before() == spent.Spent()

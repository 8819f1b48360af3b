"""Several real processes train as one."""

import json
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from toy_training import ToyTask, toy_config, toy_run

from shared.train.launch.devices import EXPECTED_PROCESSES
from shared.train.loop.fit import fit
from shared.train.run import Run


def launch(arguments, environment):
    command = [sys.executable, "-m", "shared.train.launch", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)


def test_two_processes_give_the_one_process_result_at_the_same_global_batch(tmp_path, environment):
    settings = {"grad_accumulation_steps": 2}
    command = ["toy_training", str(tmp_path), json.dumps(settings), json.dumps({"dropout": 0.0})]
    done = launch(["--processes", "2", "--", *command], environment)
    assert done.returncode == 0, done.stderr
    task = ToyTask(dropout=0.0)
    whole = fit(task, toy_run(), toy_config(**settings), progress=False)

    reports = [json.loads((tmp_path / f"rank-{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    assert reports[0]["pid"] != reports[1]["pid"]
    assert [report["provenance"]["num_processes"] for report in reports] == [2, 2]
    assert [[first for _, first, _ in report["seen"]] for report in reports] == [[0, 4] * 40, [8, 12] * 40]
    assert [first for _, first, _ in task.seen] == [0, 8] * 40

    assert reports[0]["rows"] == reports[1]["rows"]
    for ours, theirs in zip(whole.rows, reports[0]["rows"], strict=True):
        # the same sum in float32, in another order, amplified over 40 steps
        assert theirs.pop("phase") == ours.pop("phase")
        assert theirs == pytest.approx(ours, rel=1e-4, abs=1e-6)
    weights = [load_file(tmp_path / f"weights-{rank}.safetensors") for rank in range(2)]
    for name, tensor in whole.model.state_dict().items():
        assert weights[0][f"model/{name}"].equal(weights[1][f"model/{name}"])
        assert weights[0][f"model/{name}"].allclose(tensor, rtol=1e-4, atol=1e-5)


def test_a_step_from_the_loss_takes_the_mean_loss_of_all_processes(tmp_path, environment):
    """Each process sees other rows; with its own loss in the step size the processes would come apart."""
    run = {"name": "ngn", "optimizer": "ngn_m", "settings": {"lr": 3.0}, "num_steps": 12, "batch_size": 16}
    disturbance = {"dropout": 0.0, "run": run}
    command = ["toy_training", str(tmp_path), json.dumps({"log_every": 1}), json.dumps(disturbance)]
    done = launch(["--processes", "2", "--", *command], environment)
    assert done.returncode == 0, done.stderr
    whole = fit(ToyTask(dropout=0.0), Run(**run), toy_config(log_every=1), progress=False)
    rows = [json.loads((tmp_path / f"rank-{rank}.json").read_text(encoding="utf-8"))["rows"] for rank in range(2)]
    assert rows[0] == rows[1]
    steps = [[row["effective_lr"] for row in found if row["phase"] == "train"] for found in (whole.rows, rows[0])]
    assert len(steps[0]) == 12 and steps[1] == pytest.approx(steps[0], rel=1e-4)
    weights = [load_file(tmp_path / f"weights-{rank}.safetensors") for rank in range(2)]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("told_by", ["argument", "environment"])
def test_another_number_of_processes_than_expected_stops_with_a_sentence(told_by, monkeypatch):
    if told_by == "environment":
        monkeypatch.setenv(EXPECTED_PROCESSES, "2")
    expected = {"expected_processes": 2} if told_by == "argument" else {}
    task = ToyTask()
    with pytest.raises(ValueError, match=r"expects 2 processes and 1 joined; start it with python -m shared\.train\.l"):
        fit(task, toy_run(), toy_config(), **expected, progress=False)
    assert task.seen == []

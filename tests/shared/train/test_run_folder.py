"""Checkpoints of a run lie where only the same settings look."""

from shared.train.checkpoint import run_folder


def test_the_folder_is_a_function_of_the_settings(tmp_path):
    one = run_folder(tmp_path, "run", {"lr": 0.1, "model": {"d": 4}})
    assert one == run_folder(tmp_path, "run", {"model": {"d": 4}, "lr": 0.1})
    assert one.parent == tmp_path and one.name.startswith("run-")
    assert one != run_folder(tmp_path, "run", {"lr": 0.2, "model": {"d": 4}})
    assert one != run_folder(tmp_path, "other", {"lr": 0.1, "model": {"d": 4}})

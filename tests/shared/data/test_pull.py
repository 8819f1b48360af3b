"""`dvc pull` in a checkout and in an archive; where it fails, its own words and what to do."""

import subprocess

import pytest

from shared.data import pull


@pytest.fixture
def said(monkeypatch):
    """DVC that fails."""
    result = subprocess.CompletedProcess([], 255, "", "ERROR: you are not inside of a DVC repository\n")
    monkeypatch.setattr(pull.subprocess, "run", lambda *_, **__: result)


def test_what_dvc_said_and_what_to_do_are_told(tmp_path, said):
    (tmp_path / ".git").mkdir()
    with pytest.raises(ValueError, match=r"dvc pull failed: ERROR: you are not inside of a DVC .*; if an object in"):
        pull.pull(tmp_path)
    assert not (tmp_path / ".dvc").exists()


def test_an_archive_without_git_is_told_to_dvc_once(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    monkeypatch.setattr(pull.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))
    for _ in range(2):
        pull.pull(tmp_path)
    assert (tmp_path / ".dvc" / "config.local").read_text(encoding="utf-8") == "[core]\n    no_scm = true\n"

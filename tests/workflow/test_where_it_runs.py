"""A build does not depend on where and how Snakemake is started: folder, interpreter, cache, a repository around it."""

import os
import subprocess
import sys

from toy_repository import environment, run_in

from shared.artifacts.provenance import git_state

DRY_RUN = ("-m", "snakemake", "-n", "papers/toy/all", "--config", "scale=smoke")


def test_inside_a_papers_folder_it_says_where_to_run(fresh):
    result = run_in(fresh.paper, "-m", "snakemake", "-n")
    assert result.returncode != 0
    assert "run Snakemake at the top of the checkout: cd ../.. && snakemake papers/toy/all" in result.stdout
    assert "Traceback" not in result.stdout and "KeyError" not in result.stdout


def test_jobs_run_the_interpreter_that_runs_snakemake(fresh):
    """As when it is called by its path, without its environment active."""
    record = fresh.record(1).relative_to(fresh.root).as_posix()
    command = [sys.executable, "-m", "snakemake", record, "--config", "scale=smoke", "--cores", "1"]
    without = environment(PATH=os.pathsep.join(("/usr/bin", "/bin")))
    result = subprocess.run(command, cwd=fresh.root, env=without, capture_output=True, encoding="utf-8")
    assert result.returncode == 0 and fresh.record(1).is_file(), result.stderr


def test_a_plan_writes_into_the_named_cache_and_not_into_the_checkout(fresh, tmp_path):
    result = run_in(fresh.root, *DRY_RUN, ARTIFACTS_CACHE=str(tmp_path / "elsewhere"))
    assert result.returncode == 0, result.stdout
    assert (tmp_path / "elsewhere" / "grimp").is_dir() and not (fresh.root / ".cache").exists()


def test_in_a_foreign_repository_no_revision_is_named(tmp_path):
    """An unpacked archive may lie inside one; its HEAD says nothing about this code."""
    alone = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    alone["GIT_COMMITTER_EMAIL"] = "a@b"
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "theirs")):
        subprocess.run(["git", *arguments], cwd=tmp_path, env=alone, check=True)
    inner = tmp_path / "archive"
    inner.mkdir()
    assert git_state(inner) == {"revision": None, "dirty": None}
    assert git_state(tmp_path)["revision"]

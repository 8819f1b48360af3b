"""Problems per minute: a shared, warm environment in a box against a fresh environment for every problem.

    python -m benchmarks.gitchameleon_harness --problems 4

The plain way makes a venv with the standard library, installs the problem's wheel with pip and runs the hidden tests
with unittest, one problem after another. Both use the built-in libraries, so no network is timed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.builtin import write_wheels
from papers.gitchameleon.harness import Harness, Settings
from papers.gitchameleon.installers import Index
from papers.gitchameleon.problems import Problem
from papers.gitchameleon.solutions import Solution
from papers.gitchameleon.store import EnvStore
from papers.gitchameleon.suites import load_suite
from papers.gitchameleon.verdict_cache import VerdictCache
from shared.sandbox.box import Limits, choose_level


def plain_run(problem: Problem, wheels: Path, folder: Path) -> bool:
    """Whether the reference passes in an environment that was made for it alone."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = str(folder / "env" / "bin" / "python")
    pin = f"{problem.library}=={problem.version}"
    install = [python, "-m", "pip", "install", "-q", "--no-index", "--find-links", str(wheels), pin]
    subprocess.run(install, check=True, capture_output=True)
    (folder / f"{problem.module}.py").write_text(problem.answer)
    (folder / "test_sample.py").write_text(problem.hidden_test)
    return subprocess.run([python, "-m", "unittest", "test_sample"], cwd=folder, capture_output=True).returncode == 0


def main(
    problems: Annotated[int, typer.Option(help="How many, of the built-in suite.")] = 4,
    jobs: Annotated[int, typer.Option(help="Executions at a time, of the harness.")] = 2,
) -> None:
    """Print seconds per problem of both, and their ratio."""
    chosen = load_suite("builtin")[:problems]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        wheels = write_wheels(root / "wheels")
        start = time.perf_counter()
        for problem in chosen:
            folder = root / f"plain-{problem.example_id}"
            folder.mkdir()
            assert plain_run(problem, wheels, folder)
        plain = (time.perf_counter() - start) / len(chosen)
        store = EnvStore(root / "envs", Index(wheelhouse=wheels))
        settings = Settings(choose_level(unsafe=True), Limits(wall_seconds=60), jobs, modes=("hidden",))
        answers = [Solution(p.example_id, p.answer, p.answer) for p in chosen]
        seconds = {}
        cache = VerdictCache(None)
        for name, kept in (("cold", VerdictCache(None)), ("warm", cache), ("unchanged", cache)):
            start = time.perf_counter()
            rows = list(Harness(store, kept, settings).evaluate(chosen, answers))
            seconds[name] = (time.perf_counter() - start) / len(chosen)
            assert all(row["hidden"] == "pass" for row in rows)
    print(f"fresh environment for each problem: {plain:.2f} s a problem, {60 / plain:.0f} a minute")
    for name, value in seconds.items():
        print(f"harness, {name}: {value:.3f} s a problem, {60 / value:.0f} a minute, {plain / value:.1f}x")


if __name__ == "__main__":
    typer.run(main)

"""Problems per minute: shared environments and a box against a fresh environment for every problem, one by one.

    python -m benchmarks.gitchameleon_harness --problems 4
    python -m benchmarks.gitchameleon_harness --data benchmark --ids 27,29,31,33-35,69,71

The plain ways make an environment for each problem, with the standard library's venv and pip or with uv, install the
problem's pins and the base packages, and run the tests. The built-in suite needs no network, and its hidden tests are
run; of the benchmark the visible tests are run. uv's cache is warm for all ways, pip's own too after the first problem.
"""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.data.problems import Problem, load_benchmark, select
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.environments.installers import Index
from papers.gitchameleon.environments.interpreters import find_interpreter, find_uv
from papers.gitchameleon.environments.spec import CUTOFF, EnvSpec, spec_of
from papers.gitchameleon.environments.store import EnvStore
from papers.gitchameleon.harness.harness import Harness, Settings
from papers.gitchameleon.harness.verdict_cache import VerdictCache
from papers.gitchameleon.suites.loader import load_suite
from papers.gitchameleon.suites.wheels import write_wheels
from shared.sandbox.box import Limits
from shared.sandbox.levels import choose_level


def commands(spec: EnvSpec, env: Path, wheels: Path | None, tool: str) -> list[list[str]]:
    """What makes one environment: the pins in one resolve, then the base packages over it."""
    interpreter, python = str(find_interpreter(spec.python).path), str(env / "bin" / "python")
    if tool == "pip":
        made = [interpreter, "-m", "venv", str(env)]
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    else:
        made = [find_uv(), "venv", "-q", "--no-config", "--no-project", "--python", interpreter, str(env)]
        install = [find_uv(), "pip", "install", "-q", "--no-config", "--python", python]
        install += [] if wheels else ["--exclude-newer", CUTOFF]
    install += ["--no-index", "--find-links", str(wheels)] if wheels else []
    sets = [spec.requirements, *([f"{name}=={version}"] for name, version in spec.base)]
    return [made, *([*install, *requirements] for requirements in sets)]


def plain_run(problem: Problem, folder: Path, wheels: Path | None, tool: str, mode: str) -> bool:
    """Whether the reference passes in an environment that was made for it alone."""
    folder.mkdir()
    for command in commands(spec_of(problem), folder / "env", wheels, tool):
        subprocess.run(command, check=True, capture_output=True)
    (folder / f"{problem.module}.py").write_text(problem.answer, encoding="utf-8")
    (folder / "test_sample.py").write_text(problem.hidden_test or "", encoding="utf-8")
    (folder / "program.py").write_text(f"{problem.answer}\n{problem.test}", encoding="utf-8")
    arguments = ["-m", "unittest", "test_sample"] if mode == "hidden" else ["program.py"]
    run = subprocess.run([str(folder / "env" / "bin" / "python"), *arguments], cwd=folder, capture_output=True)
    return run.returncode == 0


def plain_seconds(chosen: list[Problem], root: Path, wheels: Path | None, tool: str, mode: str) -> float:
    """Seconds a problem of one plain way."""
    start = time.perf_counter()
    for problem in chosen:
        if not plain_run(problem, root / f"{tool}-{problem.example_id}", wheels, tool, mode):
            raise ValueError(f"the reference of problem {problem.example_id} fails the plain way ({tool})")
    return (time.perf_counter() - start) / len(chosen)


def harness_seconds(chosen: list[Problem], root: Path, wheels: Path | None, mode: str, jobs: int) -> dict[str, float]:
    """Seconds a problem of the harness: without environments, with them, and where nothing changed."""
    store, cache = EnvStore(root / "envs", Index(wheelhouse=wheels, cutoff=CUTOFF)), VerdictCache(None)
    settings = Settings(choose_level(unsafe=True), Limits(wall_seconds=240, memory_mb=8192), jobs, modes=(mode,))
    answers = [Solution(p.example_id, p.answer, p.answer) for p in chosen]
    seconds = {}
    for name, kept in (("cold", VerdictCache(None)), ("warm", cache), ("unchanged", cache)):
        start = time.perf_counter()
        rows = list(Harness(store, kept, settings).evaluate(chosen, answers))
        seconds[name] = (time.perf_counter() - start) / len(chosen)
        failed = [row["example_id"] for row in rows if row[mode] != "pass"]
        if failed:
            raise ValueError(f"the references of problems {failed} fail in the harness")
    return seconds


def main(
    data: Annotated[str, typer.Option(help="builtin, or benchmark.")] = "builtin",
    problems: Annotated[int, typer.Option(help="How many, of those chosen.")] = 4,
    ids: Annotated[str, typer.Option(help="Only these, for example 0,5-9.")] = "",
    jobs: Annotated[int, typer.Option(help="Executions at a time, of the harness.")] = 2,
    tools: Annotated[list[str], typer.Option(help="Plain ways: pip, uv.")] = ("pip", "uv"),
) -> None:
    """Print seconds per problem of each way, and their ratios."""
    ours = data != "benchmark"
    chosen = select(load_suite(data) if ours else load_benchmark(), ids)
    chosen, mode = chosen[:problems] if not ids else chosen, "hidden" if ours else "visible"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        wheels = write_wheels(root / "wheels") if ours else None
        plain = {tool: plain_seconds(chosen, root, wheels, tool, mode) for tool in tools}
        seconds = harness_seconds(chosen, root, wheels, mode, jobs)
    environments = len({spec_of(p) for p in chosen})
    print(f"{len(chosen)} problems in {environments} environments, {mode} tests, {jobs} jobs")
    for tool, value in plain.items():
        print(f"fresh environment for each problem, {tool}: {value:.2f} s a problem, {60 / value:.0f} a minute")
    for name, value in seconds.items():
        ratios = ", ".join(f"{plain[tool] / value:.1f}x {tool}" for tool in plain)
        print(f"harness, {name}: {value:.3f} s a problem, {60 / value:.0f} a minute, {ratios}")


if __name__ == "__main__":
    typer.run(main)

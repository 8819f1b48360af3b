"""What all command lines of this paper share: their options, their exit statuses, how data and boxes are chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.environments import CUTOFF
from papers.gitchameleon.harness import MODES, Harness, Settings
from papers.gitchameleon.installers import Index
from papers.gitchameleon.interpreters import parse_map
from papers.gitchameleon.problems import Problem, load_benchmark, read_problems, select, with_hidden_tests
from papers.gitchameleon.store import EnvStore
from papers.gitchameleon.suites import load_suite
from papers.gitchameleon.verdict_cache import VerdictCache
from shared.base.cache import cache_dir
from shared.base.errors import in_one_sentence
from shared.sandbox.box import Limits
from shared.sandbox.levels import choose_level

BAD_INPUT, ENVIRONMENT_PROBLEM, NO_SANDBOX = 2, 3, 4  # exit statuses


class NoSandbox(ValueError):
    """No box can be made and none was waived."""


def exits(command: Callable) -> Callable:
    """Decorates a command line: what a user can cause ends in one sentence and a status of its own."""
    return in_one_sentence(command, lambda error: NO_SANDBOX if isinstance(error, NoSandbox) else BAD_INPUT)


Scale = Annotated[str, typer.Option(help="Scale in config.yaml.")]
Shard = Annotated[str, typer.Option(help="Name of the suite.")]
Executed = Annotated[Path, typer.Option(help="Record of the step execute: environments are built by then.")]
Record = Annotated[Path, typer.Option("--out", help="Record to write.")]
Data = Annotated[
    str, typer.Option("--data", help="benchmark (the 328 problems), mini, builtin, or a file of problems.")
]
HiddenTests = Annotated[Path | None, typer.Option(help="Folder with test_sample_<id>.py of the authors' repository.")]
Ids = Annotated[str, typer.Option("--problems", "--ids", help="Only these, for example 0,5-9.")]
Library = Annotated[list[str] | None, typer.Option(help="Only problems of this library; may be repeated.")]
Jobs = Annotated[int, typer.Option("--jobs", "--workers", "-j", help="Executions at a time.")]
Pythons = Annotated[list[str] | None, typer.Option("--python", help="An interpreter, 3.7=/path; may be repeated.")]
EnvRoot = Annotated[Path | None, typer.Option("--envs", help="Folder of environments; by default in the cache.")]
Wheelhouse = Annotated[Path | None, typer.Option(help="Folder of wheels: then no network is used.")]
Cutoff = Annotated[str, typer.Option(help="Only uploads before this day count; empty: today's index.")]
Builds = Annotated[bool, typer.Option("--allow-builds", help="Build source distributions: runs their code unboxed.")]
Unsafe = Annotated[bool, typer.Option("--unsafe", "--allow-unsandboxed", help="Run even if no box can be made.")]
Level = Annotated[str, typer.Option("--sandbox", help="auto, bwrap, namespaces or rlimit.")]


def problems_of(data: str, hidden_tests: Path | None, ids: str, libraries: list[str] | None) -> list[Problem]:
    """The problems that a command is about."""
    if data == "benchmark":
        problems = load_benchmark()
    else:
        problems = load_suite(data) if data in ("mini", "builtin") else read_problems(Path(data))
    problems = select(problems, ids, libraries or [])
    return problems if hidden_tests is None else with_hidden_tests(problems, hidden_tests)


def store_of(
    data: str,
    envs: Path | None,
    wheelhouse: Path | None,
    cutoff: str,
    builds: bool,
    pythons: list[str] | None,
    install_minutes: float = 15.0,
    **more,
) -> EnvStore:
    """The environments that a command uses; the built-in libraries come from wheels written here."""
    if data == "builtin":
        from papers.gitchameleon.builtin import write_wheels

        wheelhouse = write_wheels(cache_dir() / "gitchameleon" / "builtin-wheels")
    if wheelhouse is not None and not wheelhouse.is_dir():
        raise ValueError(f"no folder of wheels at {wheelhouse}; make one with 'pip download -d {wheelhouse} ...'")
    if install_minutes <= 0:
        raise ValueError(f"--install-minutes has to be positive; got {install_minutes:g}")
    index = Index(wheelhouse and wheelhouse.absolute(), cutoff or None, builds, timeout_seconds=60 * install_minutes)
    return EnvStore(envs, index, parse_map(pythons), **more)


def level_of(wanted: str, unsafe: bool) -> str:
    """The box's level; NoSandbox if there is none."""
    try:
        return choose_level(wanted, unsafe)
    except ValueError as error:
        raise NoSandbox(str(error)) from None


def harness_of(store: EnvStore, level: str, limits: Limits, jobs: int, tests: str, cutoff: str, cache: bool) -> Harness:
    """A harness as the options say."""
    if jobs < 1:
        raise ValueError(f"--jobs has to be at least 1; got {jobs}")
    if tests not in ("both", *MODES):
        raise ValueError(f"--tests is both, hidden or visible; got '{tests}'")
    settings = Settings(
        level=level,
        limits=limits,
        jobs=jobs,
        modes=MODES if tests == "both" else (tests,),
        cutoff=cutoff or None,
    )
    path = cache_dir() / "gitchameleon" / "verdicts.jsonl" if cache else None
    return Harness(store, VerdictCache(path), settings)


DEFAULT_CUTOFF = CUTOFF

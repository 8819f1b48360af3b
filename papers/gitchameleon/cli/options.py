"""What all command lines of this paper share: their options, their exit statuses, how data and boxes are chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.data.problems import Problem, read_problems, select, with_hidden_tests
from papers.gitchameleon.harness.choosing import NoSandbox
from papers.gitchameleon.suites.loader import SUITES, load_problems
from shared.base.errors import in_one_sentence

BAD_INPUT, ENVIRONMENT_PROBLEM, NO_SANDBOX = 2, 3, 4  # exit statuses


def exits(command: Callable) -> Callable:
    """Decorates a command line: what a user can cause ends in one sentence and a status of its own."""
    return in_one_sentence(command, lambda error: NO_SANDBOX if isinstance(error, NoSandbox) else BAD_INPUT)


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


RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Build environments again that failed before.")]


def any_run(summary: dict) -> bool:
    """Whether anything was executed; answers that are missing are no reason to doubt it."""
    parts = [part for part in (summary["hidden"], summary["visible"]) if part is not None]
    return any(part["num_run"] for part in parts) or not summary["unavailable"]


def problems_of(data: str, hidden_tests: Path | None, ids: str, libraries: list[str] | None) -> list[Problem]:
    """The problems that a command is about."""
    problems = load_problems(data) if data in ("benchmark", *SUITES) else read_problems(Path(data))
    problems = select(problems, ids, libraries or [])
    return problems if hidden_tests is None else with_hidden_tests(problems, hidden_tests)

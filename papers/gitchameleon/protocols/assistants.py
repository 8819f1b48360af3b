"""Coding assistants work on files: an input file per problem, and the completed file of the same name as the answer.

An input is lines of comment (statement if it is shown, library, version, extra pins) and then the stub.
"""

from collections.abc import Iterable
from pathlib import Path

from papers.gitchameleon.data.problems import Problem
from shared.base.files import write_text


def input_text(problem: Problem, show_statement: bool = True) -> str:
    """What an assistant finds in its file."""
    pins = f"{problem.additional_dependencies} {problem.extra_dependencies}".split()
    comments = problem.problem.splitlines() if show_statement else []
    comments += [f"library: {problem.library}", f"version: {problem.version}", f"python: {problem.python_version}"]
    comments += [f"extra dependencies: {' '.join(pins)}"] if pins else []
    return "".join(f"# {line}\n" for line in comments) + problem.starting_code


def write_inputs(folder: Path, problems: Iterable[Problem], show_statement: bool = True) -> list[Path]:
    """One file per problem, named after the module that its hidden test imports."""
    paths = []
    for problem in problems:
        paths.append(Path(folder) / f"{problem.module}.py")
        write_text(paths[-1], input_text(problem, show_statement))
    return paths


def read_outputs(folder: Path, problems: Iterable[Problem], show_statement: bool = True) -> list[dict]:
    """Rows of a solution file. A file that is missing or untouched is no answer, so that it has no row.

    Raises:
        ValueError: the folder has no completed file at all.
    """
    rows = []
    for problem in problems:
        path = Path(folder) / f"{problem.module}.py"
        text = path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else ""
        if text.strip() and text.strip() != input_text(problem, show_statement).strip():
            rows.append({"example_id": problem.example_id, "answer": text})
    if not rows:
        raise ValueError(
            f"{folder} has no completed file such as sample_0.py; write the inputs and complete them there"
        )
    return rows

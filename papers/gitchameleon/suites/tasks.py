"""Tasks of our own suites: one statement and stub, two versions of a library, an idiom for each, tests for both.

A suite is a folder: `suite.yaml` has the first id and the order of its tasks, `<task>.yaml` one task. A task gives
two problems, one per version.
"""

import platform
import textwrap
from pathlib import Path

from papers.gitchameleon.data.problems import PYTHONS, Problem
from shared.base.settings import StrictModel, load_yaml, validate

FOLDER = Path(__file__).parent

_MODULE = '''"""Hidden tests."""
import unittest

import {module} as sample


class Test{name}(unittest.TestCase):
{methods}'''


class Side(StrictModel):
    """One version of the library in a task."""

    version: str
    released: str  # year and month
    pins: str = ""  # what else is pinned: the library's own dependencies
    answer: str  # the idiom: what completes the stub, not indented
    expect_fail: list[str] = []  # exceptions of which one ends the other idiom's hidden tests; empty: it passes too
    api_calls: list[str] = []
    doc: str  # documentation of this version, in our words


class Task(StrictModel):
    """A statement that two versions of a library answer differently."""

    library: str
    change: str  # type_of_change
    entity: str  # class or function that changed
    statement: str
    page: str = ""  # address of the documentation
    stub: str
    visible: str
    hidden: str  # methods of a unittest class; the candidate's module is `sample`
    old: Side
    new: Side


class Index(StrictModel):
    """Which tasks a suite has."""

    first_id: int
    tasks: list[str]  # names of files; the order gives the problems their ids, two to a task


def read_suite(folder: Path) -> list[Problem]:
    """Problems of a suite's folder: for each task one at the old and one at the new version.

    Raises:
        ValueError: a file that is missing, not named in suite.yaml, or has unknown or missing keys; names it.
    """
    path = folder / "suite.yaml"
    index = validate(Index, load_yaml(path), str(path))
    unlisted = sorted({p.stem for p in folder.glob("*.yaml")} - {path.stem, *index.tasks})
    if unlisted:
        raise ValueError(f"{path} does not name the task '{unlisted[0]}' of its folder; put it last")
    problems: list[Problem] = []
    for name in index.tasks:
        task = read_task(folder / f"{name}.yaml")
        for side in (task.old, task.new):
            problems.append(_problem(index.first_id + len(problems), name, task, side))
    return problems


def read_task(path: Path) -> Task:
    """One task of a suite."""
    return validate(Task, load_yaml(path), str(path))


def _problem(id: int, name: str, task: Task, side: Side) -> Problem:
    class_name = "".join(part.capitalize() for part in name.split("-"))
    hidden = _MODULE.format(module=f"sample_{id}", name=class_name, methods=textwrap.indent(task.hidden, "    "))
    return Problem(
        example_id=id,
        python_version=own_python(),
        library=task.library,
        version=side.version,
        problem=task.statement,
        starting_code=task.stub,
        solution=textwrap.indent(side.answer, "    "),
        test=task.visible,
        type_of_change=task.change,
        name_of_class_or_func=task.entity,
        additional_dependencies=side.pins,
        api_calls=side.api_calls,
        release_date=side.released,
        docs=[f"{task.page or 'builtin:' + task.library}#{side.version}/{name}"],
        hidden_test=hidden,
        runner="unittest",
        task=name,
        expect_fail=side.expect_fail,
        docs_text=[f"{task.library} {side.version}. {side.doc}"],  # a page says whose it is
    )


def own_python() -> str:
    """x.y of this process: our suites run on the project's own interpreter."""
    version = ".".join(platform.python_version_tuple()[:2])
    return version if version in PYTHONS else PYTHONS[-1]

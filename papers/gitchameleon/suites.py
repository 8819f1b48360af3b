"""Our own suites in the data set's schema: `builtin` needs no network, `mini` needs small wheels from PyPI."""

import functools
from collections.abc import Sequence

from papers.gitchameleon import tasks_builtin, tasks_mini
from papers.gitchameleon.problems import Problem

SUITES = {"builtin": (tasks_builtin.TASKS, 1000), "mini": (tasks_mini.TASKS, 2000)}  # tasks, first id
SMOKE_TASKS = ("join-with-bar", "first-place", "cheapest", "middle-price")  # two libraries, two tasks each


@functools.cache
def load_suite(name: str) -> list[Problem]:
    """Problems of a suite: for each task one at the old and one at the new version.

    Raises:
        ValueError: no such suite.
    """
    if name not in SUITES:
        raise ValueError(f"unknown suite '{name}'; there are: {', '.join(SUITES)}")
    tasks, first = SUITES[name]
    return [problem for index, task in enumerate(tasks) for problem in task.problems(first + 2 * index)]


def sibling(problem: Problem, problems: Sequence[Problem]) -> Problem:
    """The same task at the other version."""
    others = [p for p in problems if p.task == problem.task and p.example_id != problem.example_id]
    if len(others) != 1:
        raise ValueError(f"task '{problem.task}' has {len(others)} other versions here; expected one")
    return others[0]


def is_strict(problem: Problem, problems: Sequence[Problem]) -> bool:
    """Whether neither version's idiom passes at the other."""
    return bool(problem.expect_fail) and bool(sibling(problem, problems).expect_fail)

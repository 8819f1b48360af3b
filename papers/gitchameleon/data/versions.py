"""Problems that differ by version alone: siblings within a suite of ours, pairs with one stub."""

from collections.abc import Sequence

from papers.gitchameleon.data.problems import Problem


def sibling(problem: Problem, problems: Sequence[Problem]) -> Problem:
    """The same task at the other version.

    Raises:
        ValueError: there is none, or there are several.
    """
    others = [p for p in problems if p.task == problem.task and p.example_id != problem.example_id]
    if len(others) != 1:
        raise ValueError(f"task '{problem.task}' has {len(others)} other versions here; expected one")
    return others[0]


def is_strict(problem: Problem, problems: Sequence[Problem]) -> bool:
    """Whether neither version's idiom passes at the other."""
    return bool(problem.expect_fail) and bool(sibling(problem, problems).expect_fail)


def stub_pairs(problems: Sequence[Problem]) -> list[tuple[Problem, Problem]]:
    """(problem with the tests, problem with the code): same stub, another pin of the library; in the data's order."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.starting_code.strip(), []).append(problem)
    return [
        (tests, code)
        for members in groups.values()
        for tests in members
        for code in members
        if tests.library_pin != code.library_pin
    ]

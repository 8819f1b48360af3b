"""Systems that need no model: what they answer is known, so that the harness can be checked against them."""

from collections.abc import Callable, Sequence

from packaging.version import Version

from papers.gitchameleon.data.parsing import parsed
from papers.gitchameleon.data.pins import normal_version
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.versions import sibling


def reference(problem: Problem, problems: Sequence[Problem]) -> str:
    """The problem's own solution."""
    return problem.answer


def version_blind(problem: Problem, problems: Sequence[Problem]) -> str:
    """The reference of the other version: right code for the wrong pin."""
    return sibling(problem, problems).answer


def newest(problem: Problem, problems: Sequence[Problem]) -> str:
    """The newest version's idiom, whatever the pin."""
    return max(problem, sibling(problem, problems), key=_version).answer


def oldest(problem: Problem, problems: Sequence[Problem]) -> str:
    """The oldest version's idiom, whatever the pin."""
    return min(problem, sibling(problem, problems), key=_version).answer


def stub_only(problem: Problem, problems: Sequence[Problem] = ()) -> str:
    """The stub with a body that does nothing. The benchmark's stubs may end within a block, at any indentation."""
    bodies = [problem.starting_code.rstrip() + "\n" + " " * n + "raise NotImplementedError\n" for n in (4, 8, 12, 2, 0)]
    return next((code for code in bodies if parsed(code)[0]), bodies[0])


def _version(problem: Problem) -> Version:
    return Version(normal_version(problem.version))


SYSTEMS: dict[str, Callable[[Problem, Sequence[Problem]], str]] = {
    "reference": reference,
    "version-blind": version_blind,
    "newest": newest,
    "oldest": oldest,
    "stub": stub_only,
}


def answers_of(
    system: str, problems: Sequence[Problem], all_problems: Sequence[Problem] | None = None
) -> dict[int, str]:
    """example_id -> answer of a system to each problem."""
    if system not in SYSTEMS:
        raise ValueError(f"unknown system '{system}'; there are: {', '.join(SYSTEMS)}")
    return {p.example_id: SYSTEMS[system](p, problems) for p in problems}

"""Scripted solvers: models whose behaviour is known, so that protocols can be tested end to end without a network.

They see what a model sees, the prompt, and have a bank of idioms: for each task the reference of every version. They
know no hidden test. Draws depend on (seed, task, pin) alone. The suites' own problems come in pairs of versions; the
bank works with any number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from packaging.version import Version

from papers.gitchameleon.data.pins import normal_version
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.metrics.tracebacks import exception_names
from papers.gitchameleon.models.base import Message, ModelError
from papers.gitchameleon.models.scripted import Scripted
from papers.gitchameleon.protocols.agent import parse_turn
from papers.gitchameleon.protocols.prompts import sections
from shared.base.seeding import numpy_generator

RAISED = {"AttributeError", "TypeError", "ImportError", "NameError", "ModuleNotFoundError"}


@dataclass(frozen=True)
class Asked:
    """What a solver makes of a talk."""

    task: str
    idioms: tuple[Problem, ...]  # by version, the oldest first
    pinned: int | None  # place of the pinned version; None if the prompt does not tell it
    sections: dict[str, str]

    def random(self, seed: int, purpose: str) -> np.random.Generator:
        return numpy_generator(seed, purpose, self.task, -1 if self.pinned is None else self.pinned)


class Bank:
    """Idioms of the tasks of a suite."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._tasks: dict[tuple[str, str], list[Problem]] = {}
        for problem in problems:
            key = (problem.problem.strip(), problem.starting_code.strip())
            self._tasks.setdefault(key, []).append(problem)
        for idioms in self._tasks.values():
            idioms.sort(key=lambda p: Version(normal_version(p.version)))

    def read(self, messages: Sequence[Message]) -> Asked:
        """The task of a talk, told by statement and stub.

        Raises:
            ModelError: the bank does not have it.
        """
        found: dict[str, str] = {}
        for message in messages:
            if message.role == "user":
                found = {**sections(message.content), **found}
        key = (found.get("coding_problem", "").strip(), found.get("starter_code", "").strip())
        if key not in self._tasks:
            raise ModelError(f"the bank of idioms has no problem '{key[0][:60]}'")
        idioms = tuple(self._tasks[key])
        pins = [f"{p.library}=={p.version}" for p in idioms]
        library = found.get("library", "").strip()
        return Asked(idioms[0].task or key[0], idioms, pins.index(library) if library in pins else None, found)


def _fenced(problem: Problem) -> str:
    return f"```python\n{problem.answer}\n```"


def _pick(asked: Asked, q: float, seed: int) -> int:
    """Place of the pinned idiom with probability q, else of another one; any if the pin is not told."""
    generator = asked.random(seed, "mixture")
    if asked.pinned is None:
        return int(generator.integers(len(asked.idioms)))
    others = [i for i in range(len(asked.idioms)) if i != asked.pinned]
    if generator.random() < q or not others:
        return asked.pinned
    return others[int(generator.integers(len(others)))]


def _solver(name: str, bank: Bank, choose: Callable[[Asked, int], int]) -> Scripted:
    def answer(messages: Sequence[Message], seed: int) -> str:
        asked = bank.read(messages)
        return _fenced(asked.idioms[choose(asked, seed)])

    return Scripted(name, answer)


def oracle(bank: Bank) -> Scripted:
    """The pinned version's idiom; the newest one if the pin is not told."""
    return _solver("oracle", bank, lambda a, s: len(a.idioms) - 1 if a.pinned is None else a.pinned)


def newest(bank: Bank) -> Scripted:
    """The newest version's idiom, whatever the pin."""
    return _solver("newest", bank, lambda a, s: len(a.idioms) - 1)


def oldest(bank: Bank) -> Scripted:
    """The oldest version's idiom, whatever the pin."""
    return _solver("oldest", bank, lambda a, s: 0)


def mixture(bank: Bank, q: float = 0.5) -> Scripted:
    """The pinned idiom with probability q."""
    return _solver(f"mixture({q:g})", bank, lambda a, s: _pick(a, q, s))


def repairer(bank: Bank, q: float = 0.5, r_raised: float = 0.8, r_assert: float = 0.4) -> Scripted:
    """As mixture; shown a trace it changes its idiom, with probability r_raised if the trace ends in an exception of
    a wrong name or signature, r_assert if in an AssertionError.
    """

    def choose(asked: Asked, seed: int) -> int:
        failed = asked.sections.get("failed_answer")
        if failed is None:
            return _pick(asked, q, seed)
        tried = next((i for i, p in enumerate(asked.idioms) if p.answer.strip() == failed.strip()), None)
        names = exception_names(asked.sections.get("trace", ""))
        last = names[-1] if names else ""
        rate = r_raised if last in RAISED else r_assert if last == "AssertionError" else 0.0
        if tried is None:
            return _pick(asked, q, seed)
        changes = asked.random(seed, "repair").random() < rate
        return (tried + 1) % len(asked.idioms) if changes else tried

    return _solver(f"repairer({q:g},{r_raised:g},{r_assert:g})", bank, choose)


def doc_reader(bank: Bank, q: float = 0.5) -> Scripted:
    """The idiom of the version that the first retrieved document names, else as mixture."""

    def choose(asked: Asked, seed: int) -> int:
        first = asked.sections.get("context", "").split("</document>")[0]
        named = [i for i, p in enumerate(asked.idioms) if f"{p.library} {p.version}".lower() in first.lower()]
        return named[0] if len(named) == 1 else _pick(asked, q, seed)

    return _solver(f"doc-reader({q:g})", bank, choose)


def tool_user(bank: Bank, attempts: float = 3) -> Scripted:
    """As an agent: runs one idiom after another in the sandbox under a test of its own, at most `attempts` times, and
    answers with the first that passes, else with the last it tried; without a sandbox, or turns, with the first. Its
    test is the visible one: what it would write itself.
    """
    import json

    def turn(plan: str, tool: str, **arguments: str) -> str:
        return json.dumps({"plan": plan, "tool": tool, "arguments": arguments})

    def answer(messages: Sequence[Message], seed: int) -> str:
        asked = bank.read(messages)
        order = [int(i) for i in asked.random(seed, "order").permutation(len(asked.idioms))]
        tried = sum(m.role == "assistant" and (parse_turn(m.content) or ("",))[0] == "run_python" for m in messages)
        last = messages[-1].content
        passed = tried > 0 and "fine" in last and "Traceback" not in last
        ends = not any("run_python" in m.content for m in messages if m.role == "system")
        ends |= "\n1 turns are left" in last or tried >= min(attempts, len(order))
        if passed or ends:
            return turn("answer", "final_answer", answer=asked.idioms[order[max(tried - 1, 0)]].answer)
        idiom = asked.idioms[order[tried]]
        return turn("try it", "run_python", program=f"{idiom.answer}\n{idiom.test}\nprint('fine')\n")

    return Scripted(f"tool-user({attempts:g})", answer)


SOLVERS: dict[str, Callable[..., Scripted]] = {
    "oracle": oracle,
    "newest": newest,
    "oldest": oldest,
    "mixture": mixture,
    "repairer": repairer,
    "doc-reader": doc_reader,
    "tool-user": tool_user,
}


def make_solver(text: str, problems: Sequence[Problem]) -> Scripted:
    """A solver by name, with numbers after commas: `oracle`, `mixture,0.7`, `repairer,0.5,0.8,0.4`."""
    name, *numbers = text.split(",")
    if name not in SOLVERS:
        raise ValueError(f"unknown solver '{name}'; there are: {', '.join(SOLVERS)}")
    try:
        return SOLVERS[name](Bank(problems), *map(float, numbers))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot make the solver '{text}': {error}") from None

"""Automatic prompt optimisation (Table 11): a model rewrites the system text in rounds, judged on a fixed subset.

At most five rounds on 20 % of the problems; the search stops when a round gains less than 1.5 points. What is judged
are visible tests, so that the search never sees a hidden one; the paper does not say which it uses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from papers.gitchameleon.data.parsing import json_object
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import Message, Model, ModelError
from papers.gitchameleon.protocols.generation import ask
from papers.gitchameleon.protocols.prompts import render
from papers.gitchameleon.protocols.selfdebug import RunVisible
from papers.gitchameleon.protocols.single import SINGLE, requests
from shared.base.seeding import numpy_generator

MAX_ROUNDS, SHARE, LEAST_GAIN = 5, 0.2, 1.5  # rounds, of problems, points


@dataclass(frozen=True)
class Round:
    """One system text and its visible success on the subset, in percent."""

    number: int
    system: str
    percent: float


def subset(problems: Sequence[Problem], seed: int = 0) -> list[Problem]:
    """A fixed random fifth, at least one problem, in the order of the data."""
    num = max(1, round(SHARE * len(problems)))
    chosen = numpy_generator(seed, "prompt-search").permutation(len(problems))[:num]
    return [problems[i] for i in sorted(chosen)]


def search(
    model: Model,
    problems: Sequence[Problem],
    run_visible: RunVisible,
    seed: int = 0,
    max_rounds: int = MAX_ROUNDS,
    tell: Callable[[Round], None] = lambda r: None,
) -> tuple[str, list[Round]]:
    """The best system text, and all rounds; round 0 is the template's own text."""
    chosen = subset(problems, seed)
    system, rounds = render("system", show_version=True), []
    best: Round | None = None
    for number in range(max_rounds + 1):
        passed, failures = _try(model, chosen, system, run_visible)
        rounds.append(Round(number, system, 100.0 * passed / len(chosen)))
        tell(rounds[-1])
        gained = best is None or rounds[-1].percent - best.percent >= LEAST_GAIN
        if best is None or rounds[-1].percent > best.percent:
            best = rounds[-1]
        if not gained or not failures or number == max_rounds:
            break
        system = _improved(model, best.system, passed, len(chosen), failures)
    return best.system, rounds


def _try(model: Model, problems: Sequence[Problem], system: str, run: RunVisible) -> tuple[int, list[str]]:
    """(how many pass their visible tests, last lines of the traces of the others)."""
    passed, failures = 0, []
    for request in requests(problems):
        request = replace(request, messages=(Message("system", system), *request.messages[1:]))
        try:
            result = run(request.problem, ask(model, request)["answer"])
        except ModelError as error:
            failures.append(str(error))
            continue
        passed += result.passed
        if not result.passed:
            failures.append((result.trace.strip().splitlines() or ["no trace"])[-1])
    return passed, failures


def _improved(model: Model, system: str, passed: int, total: int, failures: list[str]) -> str:
    """A new system text; the old one if there is no reply or it is not what was asked for."""
    question = render("improve", system=system, passed=passed, total=total, failures=failures[:10])
    try:
        text = model.complete([Message("user", question)], max_tokens=SINGLE["greedy"].sampling.max_tokens)[0].text
    except ModelError:
        return system
    found = (json_object(text[text.find("{") : text.rfind("}") + 1]) or {}).get("system")
    return found if isinstance(found, str) and found.strip() else system

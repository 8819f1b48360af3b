"""Self-debug: one more try with the trace of the visible test, for the problems whose greedy answer failed it.

The paper does not say which test decides that an answer failed. Here it is the visible one. The authors' merge may
have gone by the hidden one: `retry_on="hidden"` does that and stamps every row `leaky`. In neither case does a
hidden test or its trace get into a prompt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.metrics.tracebacks import top_level_trace
from papers.gitchameleon.models.base import Model
from papers.gitchameleon.protocols.generation import Request, ask, run_all
from papers.gitchameleon.protocols.prompts import problem_text, render, talk, template_hash
from papers.gitchameleon.protocols.single import SINGLE

TEMPLATES = ("system", "problem", "selfdebug")
NO_ANSWER = "No answer was given."


@dataclass(frozen=True)
class Run:
    """What came of running an answer under its visible test."""

    passed: bool
    trace: str = ""


RunVisible = Callable[[Problem, str], Run]
HiddenPassed = Callable[[Problem, str], bool]


def request_of(problem: Problem, greedy: Mapping | None, run: Run, leaky: bool = False) -> Request:
    """The second question. `greedy` is the row of the first answer; None if there was none."""
    question = render(
        "selfdebug",
        problem=problem_text(problem),
        answer=greedy["answer"] if greedy else NO_ANSWER,
        explanation=(greedy or {}).get("explanation", ""),
        trace=top_level_trace(run.trace) or "(no trace)",
    )
    return Request(
        problem=problem,
        messages=tuple(talk("system", question)),
        protocol="selfdebug",
        sampling=SINGLE["greedy"].sampling,
        templates=template_hash(*TEMPLATES),
        schema=SINGLE["greedy"].schema,
        leaky=leaky,
    )


def selfdebug(
    model: Model,
    problems: Sequence[Problem],
    greedy: Mapping[int, Mapping],
    run_visible: RunVisible,
    file,
    retry_on: str = "visible",
    hidden_passed: HiddenPassed | None = None,
    workers: int = 4,
    **more,
) -> list[tuple[Request, str]]:
    """One round: failed answers are asked for anew, the others are taken over. Returns requests without an answer.

    Args:
        greedy: example_id -> row of the first answer.
        run_visible: executes an answer under its visible test.
        file: AnswerFile of the protocol `selfdebug`. A row has `retried`; a retry that got no answer keeps the greedy
            one.
        retry_on: "visible", or "hidden", which needs `hidden_passed`.
    """
    if retry_on not in ("visible", "hidden"):
        raise ValueError(f"retry_on is visible or hidden; got '{retry_on}'")
    if retry_on == "hidden" and hidden_passed is None:
        raise ValueError("retry_on=hidden needs hidden verdicts")
    leaky, work, kept = retry_on == "hidden", [], []
    for problem in problems:
        row = greedy.get(problem.example_id)
        code = row["answer"] if row else ""
        # the visible run is needed for its trace, whatever decides
        run = run_visible(problem, code)
        passed = hidden_passed(problem, code) if leaky else run.passed
        request = request_of(problem, row, run, leaky)
        if passed and row:
            kept.append(_kept(request, row, model.name))
        else:
            work.append((request, lambda request=request: ask(model, request) | {"retried": True}))
    failed = run_all(work, model.name, file, workers, **more)
    for request, _ in failed:
        if request.problem.example_id in greedy:
            kept.append(_kept(request, greedy[request.problem.example_id], model.name))
    for row in kept:
        if file.rows.get((row["example_id"], row["seed"])) != row:
            file.add(row)
    return failed


def _kept(request: Request, row: Mapping, model: str) -> dict:
    """The greedy row as a row of self-debug."""
    own = {"protocol": request.protocol, "leaky": request.leaky, "templates": request.templates, "retried": False}
    # a key of its own: the question of a retry would have another one, so that a changed verdict is asked anew
    return dict(row) | own | {"model": model, "seed": request.seed, "key": "kept-" + request.key(model)}

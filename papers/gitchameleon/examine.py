"""Step: what a suite's tests are worth: lines of the references that they reach, what the visible ones give away.

    python -m papers.gitchameleon.examine --scale cpu --shard mini --executed RECORD --out RECORD

Beside it stands, for each problem, what the other version's idiom came to in its environment, with the trace.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.config import Examine
from papers.gitchameleon.coverage import count_lines
from papers.gitchameleon.environments import spec_of
from papers.gitchameleon.execute import harness_for, problems_of, tell_counts
from papers.gitchameleon.harness import Harness
from papers.gitchameleon.overlap import overlap
from papers.gitchameleon.problems import Problem
from papers.gitchameleon.suites import sibling
from papers.gitchameleon.tracebacks import top_level_trace
from shared.artifacts.config import load_shard
from shared.artifacts.errors import in_one_sentence
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record


def row_of(suite: str, harness: Harness, problem: Problem, other: Problem) -> dict:
    """One problem: coverage, overlap, and the wrong version's idiom in its environment.

    Raises:
        ValueError: its reference fails, so that its lines say nothing.
    """
    env = harness.store.get(spec_of(problem, harness.settings.cutoff))
    counted = count_lines(harness, problem, env)
    if not counted.passed:
        raise ValueError(f"the reference of {problem.task} {problem.version} fails: {counted.detail or counted.code}")
    wrong = harness.run(problem, other.answer, "hidden", env)
    num_calls, num_shared = overlap(problem)
    return {
        "suite": suite,
        "example_id": problem.example_id,
        "task": problem.task,
        "library": problem.library,
        "version": problem.version,
        "num_lines": counted.num_lines,
        "missed_lines": " ".join(map(str, counted.missed_lines)),
        "visible_calls": num_calls,
        "shared_calls": num_shared,
        "statement": problem.problem,
        "stub": problem.starting_code,
        "right": problem.solution,
        "wrong": other.solution,
        "wrong_version": other.version,
        "wrong_outcome": wrong.code,
        "wrong_exception": wrong.exception or "",
        "wrong_trace": top_level_trace(wrong.trace),
    }


def rows_of(suite: str, harness: Harness, problems: Sequence[Problem]) -> Iterator[dict]:
    """One row per problem, in order; several are run at a time."""
    with ThreadPoolExecutor(harness.settings.jobs) as pool:
        yield from pool.map(lambda p: row_of(suite, harness, p, sibling(p, problems)), problems)


@in_one_sentence
def main(
    scale: Annotated[str, typer.Option(help="Scale in config.yaml.")],
    shard: Annotated[str, typer.Option(help="Name of the suite.")],
    executed: Annotated[Path, typer.Option(help="Record of the step execute: environments are built by then.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
) -> None:
    """Examine the tests of one suite and write a row per problem."""
    provenance = Provenance()
    settings: Examine = load_shard("gitchameleon", "examine", scale, shard)
    problems, harness = problems_of(settings.suite), harness_for(settings.suite)
    rows = list(rows_of(settings.suite.name, harness, problems))
    provenance.add(**tell_counts(settings.suite, harness, len(rows)))
    write_record(out, rows, provenance)


if __name__ == "__main__":
    typer.run(main)

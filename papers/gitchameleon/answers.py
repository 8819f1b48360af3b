"""Step: published answers of real systems under the visible tests of the 328 problems: a row per system and problem.

    python -m papers.gitchameleon.answers --scale paper --shard greedy_gpt_4o

What was run once, by any system, is not run again, and a stopped run goes on: verdicts are kept in the cache.
"""

from collections.abc import Iterator
from dataclasses import replace

from papers.gitchameleon.data.categories import perf_category
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.published_answers import FOREIGN, digest, model_and_protocol, read_answers
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.suite_run import executing, with_retries
from papers.gitchameleon.settings import Answers
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step


def rows_of(system: str, harness: Harness, problems: list[Problem]) -> Iterator[dict]:
    """One row per problem, sorted; what could not be run has a verdict that says so."""
    solutions, foreign = read_answers(system, problems)
    visible = replace(harness, settings=replace(harness.settings, modes=("visible",)))
    rows = {row["example_id"]: row for row in visible.evaluate(problems, solutions)}
    harness.num_executed += visible.num_executed
    model, protocol = model_and_protocol(system)
    for problem in sorted(problems, key=lambda p: p.example_id):
        row = rows[problem.example_id]
        yield {
            "tests": "visible",
            "model": model,
            "protocol": protocol,
            "example_id": problem.example_id,
            "library": problem.library,
            "year": problem.year,
            "perf_category": perf_category(problem.type_of_change) or "(dropped)",
            "verdict": FOREIGN if problem.example_id in foreign else row["visible"],
            "exception": row["visible_exception"] or "",
            "flags": " ".join(row["flags"]),
        }


@step(reads=("harness/boxed/*.py",), after=("runs/execute/benchmark.parquet",), threads=2)
def answers(settings: Answers, provenance: Provenance) -> list[dict]:
    """Run one system's published answers under the visible tests; --retry-failed builds failed environments again."""
    with executing(settings.suite, provenance) as (harness, problems):
        provenance.add(answers_sha256=digest(settings.system))
        return list(rows_of(settings.system, harness, problems))


if __name__ == "__main__":
    with_retries(answers.main)

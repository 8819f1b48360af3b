"""Step: run systems whose answers are known on one suite, for real: environments, box, hidden and visible tests.

    python -m papers.gitchameleon.execute --scale cpu --shard mini --out RECORD

Our suites' programs are the project's own, so where no box can be made they run under resource limits alone.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from papers.gitchameleon.cli import options
from papers.gitchameleon.config import Execute, Suite
from papers.gitchameleon.data.categories import perf_category, stats_category
from papers.gitchameleon.data.problems import Problem, load_benchmark, select
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.data.versions import is_strict, sibling
from papers.gitchameleon.environments.spec import CUTOFF
from papers.gitchameleon.harness.choosing import harness_of, level_of, store_of
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.suites.loader import load_suite
from papers.gitchameleon.suites.systems import answers_of
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.sandbox.box import Limits

KEPT = ("hidden", "hidden_passed", "hidden_exception", "visible", "visible_passed", "visible_exception")


def problems_of(suite: Suite) -> list[Problem]:
    """The suite's problems, those of the chosen tasks and libraries."""
    problems = load_benchmark() if suite.name == "benchmark" else load_suite(suite.name)
    unknown = sorted(set(suite.tasks) - {p.task for p in problems})
    if unknown:
        raise ValueError(f"suite {suite.name} has no task '{unknown[0]}'")
    return [p for p in select(problems, libraries=suite.libraries) if not suite.tasks or p.task in suite.tasks]


def harness_for(suite: Suite) -> Harness:
    """The suite's environments, limits and box."""
    store = store_of(suite.name, None, None, CUTOFF, suite.allow_builds, None)
    limits = Limits(wall_seconds=suite.wall_seconds, cpu_seconds=int(suite.wall_seconds) + 1, memory_mb=suite.memory_mb)
    level = level_of("auto", unsafe=suite.name != "benchmark")
    return harness_of(store, level, limits, suite.jobs, "both", CUTOFF, cache=True)


def tell_counts(suite: Suite, harness: Harness, num_rows: int) -> dict:
    """What a step did, printed, and for its provenance."""
    counts = {"num_executed": harness.num_executed, "from_cache": harness.cache.hits}
    counts["num_built"] = harness.store.num_built
    print(f"{suite.name}: {num_rows} rows at level {harness.settings.level}; {counts}")
    return {"sandbox_level": harness.settings.level, **counts}


def write_suite_record(step: str, scale: str, shard: str, out: Path, rows_of: Callable) -> None:
    """Record of a step that runs programs of one suite: the rows of `rows_of(settings, harness, problems)`."""
    provenance = Provenance()
    settings = load_shard("gitchameleon", step, scale, shard)
    problems, harness = problems_of(settings.suite), harness_for(settings.suite)
    rows = list(rows_of(settings, harness, problems))
    provenance.add(**tell_counts(settings.suite, harness, len(rows)))
    write_record(out, rows, provenance)


def rows_of(settings: Execute, harness: Harness, problems: list[Problem]) -> Iterator[dict]:
    """One row per system and problem, sorted.

    Raises:
        ValueError: a system that there is not.
    """
    suite = settings.suite
    for system in suite.systems:
        answers = answers_of(system, problems)
        solutions = [Solution(id, text, text) for id, text in sorted(answers.items())]
        rows = {row["example_id"]: row for row in harness.evaluate(problems, solutions)}
        for problem in problems:
            yield describe(suite.name, system, problem, problems) | {k: rows[problem.example_id][k] for k in KEPT}


def describe(suite: str, system: str, problem: Problem, problems: list[Problem]) -> dict:
    """What a row says about its problem. Strict: no idiom of one version passes at the other."""
    ours = suite != "benchmark"
    return {
        "suite": suite,
        "system": system,
        "example_id": problem.example_id,
        "task": problem.task or str(problem.example_id),
        "library": problem.library,
        "version": problem.version,
        "stats_category": stats_category(problem.type_of_change),
        "perf_category": perf_category(problem.type_of_change) or "none",
        "year": problem.year,
        "strict": is_strict(problem, problems) if ours else False,
        "is_new": ours and problem.example_id > sibling(problem, problems).example_id,
        "expect_fail": " ".join(problem.expect_fail),
    }


@in_one_sentence
def main(scale: options.Scale, shard: options.Shard, out: options.Record) -> None:
    """Execute one suite and write a row per system and problem."""
    write_suite_record("execute", scale, shard, out, rows_of)


if __name__ == "__main__":
    typer.run(main)

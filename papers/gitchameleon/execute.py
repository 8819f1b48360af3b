"""Step: run systems whose answers are known on one suite, for real: environments, box, hidden and visible tests.

python -m papers.gitchameleon.execute --scale cpu --shard mini
"""

from collections.abc import Iterator

from papers.gitchameleon.data.categories import perf_category, stats_category
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.data.versions import is_strict, sibling
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.suite_run import executing, with_retries
from papers.gitchameleon.settings import Suite
from papers.gitchameleon.suites.systems import answers_of
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step

KEPT = ("hidden", "hidden_passed", "hidden_exception", "visible", "visible_passed", "visible_exception")


def rows_of(suite: Suite, harness: Harness, problems: list[Problem]) -> Iterator[dict]:
    """One row per system and problem, sorted.

    Raises:
        ValueError: a system that there is not.
    """
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


@step(reads=("suites/*/*.yaml", "suites/libraries/*.py", "harness/boxed/*.py", "recorded_runs.csv"), threads=2)
def execute(settings: Suite, provenance: Provenance) -> list[dict]:
    """Execute one suite; a row per system and problem. --retry-failed builds environments again that failed before."""
    with executing(settings, provenance) as (harness, problems):
        return list(rows_of(settings, harness, problems))


if __name__ == "__main__":
    with_retries(execute.main)

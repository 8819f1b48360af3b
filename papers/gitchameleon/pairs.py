"""Step: does a problem's test force its version? The reference of one version is run in the place of another's.

    python -m papers.gitchameleon.pairs --scale cpu --shard mini

A pair is two problems with the same stub and different pins: 148 directed ones among 146 of the 328 problems. Whoever
answers with the wrong version's idiom is only found out where the test of such a pair fails.
"""

from collections.abc import Iterator, Sequence

from papers.gitchameleon.data.categories import perf_category
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.data.versions import stub_pairs
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.suite_run import executing, with_retries
from papers.gitchameleon.settings import Suite
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step

KEPT = ("hidden", "hidden_exception", "visible", "visible_exception")


def rows_of(suite: Suite, harness: Harness, problems: Sequence[Problem]) -> Iterator[dict]:
    """One row per directed pair, sorted by ids. Recorded are visible verdicts; hidden ones of references alone."""
    pairs = sorted(stub_pairs(problems), key=lambda pair: (pair[0].example_id, pair[1].example_id))
    turns: list[dict[int, Problem]] = []  # an evaluation takes one answer per problem; groups of three need two
    for tests, code in pairs:
        turn = next((t for t in turns if tests.example_id not in t), None)
        if turn is None:
            turns.append(turn := {})
        turn[tests.example_id] = code
    found = {}
    for turn in turns:
        members = [p for p in problems if p.example_id in turn]
        answers = [Solution(id, code.answer, code.answer) for id, code in turn.items()]
        for row in harness.evaluate(members, answers):
            found[row["example_id"], turn[row["example_id"]].example_id] = row
    for tests, code in pairs:
        row = found[tests.example_id, code.example_id]
        yield {
            "suite": suite.name,
            "tests_id": tests.example_id,
            "code_id": code.example_id,
            "library": tests.library,
            "tests_version": tests.library_pin[1],
            "code_version": code.library_pin[1],
            "change": perf_category(tests.type_of_change) or "none",
        } | {name: None if suite.recorded and name.startswith("hidden") else row[name] for name in KEPT}


@step(
    reads=("suites/*/*.yaml", "suites/libraries/*.py", "harness/boxed/*.py", "recorded_runs.csv"),
    after=("runs/execute/{shard}.parquet",),
    threads=2,
)
def pairs(settings: Suite, provenance: Provenance) -> list[dict]:
    """Run every pair of one suite; a row per pair. --retry-failed builds environments again that failed before."""
    with executing(settings, provenance) as (harness, problems):
        return list(rows_of(settings, harness, problems))


if __name__ == "__main__":
    with_retries(pairs.main)

"""Step: what a suite's tests are worth: lines of the references that they reach, what the visible ones give away.

    python -m papers.gitchameleon.examine --scale cpu --shard mini

Beside it stands, for each problem, what the other version's idiom came to in its environment, with the trace.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.versions import sibling
from papers.gitchameleon.environments.spec import spec_of
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.suite_run import executing
from papers.gitchameleon.metrics.coverage import count_lines
from papers.gitchameleon.metrics.overlap import overlap
from papers.gitchameleon.metrics.tracebacks import top_level_trace
from papers.gitchameleon.settings import Suite
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step


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


@step(
    reads=("suites/*/*.yaml", "suites/libraries/*.py", "harness/boxed/*.py"),
    after=("runs/execute/{shard}.parquet",),
    threads=2,
)
def examine(settings: Suite, provenance: Provenance) -> list[dict]:
    """Examine the tests of one suite; a row per problem."""
    with executing(settings, provenance) as (harness, problems):
        return list(rows_of(settings.name, harness, problems))


if __name__ == "__main__":
    examine.main()

"""One suite ready to be executed: its problems, and a harness with its environments, limits and box."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from papers.gitchameleon.data.problems import Problem, select
from papers.gitchameleon.environments.spec import CUTOFF
from papers.gitchameleon.harness.choosing import harness_of, level_of, store_of
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.recorded_verdicts import RecordedVerdicts
from papers.gitchameleon.settings import Suite
from papers.gitchameleon.suites.loader import load_problems
from shared.artifacts.provenance import Provenance
from shared.sandbox.box import Limits

RETRY, RETRY_VARIABLE = "--retry-failed", "GITCHAMELEON_RETRY_FAILED"


def with_retries(command: Callable[[], None]) -> None:
    """Run a step's command line, which knows --retry-failed, too; a build takes it from the variable."""
    if RETRY in sys.argv:
        sys.argv.remove(RETRY)
        os.environ[RETRY_VARIABLE] = "1"
    command()


def problems_of(suite: Suite) -> list[Problem]:
    """The suite's problems, those of the chosen tasks and libraries.

    Raises:
        ValueError: the suite has no such task.
    """
    problems = load_problems(suite.name)
    unknown = sorted(set(suite.tasks) - {p.task for p in problems})
    if unknown:
        raise ValueError(f"suite {suite.name} has no task '{unknown[0]}'")
    return [p for p in select(problems, libraries=suite.libraries) if not suite.tasks or p.task in suite.tasks]


def harness_for(suite: Suite) -> Harness:
    """The suite's environments, limits and box.

    Our suites' programs are the project's own, so where no box can be made they run under resource limits alone.
    """
    retry = suite.retry_failed or bool(os.environ.get(RETRY_VARIABLE))
    store = store_of(suite.name, None, None, CUTOFF, suite.allow_builds, None, retry_failed=retry)
    limits = Limits(wall_seconds=suite.wall_seconds, cpu_seconds=int(suite.wall_seconds) + 1, memory_mb=suite.memory_mb)
    level = level_of("auto", unsafe=suite.name != "benchmark")
    return harness_of(store, level, limits, suite.jobs, "both", CUTOFF, cache=True)


@contextmanager
def executing(suite: Suite, provenance: Provenance) -> Iterator[tuple[Harness | RecordedVerdicts, list[Problem]]]:
    """Harness and problems of a suite; afterwards the provenance says how boxed, and how much, was executed."""
    problems = problems_of(suite)
    if suite.recorded:
        recorded = RecordedVerdicts()
        yield recorded, problems
        provenance.add(verdicts=f"{len(recorded)} recorded elsewhere; nothing was executed")
        return
    harness = harness_for(suite)
    yield harness, problems
    if problems and not harness.num_executed and not harness.cache.hits:
        raise ValueError(f"nothing of suite {suite.name} could be executed; `envs build --data {suite.name}` says why")
    provenance.add(
        sandbox_level=harness.settings.level,
        num_executed=harness.num_executed,
        from_cache=harness.cache.hits,
        num_built=harness.store.num_built,
    )

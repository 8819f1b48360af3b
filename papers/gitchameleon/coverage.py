"""Line coverage of hidden tests over reference solutions: of module `sample_<id>` only, counted in the box.

The environments hold no coverage package: the runner counts lines itself, as line events of `sys.settrace` against the
line tables of the compiled reference. A line with several statements or a nested function is covered once it has begun.
Only references are counted, since a program that we do not trust could change the count.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from papers.gitchameleon.environments import spec_of
from papers.gitchameleon.execution import run_hidden
from papers.gitchameleon.harness import Harness
from papers.gitchameleon.problems import Problem
from papers.gitchameleon.store import Missing
from papers.gitchameleon.verdict_cache import verdict_key
from papers.gitchameleon.verdicts import ENV_MISSING, Verdict


def count_lines(harness: Harness, problem: Problem) -> Verdict:
    """The reference under its hidden tests, with its lines counted; from the cache where it can be.

    Raises:
        ValueError: the problem has no hidden test here.
    """
    settings, env = harness.settings, harness.store.get(spec_of(problem, harness.settings.cutoff))
    if isinstance(env, Missing):
        return Verdict(ENV_MISSING, exception=env.cause, detail=env.message)
    key = verdict_key(problem, problem.answer, "lines", env, settings.level, settings.limits)
    found = harness.cache.get(key)
    if found is None:
        found = run_hidden(problem, problem.answer, env, settings.level, settings.limits, count_lines=True)
        harness.num_executed += 1
        harness.cache.put(key, found)
    return found


def count_all(harness: Harness, problems: Sequence[Problem]) -> dict[int, Verdict]:
    """example_id -> verdict of the reference with its lines counted, several at a time."""
    with ThreadPoolExecutor(harness.settings.jobs) as pool:
        verdicts = pool.map(lambda problem: count_lines(harness, problem), problems)
        return {problem.example_id: verdict for problem, verdict in zip(problems, verdicts, strict=True)}


def percent(verdict: Verdict) -> float:
    """Share of the reference's lines that ran, in percent; nan where none were counted."""
    if not verdict.num_lines:
        return float("nan")
    return 100.0 * (verdict.num_lines - len(verdict.missed_lines)) / verdict.num_lines

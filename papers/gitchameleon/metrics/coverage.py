"""Line coverage of hidden tests over reference solutions: of module `sample_<id>` only, counted in the box.

The environments hold no coverage package: the runner counts lines itself, as line events of `sys.settrace` against the
line tables of the compiled reference. A line with several statements or a nested function is covered once it has begun.
Only references are counted, since a program that we do not trust could change the count.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.preflight import missing_for
from papers.gitchameleon.environments.spec import spec_of
from papers.gitchameleon.environments.store import Env, Missing
from papers.gitchameleon.harness.execution import run_hidden
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.verdict_cache import verdict_key
from papers.gitchameleon.harness.verdicts import ENV_MISSING, Verdict


def count_lines(harness: Harness, problem: Problem, env: Env | Missing) -> Verdict:
    """The reference under its hidden tests, with its lines counted; from the cache where it can be.

    Raises:
        ValueError: the problem has no hidden test here.
    """
    if isinstance(env, Missing):
        return Verdict(ENV_MISSING, exception=env.cause, detail=env.message)
    if missing := missing_for(problem, env, mode="hidden"):
        return Verdict(ENV_MISSING, exception=missing.cause, detail=missing.message)
    settings = harness.settings
    key = verdict_key(problem, problem.answer, "lines", env, settings.level, settings.limits)
    found = harness.cache.get(key)
    if found is None:
        found = run_hidden(problem, problem.answer, env, settings.level, settings.limits, True, frozenset())
        harness.num_executed += 1
        harness.cache.put(key, found)
    return found


def count_all(harness: Harness, problems: Sequence[Problem]) -> list[Verdict]:
    """`count_lines` of every problem, several at a time."""

    def one(problem: Problem) -> Verdict:
        return count_lines(harness, problem, harness.store.get(spec_of(problem, harness.settings.cutoff)))

    with ThreadPoolExecutor(harness.settings.jobs) as pool:
        return list(pool.map(one, problems))


def percent(num_lines: int | None, num_missed: int) -> float:
    """Share of the lines that ran, in percent; nan where none were counted."""
    return 100.0 * (num_lines - num_missed) / num_lines if num_lines else float("nan")


def in_words(problems: Sequence[Problem], verdicts: Sequence[Verdict]) -> str:
    """Mean coverage of the references that pass, and a line for each that is not covered whole."""
    pairs = [(p, v) for p, v in zip(problems, verdicts, strict=True) if v.passed and v.num_lines]
    if not pairs:
        return "coverage: no reference with hidden tests could be counted"
    shares = [percent(v.num_lines, len(v.missed_lines)) for _, v in pairs]
    lines = [
        f"coverage: mean {sum(shares) / len(shares):.2f} %, least {min(shares):.2f} %, over {len(pairs)} of"
        f" {len(problems)} references"
    ]
    for problem, verdict in pairs:
        if verdict.missed_lines:
            lines.append(f"  {problem.example_id} misses lines {', '.join(map(str, verdict.missed_lines))}")
    return "\n".join(lines)

"""Evaluates solutions: environments first, then hidden and visible tests of each, several at a time, resumable."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.environments.preflight import lacking, missing_for
from papers.gitchameleon.environments.spec import CUTOFF, EnvSpec, group_by_env, upstream_key
from papers.gitchameleon.environments.store import Env, EnvStore, Missing
from papers.gitchameleon.harness.execution import certain_tests, flags, run_hidden, run_visible
from papers.gitchameleon.harness.verdict_cache import VerdictCache, runner_version, verdict_key
from papers.gitchameleon.harness.verdicts import ENV_MISSING, NO_ANSWER, Verdict
from shared.sandbox.box import Limits

MODES = ("hidden", "visible")


@dataclass(frozen=True)
class Settings:
    """How solutions are evaluated."""

    level: str  # of the box
    limits: Limits = field(default_factory=Limits)
    jobs: int = 2
    modes: tuple[str, ...] = MODES
    cutoff: str | None = CUTOFF


@dataclass
class Harness:
    """Runs tests of problems in their environments; the one place where both are brought together."""

    store: EnvStore
    cache: VerdictCache
    settings: Settings
    num_executed: int = field(default=0, init=False)
    collected: dict[tuple, frozenset[str]] = field(default_factory=dict, init=False)

    def run(self, problem: Problem, code: str, mode: str, env: Env | Missing) -> Verdict:
        """One execution, from the cache where it can be."""
        if isinstance(env, Missing):
            return Verdict(ENV_MISSING, exception=env.cause, detail=env.message)
        if missing := missing_for(problem, env, code, mode):
            return Verdict(ENV_MISSING, exception=missing.cause, detail=missing.message)
        if not code.strip():
            return Verdict(NO_ANSWER, detail="the answer is empty")
        settings = self.settings
        expected = self._expected(problem, code, env) if mode == "hidden" else frozenset()
        key = verdict_key(problem, code, mode, env, settings.level, settings.limits, expected)
        found = self.cache.get(key)
        if found is None:
            if mode == "hidden":
                found = run_hidden(problem, code, env, settings.level, settings.limits, expected=expected)
            else:
                found = run_visible(problem, code, env, settings.level, settings.limits)
            self.num_executed += 1
            if missing := lacking(problem, env, found.exception, found.trace):
                return Verdict(ENV_MISSING, exception=missing.cause, detail=missing.message)
            self.cache.put(key, found)
        return found

    def _expected(self, problem: Problem, code: str, env: Env) -> frozenset[str]:
        """Names of the tests that have to run: what unittest or pytest collects beside the reference.

        Where the reference cannot be imported, those that the source is sure to hold. The reference itself is trusted.
        """
        if code == problem.answer:
            return frozenset()
        key = problem.hidden_test, problem.answer, env.lock_hash
        if key not in self.collected:
            found = self.run(problem, problem.answer, "hidden", env).collected
            self.collected[key] = frozenset(found) or certain_tests(problem)
        return self.collected[key]

    def evaluate(self, problems: Iterable[Problem], solutions: Iterable[Solution]) -> Iterator[dict]:
        """One row per problem and answer, as they are finished; `jobs` at a time.

        Environments are built while tests of others run. A problem without an answer gets a row too.
        """
        answers: dict[int, list[Solution]] = {}
        for solution in solutions:
            answers.setdefault(solution.example_id, []).append(solution)
        groups = group_by_env(problems, self.settings.cutoff)
        jobs = self.settings.jobs
        # builds wait for the network, so they have threads of their own, and tests start with the first environment
        with ThreadPoolExecutor(jobs) as builders, ThreadPoolExecutor(jobs) as pool:
            building: dict[Future, tuple[EnvSpec, list[Problem]]] = {
                builders.submit(self.store.get, spec): (spec, members)
                for spec, members in groups.items()
                if any(p.example_id in answers for p in members)
            }
            for members in groups.values():
                yield from (unanswered_row(p) for p in members if p.example_id not in answers)
            running: set[Future] = set()
            while building or running:
                done, _ = wait([*building, *running], return_when=FIRST_COMPLETED)
                for future in done:
                    if future in building:
                        _, members = building.pop(future)
                        for problem in members:
                            for solution in answers.get(problem.example_id, []):
                                running.add(pool.submit(self._row, problem, solution, future.result()))
                    else:
                        running.discard(future)
                        yield future.result()

    def _row(self, problem: Problem, solution: Solution, env: Env | Missing) -> dict:
        start = monotonic()
        verdicts = {}
        for mode in self.settings.modes:
            if mode == "hidden" and problem.hidden_test is None:
                verdicts[mode] = None
            else:
                verdicts[mode] = self.run(problem, solution.code, mode, env)
        row = base_row(problem) | {"sample": solution.sample, "code_id": code_id(solution.code), "code": solution.code}
        for mode in MODES:
            row |= columns(mode, verdicts.get(mode))
        return row | {
            "env_key": env.spec.key,
            "env_lock": env.lock_hash if isinstance(env, Env) else None,
            "level": self.settings.level,
            "runner_version": runner_version(),
            "flags": flags(solution.code),
            "seconds": round(monotonic() - start, 3),
        }


def base_row(problem: Problem) -> dict:
    return {
        "example_id": problem.example_id,
        "library": problem.library,
        "version": problem.version,
        "python_version": problem.python_version,
        "type_of_change": problem.type_of_change,
        "upstream_env": upstream_key(problem),
    }


def unanswered_row(problem: Problem) -> dict:
    """Row of a problem that the system did not answer: a failure, never a dropped row."""
    row = base_row(problem) | {"sample": 0, "code_id": "", "code": ""}
    for mode in MODES:
        row |= columns(mode, Verdict(NO_ANSWER, detail="no answer in the solution file"))
    return row | {"env_key": "", "env_lock": None, "level": "", "runner_version": "", "flags": [], "seconds": 0.0}


def columns(mode: str, verdict: Verdict | None) -> dict:
    """A verdict as columns of a row; empty where the tests were not asked for or are not here."""
    if verdict is None:
        return {mode: None, f"{mode}_passed": None} | dict.fromkeys(
            f"{mode}_{n}" for n in ("exception", "detail", "trace", "tests", "tests_passed", "compiled", "output")
        )
    return {
        mode: verdict.code,
        f"{mode}_passed": verdict.passed,
        f"{mode}_exception": verdict.exception,
        f"{mode}_detail": verdict.detail,
        f"{mode}_trace": verdict.trace,
        f"{mode}_tests": verdict.num_tests,
        f"{mode}_tests_passed": verdict.num_passed,
        f"{mode}_compiled": verdict.compiled,
        f"{mode}_output": verdict.output,
    }


def code_id(code: str) -> str:
    """Name of an answer: 12 hex digits over its text."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()[:12]

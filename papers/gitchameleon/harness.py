"""Evaluates solutions: environments first, then hidden and visible tests of each, several at a time, resumable."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from papers.gitchameleon.environments import CUTOFF, EnvSpec, group_by_env, upstream_key
from papers.gitchameleon.execution import flags, run_hidden, run_visible
from papers.gitchameleon.problems import Problem, data_digest
from papers.gitchameleon.solutions import Solution
from papers.gitchameleon.store import Env, EnvStore, Missing
from papers.gitchameleon.verdict_cache import VerdictCache, append_lines, read_whole_lines, runner_version, verdict_key
from papers.gitchameleon.verdicts import ENV_MISSING, HARNESS_ERROR, NO_ANSWER, Verdict
from shared.base.files import write_json
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

    def run(self, problem: Problem, code: str, mode: str, env: Env | Missing) -> Verdict:
        """One execution, from the cache where it can be."""
        if isinstance(env, Missing):
            return Verdict(ENV_MISSING, exception=env.cause, detail=env.message)
        if not code.strip():
            return Verdict(NO_ANSWER, detail="the answer is empty")
        settings = self.settings
        key = verdict_key(problem, code, mode, env, settings.level, settings.limits)
        found = self.cache.get(key)
        if found is None:
            run = run_hidden if mode == "hidden" else run_visible
            found = run(problem, code, env, settings.level, settings.limits)
            self.num_executed += 1
            self.cache.put(key, found)
        return found

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
    return hashlib.sha256(code.encode()).hexdigest()[:12]


class ResultFolder:
    """Results of one evaluation: rows as they come, and what they were made with.

    Raises:
        ValueError: the folder holds results made with other data or other settings.
    """

    def __init__(self, folder: Path, problems: Iterable[Problem], settings: Settings, resume: bool) -> None:
        self.folder, self.rows_file = Path(folder), Path(folder) / "results.jsonl"
        manifest = {
            "data_digest": data_digest(problems),
            "level": settings.level,
            "modes": list(settings.modes),
            "cutoff": settings.cutoff,
            "wall_seconds": settings.limits.wall_seconds,
            "runner_version": runner_version(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "manifest.json"
        if path.is_file() and resume:
            self._check(json.loads(path.read_text()), manifest)
        else:
            self.rows_file.unlink(missing_ok=True)
            write_json(path, manifest)

    def _check(self, found: dict, wanted: dict) -> None:
        changed = [k for k in wanted if found.get(k) != wanted[k]]
        if changed:
            raise ValueError(
                f"{self.folder} holds results made with another {', '.join(changed)}; choose another --out, or start"
                " anew there with --no-resume"
            )

    def finished(self) -> dict[tuple[int, int], dict]:
        """(example_id, sample) -> row. Rows that may come out otherwise next time are not counted as finished."""
        again = (ENV_MISSING, HARNESS_ERROR, NO_ANSWER)
        rows = {}
        for row in read_whole_lines(self.rows_file):
            if row.get("hidden") not in again and row.get("visible") not in again:
                rows[row["example_id"], row["sample"]] = row
        return rows

    def add(self, row: dict) -> None:
        append_lines(self.rows_file, [json.dumps(row, ensure_ascii=False)])

    def rows(self) -> list[dict]:
        """The last row of each problem and sample, sorted."""
        last = {(row["example_id"], row["sample"]): row for row in read_whole_lines(self.rows_file)}
        return [last[key] for key in sorted(last)]


def evaluate_into(
    out: ResultFolder,
    harness: Harness,
    problems: list[Problem],
    solutions: list[Solution],
    tell: Callable[[dict], None] = lambda row: None,
) -> list[dict]:
    """Evaluate what `out` does not have yet; returns all rows, sorted."""
    finished = out.finished()
    fresh = [s for s in solutions if finished.get((s.example_id, s.sample), {}).get("code_id") != code_id(s.code)]
    answered = {s.example_id for s in solutions}
    waiting = {s.example_id for s in fresh} | {p.example_id for p in problems if p.example_id not in answered}
    for row in harness.evaluate([p for p in problems if p.example_id in waiting], fresh):
        out.add(row)
        tell(row)
    wanted = {p.example_id for p in problems}
    return [row for row in out.rows() if row["example_id"] in wanted]

"""What has been run once under the same conditions is not run again: one JSON line per verdict, synced to disk."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from papers.gitchameleon.data.json_lines import append_lines, read_whole_lines
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.preflight import machine_state
from papers.gitchameleon.environments.store import Env
from papers.gitchameleon.harness.execution import IN_BOX, data_folders
from papers.gitchameleon.harness.verdicts import HARNESS_ERROR, TIMEOUT, Verdict
from shared.sandbox import launch
from shared.sandbox.box import Limits

RUNNER_FILES = (*(f"boxed/{name}" for name in (*IN_BOX, "judging.py")), "canaries.py", "execution.py", "verdicts.py")


def runner_version() -> str:
    """Digest of the code that decides verdicts: when it changes, everything is run again."""
    digest = hashlib.sha256()
    for path in (Path(launch.__file__), *(Path(__file__).parent / name for name in RUNNER_FILES)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def verdict_key(
    problem: Problem, code: str, mode: str, env: Env, level: str, limits: Limits, expected: frozenset[str] = frozenset()
) -> str:
    """SHA-256 over all that a verdict depends on; mode is hidden, visible, or lines (hidden, with lines counted).

    Of the machine these are the libraries and commands that the preflight knows, and the content of folders of data.
    """
    tests = problem.test if mode == "visible" else problem.hidden_test
    content = [
        mode,
        problem.module,
        problem.runner,
        code,
        tests,
        env.lock_hash,
        runner_version(),
        level,
        asdict(limits),
        machine_state(data_folders()),
        sorted(expected),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class VerdictCache:
    """Verdicts in a file; None keeps them in memory only. Those of other code, whose keys are others, are not read."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.hits, self.runner = path, 0, runner_version()
        rows = [row for row in read_whole_lines(path) if row.get("runner") == self.runner] if path else []
        self._verdicts = {row["key"]: _verdict(row["verdict"]) for row in rows}

    def get(self, key: str) -> Verdict | None:
        found = self._verdicts.get(key)
        self.hits += found is not None
        return found

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict. A failure of ours and a timeout, which a busy machine can cause, are not kept."""
        if verdict.code in (HARNESS_ERROR, TIMEOUT):
            return
        self._verdicts[key] = verdict
        if self.path:
            append_lines(self.path, [json.dumps({"key": key, "runner": self.runner, "verdict": asdict(verdict)})])


def _verdict(content: dict) -> Verdict:
    lists = ("failed_tests", "missed_lines", "collected")
    return Verdict(**content | {name: tuple(content[name]) for name in lists if name in content})

"""Plant errors in a copy of the checkout, one at a time, and see whether the tests notice."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.artifacts.processors import copy_checkout
from tests.mutations.catalogue import Mutation

KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
PASSED, FAILED = 0, 1  # exit statuses of pytest; the others mean that no test was judged


@dataclass(frozen=True)
class Trial:
    """What became of one mutation."""

    slug: str
    name: str
    outcome: str  # KILLED, SURVIVED or TIMED_OUT; the last counts as noticed
    seconds: float
    by: str = ""  # first test that failed

    @property
    def noticed(self) -> bool:
        return self.outcome != SURVIVED


class Copy:
    """A copy of the checkout in which errors are planted.

    Args:
        folder: where it lies; emptied first.
        limit_s: seconds after which tests of a mutation are given up.
    """

    def __init__(self, folder: Path, limit_s: float) -> None:
        self.folder, self.limit_s = folder, limit_s
        copy_checkout(folder)

    def run(self, tests: Iterable[str]) -> subprocess.CompletedProcess:
        """pytest -x on `tests` in the copy."""
        # no bytecode: a patch of the same length within the same second would otherwise meet the old one
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(self.folder)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, timeout=self.limit_s,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def check_unpatched(self, tests: Iterable[str]) -> None:
        """That the tests pass before any error is planted.

        Raises:
            ValueError: they do not; a failure under a patch would then say nothing.
        """
        result = self.run(tests)
        if result.returncode != PASSED:
            raise ValueError(f"without any patch the tests do not pass: {_first_failure(result.stdout)}")

    def try_out(self, slug: str, name: str, mutation: Mutation) -> Trial:
        """Plant, test, and take back.

        Raises:
            ValueError: the patch does not apply, or its tests cannot even be collected under it.
        """
        file, start = self.folder / mutation.file, time.perf_counter()
        before = file.read_text()
        file.write_text(mutation.applied(before))
        try:
            result = self.run(mutation.tests)
        except subprocess.TimeoutExpired:
            return Trial(slug, name, TIMED_OUT, time.perf_counter() - start)
        finally:
            file.write_text(before)
        if result.returncode not in (PASSED, FAILED):
            raise ValueError(
                f"{slug}/{name}: its tests do not run under the patch, so they judge nothing:"
                f" {_first_failure(result.stdout)}"
            )
        outcome = KILLED if result.returncode == FAILED else SURVIVED
        by = _first_failure(result.stdout) if outcome == KILLED else ""
        return Trial(slug, name, outcome, time.perf_counter() - start, by)


def _first_failure(output: str) -> str:
    """The line of pytest's summary that names what failed first, or the last line."""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, flags=re.M)
    return found[1] if found else (output.strip().splitlines() or ["no output"])[-1]

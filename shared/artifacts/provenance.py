"""What varies between two runs of one command: revision, versions, device, wall and CPU time.

Kept in a sidecar beside a record, never in it.
"""

import functools
import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path

from shared.base.paths import repo_root
from shared.base.spent import spent_before

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "matplotlib", "accelerate", "snakemake", "tokenizers")


# what no number depends on: pages, and the references, which accepting itself changes
_NO_CODE = (":(exclude)papers/*/reference", ":(exclude)*.md", ":(exclude)*.cff")


@functools.cache
def git_state(root: Path | None = None) -> dict:
    """Revision, and whether code or settings differ from it; None and None unless `root` is itself a git checkout."""
    root = root or repo_root()

    def git(*arguments: str) -> str | None:
        try:
            result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return result.stdout.strip()

    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != Path(root).resolve():
        return {"revision": None, "dirty": None}  # unpacked inside somebody else's repository
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", *_NO_CODE)
    return {"revision": git("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}


@functools.cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that numbers depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


class Provenance:
    """Collects what a step was run with; started when made, so that it measures the wall time.

    Args:
        device: "cpu", "cuda" or a device's name.
        num_threads: threads the numbers were computed with; they can change the last digits.
    """

    def __init__(self, *, device: str = "cpu", num_threads: int = 1, **extra) -> None:
        self._start = time.perf_counter()
        self._content = {
            **git_state(),
            "python": platform.python_version(),
            "packages": package_versions(),
            "machine": f"{platform.system()} {platform.machine()}",
            "num_cores": os.cpu_count(),
            "device": device,
            "num_threads": num_threads,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **extra,
        }

    def add(self, **extra) -> None:
        """More facts of this execution."""
        self._content.update(extra)

    def finish(self) -> dict:
        """The content of the sidecar, with `wall_seconds` since this object was made and `cpu_seconds` of the process.

        The CPU time counts all threads and the imports before, but no process beside it; it is what a busy machine's
        builds can be compared by. Both hold what earlier processes had spent on runs that this one took up.
        """
        before = spent_before()
        wall = before.wall_seconds + time.perf_counter() - self._start
        cpu = before.cpu_seconds + time.process_time()
        return {**self._content, "wall_seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}


def sidecar(record: Path) -> Path:
    """Path of the provenance that belongs to a record."""
    return record.with_suffix(".provenance.json")

"""Where derived files live, and how two jobs build one of them only once.

Everything here can be thrown away: the next use makes it again. `ARTIFACTS_CACHE` names the folder;
without it the cache is `.cache/` at the repository root, or the user's cache where that is not writable.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from shared.base.paths import repo_root


def cache_dir() -> Path:
    """Folder of derived files, created if need be.

    Raises:
        ValueError: `ARTIFACTS_CACHE` is set and names no folder that can be written.
    """
    named = os.environ.get("ARTIFACTS_CACHE")
    if named:
        folder = Path(named).expanduser()
        if not _writable(folder):
            raise ValueError(f"ARTIFACTS_CACHE is {named}, not a folder that can be written; name another or unset it")
        return folder
    in_checkout = (repo_root() / "pyproject.toml").exists()
    candidates = [repo_root() / ".cache"] if in_checkout else []
    candidates.append(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "paper-artifacts")
    for folder in candidates:
        if _writable(folder):
            return folder
    tried = " and ".join(map(str, candidates))
    raise ValueError(f"no cache folder can be written (tried {tried}); name one in the variable ARTIFACTS_CACHE")


def build_once(path: Path, build: Callable[[Path], None]) -> Path:
    """`path`, made by `build` unless it is there already.

    `build` receives a temporary path beside `path`, where it writes a file or makes a folder; it is moved into
    place when complete, so that a killed build leaves nothing that looks finished. A lock keeps a second
    process waiting instead of building the same thing.
    """
    if path.exists():
        return path
    from filelock import FileLock  # 20 ms, not needed when the file is there

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
                unfinished = Path(scratch) / path.name
                build(unfinished)
                os.replace(unfinished, path)
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def short_key(*parts: object) -> str:
    """16 hex digits that differ when any part's `repr` differs; names cache entries."""
    return hashlib.sha256("\x1f".join(map(repr, parts)).encode()).hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False

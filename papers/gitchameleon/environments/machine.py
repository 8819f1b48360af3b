"""What the machine itself brings to a run: its libraries and commands, and folders of data that a user names.

Each has a state, which is another one as soon as something was installed, added or edited; keys of verdicts hold it.
"""

import ctypes.util
import functools
import hashlib
import os
import shutil
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from shared.sandbox.box import environment

FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")  # of libraries, as a box sees them


def has_library(name: str) -> bool:
    """Whether lib<name> is installed."""
    return ctypes.util.find_library(name) is not None


def command(name: str) -> str | None:
    """Path of a command that a box finds."""
    return shutil.which(name, path=environment()["PATH"])


def state(libraries: Iterable[str], commands: Iterable[str], data: Mapping[str, str]) -> str:
    """SHA-256 over names, sizes, times and rights of files: of these libraries and commands, and below folders of data.

    Args:
        data: variable -> folder. Where a folder lies does not count.
    """
    found = [
        ["libraries", [_file(path) for name in sorted(libraries) for path in _library_files(name)]],
        ["commands", [_file(Path(path)) for path in map(command, sorted(commands)) if path]],
        *([name, _file(Path(folder))[3], *_content(Path(folder))] for name, folder in sorted(data.items())),
    ]
    return hashlib.sha256(repr(found).encode("utf-8", "surrogateescape")).hexdigest()


def _library_files(name: str) -> Iterator[Path]:
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    for top in FOLDERS:
        for folder in dict.fromkeys((top, os.path.join(top, multiarch))):
            if os.path.isdir(folder):
                yield from _listed(folder, os.stat(folder).st_mtime_ns, f"lib{name}.so*")


@functools.lru_cache(maxsize=256)
def _listed(folder: str, modified: int, pattern: str) -> tuple[Path, ...]:
    """Names come and go with the folder's time; a key is made for every answer, and listing takes milliseconds."""
    return tuple(sorted(Path(folder).glob(pattern)))


def _content(folder: Path) -> Iterator[tuple]:
    for inner, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files + folders):
            path = Path(inner, name)
            yield (str(path.relative_to(folder)), *_file(path)[1 if name in files else 3 :])


def _file(path: Path) -> tuple:
    try:
        found = path.stat()
    except OSError:  # a link to nothing, or just removed
        return str(path), 0, 0, 0
    return str(path), found.st_size, found.st_mtime_ns, found.st_mode

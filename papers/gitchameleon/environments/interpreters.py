"""Python interpreters of this machine, by their version x.y.

Searched in this order: the user's own map (`--python 3.7=/path/to/python` or GITCHAMELEON_PYTHONS), this process's
interpreter, pyenv, `pythonX.Y` on PATH, interpreters that uv manages. Nothing is downloaded.
"""

import functools
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.base_prefix)"


class NoInterpreter(ValueError):
    """No interpreter of the wanted version; the message lists where it was looked for."""


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that was started once and said what it is."""

    version: str  # x.y.z
    path: Path
    prefix: Path  # folder that holds its standard library
    source: str  # map, this process, pyenv, PATH or uv


def parse_map(entries: list[str] | None = None) -> dict[str, Path]:
    """Version -> path of entries `3.7=/path`, and of GITCHAMELEON_PYTHONS (separated by colons) before them.

    Raises:
        ValueError: an entry is not of that form.
    """
    given = list(filter(None, os.environ.get("GITCHAMELEON_PYTHONS", "").split(":"))) + list(entries or [])
    found = {}
    for entry in given:
        version, separator, path = entry.partition("=")
        if not separator or not path:
            raise ValueError(f"'{entry}' names no interpreter; write for example 3.7=/opt/python3.7/bin/python")
        found[version.strip()] = Path(path).expanduser()
    return found


@functools.cache
def inspect(path: Path) -> tuple[str, Path] | None:
    """(version x.y.z, prefix) that the interpreter at `path` reports, or None if it does not start."""
    try:
        result = subprocess.run(
            [str(path), "-I", "-c", _ASK], capture_output=True, encoding="utf-8", timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = result.stdout.splitlines()
    return (lines[0], Path(lines[1])) if result.returncode == 0 and len(lines) == 2 else None


def find_interpreter(version: str, named: Mapping[str, Path] | None = None) -> Interpreter:
    """Interpreter of version x.y, of the first place that has a working one.

    Raises:
        NoInterpreter: none is there.
        ValueError: the map names one that does not start or has another version.
    """
    if named and version in named:
        found = inspect(named[version])
        if found is None or not _fits(found[0], version):
            saw = f"reports {found[0]}" if found else "does not start"
            raise ValueError(f"the interpreter named for {version}, {named[version]}, {saw}; correct the map")
        return Interpreter(found[0], named[version], found[1], "map")
    searched = []
    for source, candidates, place in _places(version):
        searched.append(place)
        for path in candidates:
            found = inspect(path)
            if found is not None and _fits(found[0], version):
                return Interpreter(found[0], path, found[1], source)
    raise NoInterpreter(
        f"no Python {version} found (searched {', '.join(searched)}); install it, for example with pyenv or"
        f" 'uv python install {version}', or name it with --python {version}=/path/to/python"
    )


def _fits(found: str, version: str) -> bool:
    return found.rsplit(".", 1)[0] == version


def _places(version: str):
    """(source, candidate paths, how the message calls the place), in the order of search."""
    own = Path(getattr(sys, "_base_executable", None) or sys.executable)
    yield "this process", [own] if _fits(platform.python_version(), version) else [], "this process"
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    folders = sorted(pyenv.glob(f"{version}.*"), key=lambda p: _patch(p.name), reverse=True)
    yield "pyenv", [f / "bin" / "python" for f in folders], str(pyenv)
    on_path = shutil.which(f"python{version}")
    yield "PATH", [Path(on_path)] if on_path and ".pyenv/shims" not in on_path else [], "PATH"
    yield "uv", _managed_by_uv(version), "uv's own"


def _patch(name: str) -> int:
    last = name.rsplit(".", 1)[-1]
    return int(last) if last.isdigit() else -1


def _managed_by_uv(version: str) -> list[Path]:
    uv = find_uv()
    if uv is None:
        return []
    command = [uv, "python", "find", "--managed-python", "--no-project", "--no-python-downloads", version]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)
    return [Path(result.stdout.strip())] if result.returncode == 0 and result.stdout.strip() else []


@functools.cache
def find_uv() -> str | None:
    """The uv executable: beside this interpreter (as pip installs it) or on PATH; None if there is none."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.is_file() else shutil.which("uv")

"""What puts packages into an environment: uv if it is there, else the standard venv and this process's pip."""

import functools
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from papers.gitchameleon.environments.interpreters import Interpreter, find_uv


class InstallError(Exception):
    """An installation failed; `log` is the tool's output, `cause` one of the codes in `CAUSES`."""

    def __init__(self, cause: str, log: str) -> None:
        super().__init__(f"{cause}: {_last_line(log)}")
        self.cause, self.log = cause, log


# cause code -> words (lower case) of which one appears in the tool's output; the first code that fits is given
CAUSES: dict[str, tuple[str, ...]] = {
    "network": (
        "error sending request",
        "failed to fetch",
        "connection refused",
        "connection timed out",
        "temporary failure in name resolution",
        "network is unreachable",
        "newconnectionerror",
        "dns error",
    ),
    "build-failed": (
        "failed to build",
        "build backend returned an error",
        "failed building wheel",
        "subprocess-exited-with-error",
    ),
    "no-wheel": (
        "no wheels with a matching",
        "has no usable wheels",
        "no matching distribution",
        "was not found in the provided package locations",
        "has no wheels with",
        "there is no version of",
        "could not find a version",
    ),
    "yanked": ("yanked",),
    "conflict": ("no solution found", "resolutionimpossible", "conflicting dependencies", "unsatisfiable"),
}
NO_INTERPRETER, TIMEOUT, VERSION_MISMATCH, UNKNOWN = "no-interpreter", "timeout", "version-mismatch", "unknown"
PASSING = ("network", TIMEOUT, UNKNOWN)  # causes that may be gone the next time: they are not remembered


def wheelhouse_digest(folder: Path) -> str:
    """8 hex digits over names and contents of the wheels in a folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.whl")):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class Index:
    """Where packages come from.

    Args:
        wheelhouse: a folder of wheels; then no network is used at all.
        cutoff: only files uploaded before this day (YYYY-MM-DD) count, so that unpinned dependencies do not drift.
        allow_builds: whether source distributions may be built (a build runs the package's code, unboxed).
        timeout_seconds: of one installation.
    """

    wheelhouse: Path | None = None
    cutoff: str | None = None
    allow_builds: bool = False
    timeout_seconds: float = 900.0


def cause_of(log: str) -> str:
    """Cause code of a failed installation's output."""
    text = " ".join(log.lower().split())
    return next((code for code, words in CAUSES.items() if any(w in text for w in words)), UNKNOWN)


def make_venv(interpreter: Interpreter, folder: Path, seed: bool) -> str:
    """An environment at `folder`; returns the tools' output.

    Args:
        seed: with the pip and setuptools that the interpreter bundles, since old packages need `pkg_resources`.
    """
    uv, python = find_uv(), str(interpreter.path)
    wheels = sorted(interpreter.prefix.glob("lib/python3.*/ensurepip/_bundled/*.whl")) if seed else []
    if uv and (wheels or not seed):
        log = _run([uv, "venv", "--no-project", "--no-config", "-q", "--python", python, str(folder)], 300.0)
        if not wheels:
            return log
        command = [uv, "pip", "install", "--no-config", "-q", "--no-index", "--no-deps", "--python", _python(folder)]
        return log + _run([*command, *map(str, wheels)], 300.0)
    return _run([python, "-m", "venv", *([] if seed else ["--without-pip"]), str(folder)], 300.0)


def compile_bytecode(folder: Path) -> str:
    """Compile what an import can reach, once, when all is installed: the box cannot write, so each run would do it.

    Packages' own tests and pip are left out: half of the files of numpy or scipy. Files that do not compile are
    templates or for other Pythons.
    """
    skipped = r"[/\\](tests?|pip|site-packages[/\\]pip-.*)[/\\]"
    try:
        return _run([_python(folder), "-m", "compileall", "-q", "-x", skipped, str(folder / "lib")], 900.0)
    except InstallError as error:
        return error.log


def _python(folder: Path) -> str:
    return str(folder / "bin" / "python")


def install(folder: Path, requirements: list[str], index: Index) -> str:
    """Install `requirements` in one resolve into the environment at `folder`; returns the tool's output.

    Raises:
        InstallError: with the cause and the output.
    """
    uv = find_uv()
    command = _uv_command(uv, folder, index) if uv else _pip_command(folder, index)
    return _run([*command, *requirements], index.timeout_seconds)


def _uv_command(uv: str, folder: Path, index: Index) -> list[str]:
    command = [uv, "pip", "install", "--no-config", "--no-progress", "--python", _python(folder)]
    if index.wheelhouse is not None:
        # uv's cache knows a wheel by its name, and a wheel at hand may have been edited
        command += ["--no-cache", "--no-index", "--find-links", str(index.wheelhouse)]
    if index.cutoff and index.wheelhouse is None:
        command += ["--exclude-newer", index.cutoff]
    return command if index.allow_builds else [*command, "--only-binary", ":all:"]


def _pip_command(folder: Path, index: Index) -> list[str]:
    command = [sys.executable, "-m", "pip", "--python", _python(folder), "install", "--no-input", "--no-compile"]
    if index.wheelhouse is not None:
        command += ["--no-index", "--find-links", str(index.wheelhouse)]
    if index.cutoff and index.wheelhouse is None:
        command += ["--uploaded-prior-to", index.cutoff]  # pip 26 and later
    return command if index.allow_builds else [*command, "--only-binary", ":all:"]


def _run(command: list[str], timeout_seconds: float) -> str:
    heading = "$ " + " ".join(command) + "\n"
    try:
        result = subprocess.run(
            [*_ends_with_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(TIMEOUT, f"{heading}{_text(error.output)}\nstopped after {timeout_seconds:g} s\n") from None
    except OSError as error:
        raise InstallError(UNKNOWN, f"{heading}{error}\n") from None
    if result.returncode != 0:
        raise InstallError(cause_of(result.stdout), heading + result.stdout)
    return heading + result.stdout


@functools.cache
def _ends_with_us() -> tuple[str, ...]:
    """What makes the kernel end a tool when we are killed, where util-linux is there: no build goes on unseen."""
    found = shutil.which("setpriv")
    return (found, "--pdeathsig", "KILL", "--") if found and sys.platform == "linux" else ()


def _text(output: object) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else (output or "")


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"

"""The box for untrusted code: its limits, its levels, and what each of them holds back.

| | bwrap, namespaces | rlimit |
| --- | --- | --- |
| files outside the scratch space | absent or read-only | NOT held back |
| network | none; a loopback of its own | NOT held back |
| environment variables | only ours | only ours |
| other processes | not visible | visible; same user |
| memory, CPU, file size, open files, processes, output, time | limited | limited |
| what outlives the program | killed with the box | killed if it stays a descendant |

So `rlimit` is used for the project's own, trusted programs and where a user asks for it with `--unsafe`. No level
filters system calls, so a kernel bug is outside of what is held back; and memory in nameless files (memfd) is limited
by the size of a file times the number of open ones only.
"""

import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

LEVELS = ("bwrap", "namespaces", "rlimit")  # strongest first
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts")
ETC = {
    "passwd": "box:x:65534:65534:box:/tmp/home:/bin/sh\n",
    "group": "box:x:65534:\n",
    "hosts": "127.0.0.1 localhost box\n",
    "nsswitch.conf": "hosts: files\n",
}
FIRST_UID = 1_900_000_000  # as root, each box gets an unused user of its own, so that processes are counted per box


@dataclass(frozen=True)
class Limits:
    """What one program may use."""

    wall_seconds: float = 240.0
    cpu_seconds: int = 240
    memory_mb: int = 4096  # resident, all processes of the box together
    address_space_mb: int = 16384  # of one process; libraries reserve far more than they touch
    processes: int = 64  # and threads
    file_mb: int = 64  # one file
    scratch_mb: int = 128  # all files; at level rlimit nothing holds the sum back
    open_files: int = 256
    output_kb: int = 1024  # kept of standard output and error: the head and the tail, half each
    output_stop_mb: int = 64  # a program that writes more is stopped

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"limit {name} has to be positive; got {value}")


@dataclass(frozen=True)
class BoxSpec:
    """One program in one box.

    Args:
        argv: program and arguments; the program is an absolute path.
        readonly: paths that the program sees, besides the system's libraries.
        env: all of its environment variables.
    """

    level: str
    argv: list[str]
    readonly: list[str]
    limits: Limits
    env: dict[str, str] = field(default_factory=dict)


def environment() -> dict[str, str]:
    """Environment of a program in a box: nothing of ours is passed on."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp/home",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/home",
        "NUMBA_CACHE_DIR": "/tmp/home",
    }


def bwrap_arguments(spec: BoxSpec, env: dict[str, str]) -> list[str]:
    """bubblewrap's command line up to the program; it passes on no variable but those of `env`."""
    arguments = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--unshare-user"]
    arguments += ["--disable-userns", "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--cap-drop", "ALL", "--hostname", "box", "--proc", "/proc", "--dev", "/dev"]
    size = str(spec.limits.scratch_mb << 20)
    arguments += ["--size", size, "--tmpfs", "/dev/shm"]
    arguments += ["--size", size, "--tmpfs", "/tmp", "--dir", "/tmp/work", "--dir", "/tmp/home", "--chdir", "/tmp/work"]
    for path in (*SYSTEM, *spec.readonly):
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            arguments += ["--ro-bind", path, path]
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]  # both are in memory, without a limit of their own
    for name, value in env.items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--"]


def launcher() -> list[str]:
    """Command that starts `launch.py`."""
    python = getattr(sys, "_base_executable", None) or sys.executable
    return [python, "-I", "-S", str(Path(__file__).parent / "launch.py")]

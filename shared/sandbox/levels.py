"""Which levels of the box this machine offers, and which of them to use."""

import functools
import os
import shutil
import subprocess
import sys

from shared.sandbox.box import LEVELS, BoxSpec, Limits, environment
from shared.sandbox.running import run_boxed


@functools.cache
def available_levels() -> tuple[str, ...]:
    """Levels that work here, strongest first; each is tried with a program that does nothing."""
    return tuple(level for level in LEVELS if _works(level))


def _works(level: str) -> bool:
    if level == "bwrap" and (os.geteuid() == 0 or not shutil.which("bwrap")):
        return False  # as root it keeps the host's root user, for which the kernel limits no processes
    if level in ("bwrap", "namespaces") and sys.platform != "linux":
        return False
    spec = BoxSpec(level, ["/bin/true"], [], Limits(wall_seconds=20), environment())
    try:
        return run_boxed(spec).exit == 0
    except (OSError, subprocess.SubprocessError):
        return False


def choose_level(wanted: str = "auto", unsafe: bool = False) -> str:
    """The strongest level of this machine, or `wanted`.

    Args:
        unsafe: whether `rlimit`, which holds back neither files nor network, may be used.
    Raises:
        ValueError: unknown level, one that does not work here, or only `rlimit` is there and `unsafe` was not said.
    """
    if wanted not in ("auto", *LEVELS):
        raise ValueError(f"unknown sandbox level '{wanted}'; choose auto, {', '.join(LEVELS)}")
    levels = available_levels()
    if wanted != "auto" and wanted not in levels:
        raise ValueError(f"sandbox level '{wanted}' does not work here; what works: {', '.join(levels) or 'none'}")
    level = wanted if wanted != "auto" else (levels or ("rlimit",))[0]
    if level == "rlimit" and not unsafe:
        raise ValueError(
            "no box can be made here: neither bubblewrap nor user namespaces work. Untrusted code would reach your"
            " files and the network; install bubblewrap, or say --unsafe if you trust what you run"
        )
    return level

"""Leases of the GPUs of one node, so that jobs that start at once take different ones.

A lease is an advisory lock (flock) on a file per GPU. It is held by open file descriptors, never by the file's
existence: the kernel frees it when the last process that holds it ends, however it ends. The processes of a job
inherit the descriptors, so a GPU stays leased while any of them still runs, even after their launcher was killed.
"""

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_SECONDS_BETWEEN_TRIES = 0.5


def lease_directory() -> Path:
    """Folder of the lock files: per node, user and cluster allocation.

    Inside a SLURM allocation the devices are numbered from 0 again, so equal names in two allocations are different
    GPUs; within one allocation they are the same.
    """
    allocation = os.environ.get("SLURM_JOB_ID", "node")
    return Path(tempfile.gettempdir()) / f"gpu-leases-{os.getuid()}" / allocation


@contextlib.contextmanager
def leased(
    devices: list[str],
    count: int,
    *,
    directory: Path,
    timeout: float | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[tuple[list[str], list[int]]]:
    """Exclusive use of `count` of `devices`, those that are free first in the order given.

    Args:
        devices: names as in CUDA_VISIBLE_DEVICES.
        count: how many; at most as many as there are devices.
        directory: folder of the lock files; made if missing.
        timeout: seconds to wait for other jobs; None waits for ever, 0 tries once.
        on_wait: called once if there is something to wait for.
    Yields:
        The leased devices, and the descriptors that hold them (pass these on to child processes).
    Raises:
        ValueError: there are fewer devices than asked for.
        TimeoutError: the time is over and too few are free.
    """
    if count > len(devices):
        raise ValueError(f"{count} GPUs were asked for and there are {len(devices)}: {', '.join(devices) or 'none'}")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = None if timeout is None else time.monotonic() + timeout
    waiting = False
    while len(held := _lock_free_ones(devices, count, directory)) < count:
        _release(held)  # all or nothing: two jobs that each hold a part would wait for each other
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(
                f"{count} of the GPUs {', '.join(devices)} were asked for and {len(held)} are free after"
                f" {timeout:g} s; wait for the jobs that hold the others (locks in {directory})"
            )
        if not waiting:
            on_wait()
            waiting = True
        # jobs that were started together must not try in step; the process id spreads them
        time.sleep(_SECONDS_BETWEEN_TRIES * (1 + os.getpid() % 7 / 7))
    try:
        yield list(held), list(held.values())
    finally:
        _release(held)


def _lock_free_ones(devices: list[str], count: int, directory: Path) -> dict[str, int]:
    """Up to `count` free devices, each with the descriptor that now locks it."""
    held: dict[str, int] = {}
    for device in devices:
        if len(held) == count:
            break
        path = directory / f"gpu-{re.sub(r'[^A-Za-z0-9.-]', '_', device)}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            held[device] = descriptor
    return held


def _release(held: dict[str, int]) -> None:
    for descriptor in held.values():
        os.close(descriptor)  # frees the lock unless a child still holds a copy; the file stays, harmless

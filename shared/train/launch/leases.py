"""Leases of the GPUs of one node, so that jobs that start at once take different ones.

A GPU has as many leases as jobs may share it: one, or what TRAIN_JOBS_PER_GPU says. All GPUs have one job before any
has two.

A lease is an advisory lock (flock) on a file per GPU and job. It is held by open file descriptors, never by the file's
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

JOBS_PER_GPU = "TRAIN_JOBS_PER_GPU"
_SECONDS_BETWEEN_TRIES = 0.5


def jobs_per_gpu() -> int:
    """How many jobs may share a GPU, from the environment; 1 if it does not say.

    Raises:
        ValueError: it says something that is not a whole number of at least 1.
    """
    said = os.environ.get(JOBS_PER_GPU, "1")
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(f"{JOBS_PER_GPU}={said} is no number of jobs; set it to 1 or more")
    return int(said)


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
    sharing: int = 1,
    timeout: float | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[tuple[list[str], list[int]]]:
    """Use of `count` of `devices`, those with the fewest jobs first, then in the order given.

    Args:
        devices: names as in CUDA_VISIBLE_DEVICES.
        count: how many; at most as many as there are devices.
        directory: folder of the lock files; made if missing.
        sharing: how many jobs may use one device at a time; the same for all jobs.
        timeout: seconds to wait for other jobs; None waits for ever, 0 tries once.
        on_wait: called once if there is something to wait for.
    Yields:
        The leased devices, and the descriptors that hold them (pass these on to child processes).
    Raises:
        ValueError: there are fewer devices than asked for.
        TimeoutError: the time is over and too few are free.
    """
    if count > len(devices):  # a job's own processes never share one
        raise ValueError(f"{count} GPUs were asked for and there are {len(devices)}: {', '.join(devices) or 'none'}")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = None if timeout is None else time.monotonic() + timeout
    waiting = False
    while len(held := _lock_free_ones(devices, count, directory, sharing)) < count:
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


def _lock_free_ones(devices: list[str], count: int, directory: Path, sharing: int) -> dict[str, int]:
    """Up to `count` devices with a free lease, each with the descriptor that now locks it."""
    held: dict[str, int] = {}
    for job in range(sharing):
        for device in devices:
            if len(held) == count:
                return held
            if device in held:
                continue
            name = re.sub(r"[^A-Za-z0-9.-]", "_", device) + (f"-{job}" if job else "")
            path = directory / f"gpu-{name}.lock"
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

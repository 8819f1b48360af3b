"""A module as one process or several that find each other and end together."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from shared.train.launch.devices import EXPECTED_PROCESSES

_SECONDS_TO_LEAVE = 30.0  # for the other processes, once one has failed


def run_module(
    command: list[str], processes: int, environment: dict[str, str], descriptors: list[int] | None = None
) -> int:
    """Run `python -m command` in `processes` processes and return the exit status of the first that fails.

    Not torchrun: its workers live in sessions of their own, survive a killed launcher, and would go on computing on
    GPUs whose lease is gone. Ours inherit the lease and are asked to end when the launcher dies.

    Args:
        command: module and arguments.
        processes: how many; several find each other through a port on this node.
        environment: variables to set besides those of this process.
        descriptors: open files that every process inherits (the leases).
    Returns:
        0, or the first failure's status; 128 + n for a process that died of signal n.
    """
    with _reserved_port() as port:
        children = []
        for rank in range(processes):
            variables = {**os.environ, **environment, EXPECTED_PROCESSES: str(processes)}
            if processes > 1:
                variables |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_PORT": str(port)}
                variables |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))
                variables |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
            start = [sys.executable, "-m", *command]
            children.append(
                subprocess.Popen(start, env=variables, pass_fds=descriptors or [], preexec_fn=_end_with_launcher)
            )
        # the terminal sends Ctrl-C to the step as well; a SIGTERM reaches only us and is passed on
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, frame: _send(children, number))
        return _wait(children)


def _wait(children: list[subprocess.Popen]) -> int:
    """Wait for all; when one fails the others, which would wait for it, are ended."""
    first_failure, deadline = 0, float("inf")
    while None in (statuses := [child.poll() for child in children]):
        if not first_failure and (first_failure := next(filter(None, statuses), 0)):
            deadline = time.monotonic() + _SECONDS_TO_LEAVE
            _send(children, signal.SIGTERM)
        if time.monotonic() > deadline:
            _send(children, signal.SIGKILL)
        time.sleep(0.05)
    status = first_failure or next(filter(None, statuses), 0)
    return status if status >= 0 else 128 - status


def _send(children: list[subprocess.Popen], number: int) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


def _end_with_launcher() -> None:
    """Called in a new process: have the kernel send it SIGTERM when the launcher dies (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A free TCP port, bound but not listened on: nobody else is given it, and process 0 of the step may take it."""
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("", 0))
        yield reservation.getsockname()[1]

"""Start a step on as many GPUs and processes as its job asked for.

    python -m shared.train.launch --gpus 2 -- papers.example.train --config papers/example/config.yaml

The launcher leases free GPUs of this node, shows only those to the step (CUDA_VISIBLE_DEVICES) and starts one process
per GPU. Without GPUs it starts one process, or several that talk through gloo. Every process is told how many there
should be, and the training loop stops if it finds another number. (`accelerate launch --cpu` is not used: it starts
one process whatever number it is given.)
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from shared.train.devices import EXPECTED_PROCESSES, num_gpus
from shared.train.leases import lease_directory, leased

_SECONDS_TO_LEAVE = 30.0  # for the other processes, once one has failed

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=__doc__, context_settings={"ignore_unknown_options": True})
def launch(
    command: Annotated[list[str], typer.Argument(help="module and its arguments, after --")],
    gpus: Annotated[int, typer.Option(min=0, help="GPUs to lease; 0 runs on the CPU")] = 0,
    processes: Annotated[int | None, typer.Option(min=1, help="processes; default one per GPU, else one")] = None,
    timeout: Annotated[float | None, typer.Option(help="seconds to wait for free GPUs; default: no limit")] = None,
    num_devices: Annotated[
        int | None, typer.Option(min=0, help="GPUs of this node, if the driver is not to be asked")
    ] = None,
    lease_dir: Annotated[Path | None, typer.Option(help="folder of the lock files; the same for all jobs")] = None,
) -> None:
    """Lease, start, wait; exits with the step's own status."""
    processes = processes or max(gpus, 1)
    try:
        if gpus == 0:
            raise typer.Exit(run_module(command, processes, {"CUDA_VISIBLE_DEVICES": ""}))
        if processes > gpus:
            raise ValueError(f"--processes {processes} would share --gpus {gpus}; give every process a GPU of its own")
        devices = available_devices(num_devices, wanted=gpus)
        with leased(
            devices,
            gpus,
            directory=lease_dir or lease_directory(),
            timeout=timeout,
            on_wait=lambda: print(f"waiting for {gpus} free of the GPUs {', '.join(devices)}", file=sys.stderr),
        ) as (mine, descriptors):
            print(f"leased GPU {', '.join(mine)}", file=sys.stderr, flush=True)
            status = run_module(command, processes, {"CUDA_VISIBLE_DEVICES": ",".join(mine)}, descriptors)
    except (ValueError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def available_devices(num_devices: int | None, *, wanted: int) -> list[str]:
    """Devices to lease from: the list that SLURM or the user has set, else all of this node.

    Args:
        num_devices: how many GPUs the node has; None asks the driver.
        wanted: how many the job needs.
    Raises:
        ValueError: there are fewer than wanted.
    """
    if num_devices is None:
        num_devices = num_gpus()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(i) for i in range(num_devices)] if listed is None else [d for d in listed.split(",") if d.strip()]
    devices = devices[:num_devices]  # a list may name devices that do not exist
    if not devices:
        raise ValueError(
            f"--gpus {wanted} was given and this machine shows no GPU; use --gpus 0, or run at scale smoke or cpu"
        )
    if len(devices) < wanted:
        source = "this machine has" if listed is None else f"CUDA_VISIBLE_DEVICES={listed} leaves"
        raise ValueError(f"--gpus {wanted} was given and {source} {len(devices)}; ask for no more than that")
    return devices


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


if __name__ == "__main__":
    app()

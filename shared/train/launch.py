"""Start a step on as many GPUs and processes as its job asked for.

    python -m shared.train.launch --gpus 2 -- papers.example.train --config papers/example/config.yaml

The launcher leases free GPUs of this node, shows only those to the step (CUDA_VISIBLE_DEVICES) and starts one process
per GPU. Without GPUs it starts one process, or several that talk through gloo. Every process is told how many there
should be, and the training loop stops if it finds another number. (`accelerate launch --cpu` is not used: it starts
one process whatever number it is given.)
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.train.devices import EXPECTED_PROCESSES, num_gpus
from shared.train.leases import lease_directory, leased

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
    """Run `python -m command` in `processes` processes and return its exit status (128 + n for signal n)."""
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
        environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), **environment}
    environment = {**os.environ, **environment, EXPECTED_PROCESSES: str(processes)}
    child = subprocess.Popen([*start, *command], env=environment, pass_fds=descriptors or [])
    # the terminal sends Ctrl-C to the step as well; a SIGTERM reaches only us and is passed on
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    app()

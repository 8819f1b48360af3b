"""Start a step on as many GPUs and processes as its job asked for.

    python -m shared.train.launch --gpus 2 -- papers.example.train --config papers/example/config.yaml

The launcher leases free GPUs of this node, shows only those to the step (CUDA_VISIBLE_DEVICES) and starts one process
per GPU. Without GPUs it starts one process, or several that talk through gloo. Every process is told how many there
should be, and the training loop stops if it finds another number. (`accelerate launch --cpu` is not used: it starts
one process whatever number it is given.)
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.train.launch.devices import available_devices
from shared.train.launch.leases import jobs_per_gpu, lease_directory, leased
from shared.train.launch.processes import run_module

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
            sharing=jobs_per_gpu(),
            timeout=timeout,
            on_wait=lambda: print(f"waiting for {gpus} free of the GPUs {', '.join(devices)}", file=sys.stderr),
        ) as (mine, descriptors):
            print(f"leased GPU {', '.join(mine)}", file=sys.stderr, flush=True)
            status = run_module(command, processes, {"CUDA_VISIBLE_DEVICES": ",".join(mine)}, descriptors)
    except (ValueError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


if __name__ == "__main__":
    app()

"""Processes, device, precision and threads of a run: the part of the loop that talks to accelerate."""

import atexit
import contextlib
import os
from collections.abc import Iterator

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from shared.train.config import Precision
from shared.train.launch.devices import EXPECTED_PROCESSES, num_gpus, require_device


def make_accelerator(precision: Precision, device: str | None, expected_processes: int | None) -> Accelerator:
    """Accelerator on `device` ("cpu", "cuda", or None for a GPU where there is one), one per run.

    Raises:
        ValueError: no such device, fp16 without a GPU, or another number of processes than expected.
    """
    kind = require_device(device) if device is not None else ("cuda" if num_gpus() else "cpu")
    if precision == "fp16" and kind == "cpu":
        raise ValueError("precision fp16 needs a GPU; use bf16 or fp32 on a CPU")
    # accelerate keeps device and precision in process-wide state; runs that follow each other may want different ones
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    accelerator = Accelerator(cpu=kind == "cpu", mixed_precision="no" if precision == "fp32" else precision)
    _check_processes(accelerator.num_processes, expected_processes)
    if accelerator.num_processes > 1:
        atexit.register(_leave_process_group)
    return accelerator


@contextlib.contextmanager
def limited_threads(num_threads: int) -> Iterator[None]:
    """`num_threads` CPU threads within tensor operations; the former number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def own_random_state(device: torch.device) -> Iterator[None]:
    """The caller's global random state is the same afterwards, whatever is seeded or drawn within."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def seed_global_generators(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of `device`.

    Unlike torch.manual_seed it leaves devices alone that the run does not use: 20 us instead of 200 on a CPU.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _check_processes(found: int, expected: int | None) -> None:
    if expected is None and EXPECTED_PROCESSES in os.environ:
        expected = int(os.environ[EXPECTED_PROCESSES])
    if expected is not None and found != expected:
        raise ValueError(
            f"this run expects {expected} processes and {found} joined; start it with"
            f" python -m shared.train.launch --processes {expected} -- MODULE ... (or drop the expectation)"
        )


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

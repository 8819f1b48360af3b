"""Time, throughput and memory of a run: what varies between equal runs."""

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator


class Meter:
    """Counts over all sessions of a run; a resumed run adds to what its checkpoint brings."""

    def __init__(self, accelerator: Accelerator, precision: str, batch_size: int, tokens_per_row: int | None):
        self.device, self.precision = accelerator.device, precision
        self.batch_size, self.tokens_per_row = batch_size, tokens_per_row
        self.environment = {
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "num_processes": accelerator.num_processes,
            "num_threads": torch.get_num_threads(),
        }
        self._before = {"wall_seconds": 0.0, "update_seconds": 0.0, "peak_memory_bytes": 0, "resumed_at_steps": []}
        self._started = time.perf_counter()
        self._update_seconds = 0.0
        self._final: dict[str, Any] | None = None  # counts of a finished run

    @contextlib.contextmanager
    def update(self) -> Iterator[None]:
        """Time one update, apart from evaluation and checkpoints."""
        started = time.perf_counter()
        yield
        self._update_seconds += time.perf_counter() - started

    def state_dict(self) -> dict[str, Any]:
        """Counts so far, and the environment they were made in."""
        if self._final is not None:
            return self._final
        before = self._before
        return {
            "environment": self.environment,
            "wall_seconds": before["wall_seconds"] + time.perf_counter() - self._started,
            "update_seconds": before["update_seconds"] + self._update_seconds,
            "peak_memory_bytes": max(before["peak_memory_bytes"], _peak_memory_bytes(self.device)),
            "resumed_at_steps": before["resumed_at_steps"],
        }

    def stop(self) -> None:
        """The run is finished: whatever follows does not count."""
        self._final = self.state_dict()

    def load_state_dict(self, state: dict[str, Any], *, resumed_at: int | None) -> None:
        """Take over the counts of a checkpoint; of a finished run (`resumed_at` None) they stay as they are."""
        if resumed_at is None:
            self._final = state
            return
        self._before = {**state, "resumed_at_steps": [*state["resumed_at_steps"], resumed_at]}

    def provenance(self, steps: int) -> dict[str, Any]:
        """Environment and counts after `steps` updates, for the sidecar of a record."""
        state = dict(self.state_dict())
        rows_per_second = steps * self.batch_size / max(state["update_seconds"], 1e-9)
        tokens_per_second = None if self.tokens_per_row is None else rows_per_second * self.tokens_per_row
        return {
            **state.pop("environment"),
            "precision": self.precision,
            **state,
            "rows_per_second": rows_per_second,
            "tokens_per_second": tokens_per_second,
        }


def _peak_memory_bytes(device: torch.device) -> int:
    """Largest memory so far: of tensors on a GPU, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

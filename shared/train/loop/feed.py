"""Batches of one process, on its device."""

import torch
from torch import Tensor

from shared.train.task import Task


class BatchFeed:
    """Asks the task for the rows of each pass; on a GPU one batch ahead, while the device is still busy."""

    def __init__(self, task: Task, seed: int, passes: list[range], device: torch.device):
        self._task, self._seed, self._passes, self._device = task, seed, passes, device
        self._ahead: tuple[int, dict[str, Tensor]] | None = None  # (step, its first batch)

    def take(self, step: int, index: int) -> dict[str, Tensor]:
        """Batch of pass `index` of update `step`."""
        if index == 0 and self._ahead is not None and self._ahead[0] == step:
            batch, self._ahead = self._ahead[1], None
            return batch
        return self._load(step, index)

    def prefetch(self, step: int) -> None:
        """Prepare the first batch of update `step` now; of no use on a CPU, where nothing runs beside it."""
        if self._device.type != "cpu":
            self._ahead = (step, self._load(step, 0))

    def _load(self, step: int, index: int) -> dict[str, Tensor]:
        batch = self._task.batch(step, self._passes[index], self._seed)
        return {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}

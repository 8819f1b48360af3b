"""Which rows of a data set make up a batch, as a pure function of (seed, step)."""

import functools

import torch
from torch import Tensor

from shared.base.seeding import torch_generator


def rows_of_pass(batch_size: int, num_processes: int, num_passes: int, process: int, index: int) -> range:
    """Global rows of pass `index` on `process`.

    Each process owns a contiguous slice of the global batch; its passes (accumulation steps) split that in order.

    Raises:
        ValueError: batch_size is not divisible by num_processes * num_passes.
    """
    parts = num_processes * num_passes
    if batch_size % parts:
        raise ValueError(
            f"batch_size {batch_size} cannot be shared evenly by {num_processes} processes with {num_passes}"
            f" accumulation steps each; make it a multiple of {parts}"
        )
    size = batch_size // parts
    start = (process * num_passes + index) * size
    return range(start, start + size)


def random_indices(seed: int, step: int, rows: range, *, batch_size: int, num_items: int) -> Tensor:
    """Indices in [0, num_items), drawn with replacement, (len(rows),) int64."""
    generator = torch_generator(seed, "random rows", step)
    return torch.randint(num_items, (batch_size,), generator=generator)[rows.start : rows.stop]


def shuffled_indices(seed: int, step: int, rows: range, *, batch_size: int, num_items: int) -> Tensor:
    """Indices of epoch after epoch, each a fresh permutation of [0, num_items), (len(rows),) int64.

    Epochs follow each other without a gap, so a batch may hold the end of one and the start of the next.
    """
    positions = torch.arange(rows.start, rows.stop) + step * batch_size
    epochs, within = positions // num_items, positions % num_items
    indices = torch.empty_like(positions)
    for epoch in epochs.unique().tolist():
        here = epochs == epoch
        indices[here] = _permutation(seed, epoch, num_items)[within[here]]
    return indices


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, num_items: int) -> Tensor:
    return torch.randperm(num_items, generator=torch_generator(seed, "epoch", epoch))

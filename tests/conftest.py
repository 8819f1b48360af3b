"""Tests run on one thread, and what torch has not written is NaN.

Many small tensors gain nothing from two threads, and stall on a busy machine. Fresh memory is often zero by chance,
which hides a read before the first write.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its pool

import functools

import pytest
import torch

UNWRITTEN = (
    (torch, "empty"),
    (torch, "empty_like"),
    (torch, "empty_strided"),
    (torch.Tensor, "new_empty"),
    (torch.Tensor, "new_empty_strided"),
)


def with_nan(allocate):
    """`allocate`, its floating-point and complex results filled with NaN."""

    @functools.wraps(allocate)
    def allocated(*args, **kwargs):
        tensor = allocate(*args, **kwargs)
        if tensor.is_floating_point() or tensor.is_complex():
            with torch.no_grad():
                tensor.fill_(float("nan"))
        return tensor

    return allocated


@pytest.fixture(autouse=True)
def nan_in_unwritten_memory(monkeypatch):
    # not torch's own switch: it works in deterministic mode alone, which takes other kernels than production does
    for owner, name in UNWRITTEN:
        monkeypatch.setattr(owner, name, with_nan(getattr(owner, name)))

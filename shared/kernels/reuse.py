"""Memory for large results that is used again: its first touch, page by page, takes longer than a scan's arithmetic.

The C library maps blocks above 32 MB anew for every tensor and unmaps them with it. Here a block waits for the next
result of its size instead. A new one gets its pages in one call where the system can: small ones, since finding large
ones took longer than all else.
"""

import math
import mmap
import weakref

import torch
from torch import Tensor

SMALLEST = 1 << 24  # bytes; below, the C library keeps memory by itself
LARGEST = 1 << 29  # bytes that may wait in all

_waiting: list[mmap.mmap] = []  # the longest unused first


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A contiguous CPU tensor that is not written yet; its memory comes back when its last view goes."""
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return torch.empty(shape, dtype=dtype)
    lease = memoryview(_block(size))
    weakref.finalize(lease, _keep, lease.obj).atexit = False
    return torch.frombuffer(lease, dtype=dtype).view(shape)


def _block(size: int) -> mmap.mmap:
    for index in reversed(range(len(_waiting))):
        if len(_waiting[index]) == size:
            return _waiting.pop(index)
    populate = getattr(mmap, "MAP_POPULATE", 0)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | populate)  # a fork gets a copy


def _keep(block: mmap.mmap) -> None:
    _waiting.append(block)
    while sum(map(len, _waiting)) > LARGEST:
        _waiting.pop(0)

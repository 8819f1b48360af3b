"""Checks that every form of a kernel shares: shapes with a sentence, and the dtype that sums are kept in."""

import torch
from torch import Tensor


def require_shape(name: str, tensor: Tensor, expected: tuple[int, ...], because: str) -> None:
    """Raise unless `tensor` has shape `expected`.

    Args:
        because: what fixes the expected shape, e.g. "q (2, 5, 3, 4)"; printed beside the shape found.
    Raises:
        ValueError: with both shapes.
    """
    if tuple(tensor.shape) != tuple(expected):
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, but {because} asks for {tuple(expected)}")


def require_rank(name: str, tensor: Tensor, axes: str) -> None:
    """Raise unless `tensor` has as many axes as `axes` names, e.g. "B T H D", and at least one time step."""
    wanted = axes.split()
    if tensor.dim() != len(wanted) or 0 in tensor.shape:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}; expected {len(wanted)} non-empty axes ({', '.join(wanted)})"
        )


def state_dtype(*tensors: Tensor | None) -> torch.dtype:
    """Dtype in which sums over time are kept and states returned: the widest input, at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        if tensor is not None:
            dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def require_chunk_size(chunk_size: int) -> None:
    """Raise unless `chunk_size` is a power of two, at least 1; the forms split chunks in halves."""
    if chunk_size < 1 or chunk_size & (chunk_size - 1):
        raise ValueError(f"chunk_size must be a power of two, at least 1; got {chunk_size}")

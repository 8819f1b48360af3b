"""Custom gradients that survive `torch.func.vmap`: the mapped axis is folded into the batch axis."""

from typing import Any

import torch
from torch import Tensor


class BatchFunction(torch.autograd.Function):
    """Base of autograd functions whose tensors, in and out, all begin with one and the same batch axis.

    The rows of a batch do not interact, so M mapped calls on batches of size B are one call on a batch of M * B.
    """

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple, *args: Any) -> tuple[tuple, tuple]:
        """Fold the mapped axis of every tensor into axis 0, call once, unfold the outputs."""
        folded = [
            _fold(arg, dim, info.batch_size) if isinstance(arg, Tensor) else arg
            for arg, dim in zip(args, in_dims, strict=True)
        ]
        outputs = cls.apply(*folded)
        unfolded = tuple(None if z is None else z.unflatten(0, (info.batch_size, -1)) for z in outputs)
        return unfolded, tuple(None if z is None else 0 for z in outputs)


class GradientFunction(BatchFunction):
    """Base of the functions that are a fast form's gradient: they have none themselves, so they keep nothing."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        """Nothing to keep."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("this form has no second derivative; use backend='reference' for it")


def _fold(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    mapped = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return mapped.flatten(0, 1)

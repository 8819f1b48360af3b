"""Custom gradients that survive `torch.func.vmap`, at little cost; most fold the mapped axis into the batch axis."""

import inspect
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import (
    CVmapInterpreterPtr,
    TransformType,
    _add_batch_dim,
    _unwrap_batched,
    peek_interpreter_stack,
)
from torch._functorch.autograd_function import VmapInfo
from torch._functorch.pyfunctorch import temporarily_pop_interpreter_stack


class DirectFunction(torch.autograd.Function):
    """An autograd function with a rule for vmap, called without the milliseconds that torch's way there takes."""

    def __init_subclass__(cls) -> None:
        if "forward" in vars(cls):  # torch asks for it at every call, and to find it out takes longer than most kernels
            cls.forward.__signature__ = inspect.signature(cls.forward)

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """As torch.autograd.Function's, whatever transforms it is called under."""
        top = peek_interpreter_stack()
        if top is None or top.key() != TransformType.Vmap:
            return super().apply(*args)
        level = top.level()
        tensors, dims = zip(
            *[_unwrap_batched(arg, level) if isinstance(arg, Tensor) else (arg, None) for arg in args], strict=True
        )
        with temporarily_pop_interpreter_stack():
            if all(dim is None for dim in dims):
                return cls.apply(*args)
            found, places = cls.vmap(VmapInfo(CVmapInterpreterPtr(top).batchSize(), "error"), dims, *tensors)
        if isinstance(found, Tensor):
            return _add_batch_dim(found, places, level)
        return tuple(z if at is None else _add_batch_dim(z, at, level) for z, at in zip(found, places, strict=True))


class BatchFunction(DirectFunction):
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

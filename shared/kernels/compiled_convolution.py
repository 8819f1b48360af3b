"""Compiled form of the short depthwise convolution, with its own gradient.

Shapes: B batch, T time, D channels, W filter width.
"""

from typing import Any

from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction
from shared.kernels.compiled import call, num_threads, per_row, rows, whole
from shared.kernels.reuse import empty


def short_convolution_compiled(x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor) -> Tensor:
    """Outputs (B, T, D).

    Args:
        x: (B, T, D); weight: (D, W); bias: (D,) or None; initial_state: (B, W - 1, D); one dtype, float32 or float64.
    """
    batch = x.shape[0]
    filters = weight.t().contiguous().expand(batch, -1, -1)
    return _ShortConvolution.apply(x, initial_state, filters, None if bias is None else bias.expand(batch, -1))[0]


def _sizes(x: Tensor, filters: Tensor) -> tuple[int, ...]:
    return (*x.shape, filters.shape[1], num_threads(x.numel()))


class _ShortConvolution(BatchFunction):
    @staticmethod
    def forward(x: Tensor, initial: Tensor, filters: Tensor, bias: Tensor | None) -> tuple[Tensor]:
        y = empty(x.shape, x.dtype)
        x, given = rows(x), (None, 0) if bias is None else per_row(bias)
        inputs = (x, *x.stride()[:2], whole(initial), *per_row(filters), *given)
        call("convolution_forward", x.dtype, *inputs, y, *_sizes(x, filters))
        return (y,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.has_bias = inputs[3] is not None
        ctx.save_for_backward(*inputs[:3])

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        *grads, d_bias = _ShortConvolutionBackward.apply(dy, *ctx.saved_tensors)
        return *grads, d_bias if ctx.has_bias else None


class _ShortConvolutionBackward(GradientFunction):
    """Gradients in the order of the forward pass's arguments."""

    @staticmethod
    def forward(dy: Tensor, x: Tensor, initial: Tensor, filters: Tensor) -> tuple[Tensor, ...]:
        grads = tuple(empty(z.shape, z.dtype) for z in (x, initial, filters, x[:, 0]))
        x, dy = rows(x), rows(dy)
        inputs = (x, *x.stride()[:2], whole(initial), *per_row(filters), dy, *dy.stride()[:2])
        call("convolution_backward", x.dtype, *inputs, *grads, *_sizes(x, filters))
        return grads

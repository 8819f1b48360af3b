"""Compiled form of the diagonal recurrence, with its own gradient.

Shapes: B batch, T time, F any further axes.
"""

from typing import Any

from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction
from shared.kernels.compiled import call, num_threads, rows, whole
from shared.kernels.reuse import empty


def diagonal_compiled(a: Tensor, x: Tensor, h0: Tensor) -> Tensor:
    """States (B, T, *F) of h_t = a_t * h_{t-1} + x_t; a and x (B, T, *F), h0 (B, *F), of one dtype, real or complex."""
    return _Scan.apply(a, x, h0)[0]


def _sizes(z: Tensor) -> tuple[int, ...]:
    """B, T, D and the number of threads, for z (B, T, D)."""
    return (*z.shape, num_threads(z.numel()))


class _Scan(BatchFunction):
    @staticmethod
    def forward(a: Tensor, x: Tensor, h0: Tensor) -> tuple[Tensor]:
        out = empty(x.shape, x.dtype)
        a, x, h0 = rows(a), rows(x), whole(h0)
        call("diagonal_forward", x.dtype, a, *a.stride()[:2], x, *x.stride()[:2], h0, out, *_sizes(x))
        return (out,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        a, _, h0 = inputs
        ctx.save_for_backward(a, h0, output[0])

    @staticmethod
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        return _ScanBackward.apply(ctx.needs_input_grad[0], d_states, *ctx.saved_tensors)


class _ScanBackward(GradientFunction):
    """dx_t = dh_t + conj(a_{t+1}) dx_{t+1}, a recurrence in reversed time; da_t = dx_t conj(h_{t-1})."""

    @staticmethod
    def forward(wants_da: bool, d_states: Tensor, a: Tensor, h0: Tensor, states: Tensor) -> tuple[Tensor | None, ...]:
        dx, dh0 = (empty(z.shape, z.dtype) for z in (states, h0))
        da = empty(states.shape, states.dtype) if wants_da else None
        a, flow, states, h0 = rows(a), rows(d_states), rows(whole(states)), whole(h0)
        strides = (*a.stride()[:2], flow, *flow.stride()[:2])
        call("diagonal_backward", a.dtype, a, *strides, h0, states, da, dx, dh0, *_sizes(states))
        return da, dx, dh0

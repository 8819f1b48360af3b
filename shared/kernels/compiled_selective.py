"""Compiled form of the selective scan: a step's decays, states and read-out in one pass that keeps no (T, D, N) tensor.

Every 16th state is kept, and the backward pass recomputes those between. exp(delta A) is 2^(delta (A / ln 2)).
Shapes: B batch, T time, D channels, N states per channel.
"""

from typing import Any

from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction
from shared.kernels.compiled import call, num_threads, per_row, whole
from shared.kernels.reuse import empty

CHUNK_SIZE = 16  # its decays and states of a block of channels fit into the second cache
LANES = 8  # rows of channels are padded to whole vectors, of 8 floats at most


def selective_compiled(
    state: Tensor, A: Tensor, x: Tensor, delta: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, D) and the state after the last step (B, D, N).

    Args:
        state, A: (B, D, N); x, delta: (B, T, D); B, C: (B, T, N); one dtype, float32 or float64.
    """
    return _SelectiveScan.apply(state, A, x, delta, B, C)[:2]


def _sizes(x: Tensor, A: Tensor) -> tuple[int, ...]:
    return (*x.shape, A.shape[2], CHUNK_SIZE, num_threads(x.numel() * A.shape[2]))


class _SelectiveScan(BatchFunction):
    @staticmethod
    def forward(state: Tensor, A: Tensor, x: Tensor, delta: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, ...]:
        (batch, steps, channels), states = x.shape, A.shape[2]
        y, last = (empty(z.shape, z.dtype) for z in (x, state))
        padded = -(-channels // LANES) * LANES
        kept = empty((batch, -(-steps // CHUNK_SIZE), padded * states), x.dtype)
        inputs = (*map(whole, (x, delta, B, C)), whole(state))
        call("selective_forward", x.dtype, *per_row(A), *inputs, y, last, kept, *_sizes(x, A))
        return y, last, kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(output[2], *inputs[1:])

    @staticmethod
    def backward(ctx: Any, dy: Tensor, d_last: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        return _SelectiveScanBackward.apply(dy, d_last, *ctx.saved_tensors)


class _SelectiveScanBackward(GradientFunction):
    """Gradients in the order of the forward pass's arguments."""

    @staticmethod
    def forward(
        dy: Tensor, d_last: Tensor, kept: Tensor, A: Tensor, x: Tensor, delta: Tensor, B: Tensor, C: Tensor
    ) -> tuple[Tensor, ...]:
        grads = tuple(empty(z.shape, z.dtype) for z in (d_last, A, x, delta, B, C))
        blocks = call("selective_parts", x.dtype, x.shape[2], A.shape[2], CHUNK_SIZE)
        parts = empty((x.shape[0], blocks, 2, *B.shape[1:]), x.dtype)
        inputs = map(whole, (x, delta, B, C, dy, d_last, kept))
        call("selective_backward", x.dtype, *per_row(A), *inputs, *grads, parts, *_sizes(x, A))
        return grads

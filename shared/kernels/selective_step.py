"""What one chunk of the selective scan computes, with its gradient written out.

The (B, C, D, N) intermediates dominate: torch's own gradient would pass over them about twice as often.
Shapes: B batch, C steps in the chunk, D channels, N states.
"""

from typing import Any

import torch
from torch import Tensor


def selective_step(state: Tensor, A: Tensor, x: Tensor, delta: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (B, C, D) and the state after the chunk (B, D, N), for `chunk_loop`.

    Args:
        state, A: (B, D, N); x, delta: (B, C, D); B, C: (B, C, N); one dtype, float32 or wider.
    """
    return _SelectiveStep.apply(state, A, x, delta, B, C)


class _SelectiveStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, state: Tensor, A: Tensor, x: Tensor, delta: Tensor, B: Tensor, C: Tensor
    ) -> tuple[Tensor, Tensor]:
        decay = (delta.unsqueeze(-1) * A.unsqueeze(1)).exp_()  # (B, C, D, N)
        states = (delta * x).unsqueeze(-1) * B.unsqueeze(2)  # the inputs, turned into states in place
        h = state
        for decay_t, h_t in zip(decay.unbind(1), states.unbind(1), strict=True):
            h = h_t.addcmul_(decay_t, h)
        ctx.save_for_backward(state, A, x, delta, B, C, decay, states)
        return (states @ C.unsqueeze(-1)).squeeze(-1), h.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        state, A, x, delta, B, C, decay, states = ctx.saved_tensors
        flow = dy.unsqueeze(-1) * C.unsqueeze(2)  # turned into the gradients of the states in place
        decays, flows = decay.unbind(1), flow.unbind(1)
        flows[-1].add_(d_last)
        for t in range(len(flows) - 2, -1, -1):
            flows[t].addcmul_(decays[t + 1], flows[t + 1])
        d_driven = (flow @ B.unsqueeze(-1)).squeeze(-1)
        dB = ((delta * x).unsqueeze(2) @ flow).squeeze(2)
        dC = (dy.unsqueeze(2) @ states).squeeze(2)
        d_state = decays[0] * flows[0]
        d_exponent = flow.mul_(decay)  # times h_{t-1}: the gradient of delta_t A
        d_exponent[:, 1:].mul_(states[:, :-1])
        d_exponent[:, 0].mul_(state)
        dA = (d_exponent * delta.unsqueeze(-1)).sum(1)
        # a product with ones: summing a short last axis is twice as slow, and einsum would copy
        d_delta = x * d_driven + (d_exponent * A.unsqueeze(1)) @ A.new_ones(A.shape[-1])
        return d_state, dA, delta * d_driven, d_delta, dB, dC

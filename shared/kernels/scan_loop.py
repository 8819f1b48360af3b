"""Torch form of the diagonal recurrence: one fused multiply-add per step, written in place, with its own gradient.

A step touches one (B, F) slab that the next step finds in cache, so the loop moves each input and output once; the
log-depth alternatives move them log T times.
Shapes: B batch, T time, F any further axes.
"""

from typing import Any

import torch
from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction


def scan_loop(a: Tensor, x: Tensor, h0: Tensor) -> Tensor:
    """States (B, T, *F) of h_t = a_t * h_{t-1} + x_t; a and x (B, T, *F), h0 (B, *F), all of one dtype."""
    return _Scan.apply(a, x, h0)[0]


def _run(a: list[Tensor], x: list[Tensor], h: Tensor, out: list[Tensor]) -> Tensor:
    """out_t = x_t + a_t * (out_{t-1} or h); returns the last."""
    for a_t, x_t, out_t in zip(a, x, out, strict=True):
        h = torch.addcmul(x_t, a_t, h, out=out_t)
    return h


class _Scan(BatchFunction):
    @staticmethod
    def forward(a: Tensor, x: Tensor, h0: Tensor) -> tuple[Tensor]:
        out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        _run(a.unbind(1), x.unbind(1), h0, out.unbind(1))
        return (out,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        a, _, h0 = inputs
        ctx.save_for_backward(a, h0, output[0])

    @staticmethod
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor, ...]:
        return _ScanBackward.apply(d_states, *ctx.saved_tensors)


class _ScanBackward(GradientFunction):
    """dx_t = dh_t + conj(a_{t+1}) dx_{t+1}, a recurrence in reversed time; da_t = dx_t conj(h_{t-1})."""

    @staticmethod
    def forward(d_states: Tensor, a: Tensor, h0: Tensor, states: Tensor) -> tuple[Tensor, ...]:
        if a.is_complex():  # the in-place product takes no lazily conjugated operand
            a, states, h0 = (z.conj().resolve_conj() for z in (a, states, h0))
        dx, da = torch.empty_like(states), torch.empty_like(states)
        rows, factors = dx.unbind(1), a.unbind(1)
        rows[-1].copy_(d_states[:, -1])
        _run(factors[:0:-1], d_states.unbind(1)[-2::-1], rows[-1], rows[-2::-1])
        torch.mul(dx[:, 1:], states[:, :-1], out=da[:, 1:])
        torch.mul(dx[:, 0], h0, out=da[:, 0])
        return da, dx, factors[0] * rows[0]

"""Triton form of the selective scan: tiles of time scanned in registers, states never written but one per tile.

Shapes: B batch, T time, D channels, N states per channel; the tile's states are (BLOCK_T, BLOCK_D, BLOCK_N).
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction

BLOCK_T = 16
MAX_BLOCK_D = 16


def selective_triton(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """y_t = C_t h_t without skip; delta is the step size itself, A (B, D, N). Sums are kept in float32."""
    y, final, _ = _Selective.apply(x, delta, A, B, C, state)
    return y, final


@triton.jit
def _combine(a1, x1, a2, x2):
    return a2 * a1, a2 * x1 + x2


@triton.jit
def _row(tile, index):
    rows = tl.arange(0, tile.shape[0])[:, None, None]
    return tl.sum(tl.where(rows == index, tile, 0.0), 0)


@triton.jit
def _load(base, b, t, T, SIZE, columns, below):
    """Rows t < below of a contiguous (B, T, SIZE) tensor as float32; zeros outside."""
    at = (b * T + t[:, None]) * SIZE + columns[None, :]
    return tl.load(base + at, mask=(t < below)[:, None] & (columns < SIZE)[None, :], other=0.0).to(tl.float32)


@triton.jit
def _forward_kernel(
    x, delta, A, B, C, initial, y, states, final, T, num_tiles, D, N,
    BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0).to(tl.int64)
    d, n = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N)
    at, mask = d[:, None] * N + n[None, :], (d < D)[:, None] & (n < N)[None, :]
    rates = tl.load(A + b * D * N + at, mask=mask, other=0.0).to(tl.float32)
    h = tl.load(initial + b * D * N + at, mask=mask, other=0.0).to(tl.float32)
    for tile in range(num_tiles):
        t = tile * BLOCK_T + tl.arange(0, BLOCK_T)
        tl.store(states + (b * num_tiles + tile) * D * N + at, h, mask=mask)
        step, x_tile = _load(delta, b, t, T, D, d, T), _load(x, b, t, T, D, d, T)
        decay = tl.exp(step[:, :, None] * rates[None, :, :])
        driven = (step * x_tile)[:, :, None] * _load(B, b, t, T, N, n, T)[:, None, :]
        factor, h_tile = tl.associative_scan((decay, driven), 0, _combine)
        h_tile += factor * h[None, :, :]
        result = tl.sum(h_tile * _load(C, b, t, T, N, n, T)[:, None, :], 2)
        tl.store(y + (b * T + t[:, None]) * D + d[None, :], result, mask=(t < T)[:, None] & (d < D)[None, :])
        h = _row(h_tile, BLOCK_T - 1)
    tl.store(final + b * D * N + at, h, mask=mask)


@triton.jit
def _backward_kernel(
    x, delta, A, B, C, states, dy, d_final, dx, d_delta, dA, dB, dC, d_initial, T, num_tiles, num_blocks, D, N,
    BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """dB and dC are (B, num_blocks, T, N): one summand per block of channels."""
    b = tl.program_id(0).to(tl.int64)
    d, n = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N)
    at, mask = d[:, None] * N + n[None, :], (d < D)[:, None] & (n < N)[None, :]
    rates = tl.load(A + b * D * N + at, mask=mask, other=0.0).to(tl.float32)
    flow = tl.load(d_final + b * D * N + at, mask=mask, other=0.0).to(tl.float32)
    d_rates = tl.zeros((BLOCK_D, BLOCK_N), tl.float32)
    for back in range(num_tiles):
        tile = num_tiles - 1 - back
        t = tile * BLOCK_T + tl.arange(0, BLOCK_T)
        h = tl.load(states + (b * num_tiles + tile) * D * N + at, mask=mask, other=0.0)
        step, x_tile = _load(delta, b, t, T, D, d, T), _load(x, b, t, T, D, d, T)
        B_tile, dy_tile = _load(B, b, t, T, N, n, T), _load(dy, b, t, T, D, d, T)
        decay = tl.exp(step[:, :, None] * rates[None, :, :])
        driven = (step * x_tile)[:, :, None] * B_tile[:, None, :]
        factor, h_tile = tl.associative_scan((decay, driven), 0, _combine)
        h_tile += factor * h[None, :, :]
        # gradients travel back through the next step's decay; `flow` has passed the one after this tile already
        inner = tl.minimum(T, (tile + 1) * BLOCK_T)
        later = tl.exp(_load(delta, b, t + 1, T, D, d, inner)[:, :, None] * rates[None, :, :])
        arriving = dy_tile[:, :, None] * _load(C, b, t, T, N, n, T)[:, None, :]
        factor, dh = tl.associative_scan((later, arriving), 0, _combine, reverse=True)
        dh += factor * flow[None, :, :]
        flow = _row(dh * decay, 0)
        d_exponent = dh * (h_tile - driven)  # h_t - driven_t is decay_t h_{t-1}
        d_driven = tl.sum(dh * B_tile[:, None, :], 2)
        d_step = x_tile * d_driven + tl.sum(d_exponent * rates[None, :, :], 2)
        d_rates += tl.sum(d_exponent * step[:, :, None], 0)
        td, inside = (b * T + t[:, None]) * D + d[None, :], (t < T)[:, None] & (d < D)[None, :]
        tl.store(dx + td, step * d_driven, mask=inside)
        tl.store(d_delta + td, d_step, mask=inside)
        part = ((b * num_blocks + tl.program_id(1)) * T + t[:, None]) * N + n[None, :]
        within = (t < T)[:, None] & (n < N)[None, :]
        tl.store(dB + part, tl.sum(dh * (step * x_tile)[:, :, None], 1), mask=within)
        tl.store(dC + part, tl.sum(h_tile * dy_tile[:, :, None], 1), mask=within)
    tl.store(dA + b * D * N + at, d_rates, mask=mask)
    tl.store(d_initial + b * D * N + at, flow, mask=mask)


def _blocks(channels: int, states: int) -> dict[str, int]:
    block_d = min(MAX_BLOCK_D, triton.next_power_of_2(channels))
    return {"BLOCK_T": BLOCK_T, "BLOCK_D": block_d, "BLOCK_N": triton.next_power_of_2(states)}


class _Selective(BatchFunction):
    @staticmethod
    def forward(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple:
        x, delta, A, B, C, state = (z.contiguous() for z in (x, delta, A, B, C, state))
        (batch, steps, channels), num_states = x.shape, A.shape[2]
        num_tiles, fixed = triton.cdiv(steps, BLOCK_T), _blocks(channels, num_states)
        states = torch.empty(batch, num_tiles, channels, num_states, dtype=torch.float32, device=x.device)
        y, final = torch.empty_like(x), torch.empty_like(state)
        _forward_kernel[(batch, triton.cdiv(channels, fixed["BLOCK_D"]))](
            x, delta, A, B, C, state, y, states, final, steps, num_tiles, channels, num_states, **fixed
        )
        return y, final, states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(output[2], *inputs[:5])

    @staticmethod
    def backward(ctx: Any, dy: Tensor, d_final: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        return _SelectiveBackward.apply(dy, d_final, *ctx.saved_tensors)


class _SelectiveBackward(GradientFunction):
    @staticmethod
    def forward(dy: Tensor, d_final: Tensor, states: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        dy, d_final, x, delta, A, B, C = (z.contiguous() for z in (dy, d_final, *inputs))
        (batch, steps, channels), num_states, fixed = x.shape, A.shape[2], _blocks(x.shape[2], A.shape[2])
        num_blocks = triton.cdiv(channels, fixed["BLOCK_D"])
        dx, d_delta, dA, d_initial = (torch.empty_like(z) for z in (x, delta, A, d_final))
        dB, dC = (x.new_empty((batch, num_blocks, steps, num_states), dtype=torch.float32) for _ in range(2))
        _backward_kernel[(batch, num_blocks)](
            x, delta, A, B, C, states, dy, d_final, dx, d_delta, dA, dB, dC, d_initial,
            steps, states.shape[1], num_blocks, channels, num_states, **fixed, num_warps=8,
        )  # fmt: skip
        return dx, d_delta, dA, dB.sum(1).to(B.dtype), dC.sum(1).to(C.dtype), d_initial

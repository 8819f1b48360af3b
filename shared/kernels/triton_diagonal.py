"""Triton form of the diagonal recurrence: tiles of time scanned in registers, one carry from tile to tile.

Memory-bound: forward reads a and x and writes h once, backward reads a, h and the gradient and writes two.
Shapes: B batch, T time, F channels (all further axes, flattened).
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction
from shared.kernels.checks import state_dtype

BLOCK_T = 32
MAX_BLOCK_F = 32


def diagonal_triton(a: Tensor, x: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """States (B, T, *F) in the common dtype of `a` and `x`, and the last one (B, *F), at least float32.

    Args:
        a: (B, T, *F), may be an expanded view; x: (B, T, *F); h0: (B, *F), at least float32.
    """
    if a.is_complex() or x.is_complex():
        a, x, h0 = (z.to(torch.complex64) for z in (a, x, h0))
    return _Scan.apply(a, x, h0)


@triton.jit
def _combine(a1, x1, a2, x2):
    return a2 * a1, a2 * x1 + x2


@triton.jit
def _combine_complex(a1, b1, x1, y1, a2, b2, x2, y2):
    return a2 * a1 - b2 * b1, a2 * b1 + b2 * a1, a2 * x1 - b2 * y1 + x2, a2 * y1 + b2 * x1 + y2


@triton.jit
def _row(tile, index, BLOCK_T: tl.constexpr):
    rows = tl.arange(0, BLOCK_T)[:, None]
    return tl.sum(tl.where(rows == index, tile, 0.0), 0)


@triton.jit
def _scan_kernel(a, x, h0, out, last, T, F, a_b, a_t, a_f, BLOCK_T: tl.constexpr, BLOCK_F: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = f < F
    h = tl.load(h0 + b * F + f, mask=inside, other=0.0).to(tl.float32)
    for start in range(0, T, BLOCK_T):
        t = start + tl.arange(0, BLOCK_T)
        mask = (t < T)[:, None] & inside[None, :]
        at = b * T * F + t[:, None] * F + f[None, :]
        a_tile = tl.load(a + b * a_b + t[:, None] * a_t + f[None, :] * a_f, mask=mask, other=1.0).to(tl.float32)
        x_tile = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
        factor, states = tl.associative_scan((a_tile, x_tile), 0, _combine)
        states += factor * h[None, :]
        tl.store(out + at, states, mask=mask)
        h = _row(states, BLOCK_T - 1, BLOCK_T)
    tl.store(last + b * F + f, h, mask=inside)


@triton.jit
def _scan_backward_kernel(
    d_out, d_last, a, h0, out, dx, da, dh0, T, F, a_b, a_t, a_f, BLOCK_T: tl.constexpr, BLOCK_F: tl.constexpr
):
    b = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = f < F
    first = tl.load(h0 + b * F + f, mask=inside, other=0.0).to(tl.float32)
    flow = tl.load(d_last + b * F + f, mask=inside, other=0.0).to(tl.float32)
    for tile in range(tl.cdiv(T, BLOCK_T)):
        t = (tl.cdiv(T, BLOCK_T) - 1 - tile) * BLOCK_T + tl.arange(0, BLOCK_T)
        mask = (t < T)[:, None] & inside[None, :]
        at = b * T * F + t[:, None] * F + f[None, :]
        # the factor of the next step carries the gradient back; 1 beyond the end
        later = (t < T - 1)[:, None] & inside[None, :]
        a_tile = tl.load(a + b * a_b + (t[:, None] + 1) * a_t + f[None, :] * a_f, mask=later, other=1.0).to(tl.float32)
        g_tile = tl.load(d_out + at, mask=mask, other=0.0).to(tl.float32)
        factor, grads = tl.associative_scan((a_tile, g_tile), 0, _combine, reverse=True)
        grads += factor * flow[None, :]
        before = tl.load(out + at - F, mask=mask & (t > 0)[:, None], other=0.0).to(tl.float32)
        before = tl.where((t == 0)[:, None], first[None, :], before)
        tl.store(dx + at, grads, mask=mask)
        tl.store(da + at, grads * before, mask=mask)
        flow = _row(grads, 0, BLOCK_T)
    a_first = tl.load(a + b * a_b + f * a_f, mask=inside, other=0.0).to(tl.float32)
    tl.store(dh0 + b * F + f, flow * a_first, mask=inside)


@triton.jit
def _complex_scan_kernel(a, x, h0, out, last, T, F, a_b, a_t, a_f, BLOCK_T: tl.constexpr, BLOCK_F: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = f < F
    real = tl.load(h0 + 2 * (b * F + f), mask=inside, other=0.0)
    imag = tl.load(h0 + 2 * (b * F + f) + 1, mask=inside, other=0.0)
    for start in range(0, T, BLOCK_T):
        t = start + tl.arange(0, BLOCK_T)
        mask = (t < T)[:, None] & inside[None, :]
        at = 2 * (b * T * F + t[:, None] * F + f[None, :])
        a_at = a + 2 * (b * a_b + t[:, None] * a_t + f[None, :] * a_f)
        a_real = tl.load(a_at, mask=mask, other=1.0)
        a_imag = tl.load(a_at + 1, mask=mask, other=0.0)
        x_real = tl.load(x + at, mask=mask, other=0.0)
        x_imag = tl.load(x + at + 1, mask=mask, other=0.0)
        p, q, s, r = tl.associative_scan((a_real, a_imag, x_real, x_imag), 0, _combine_complex)
        out_real = s + p * real[None, :] - q * imag[None, :]
        out_imag = r + p * imag[None, :] + q * real[None, :]
        tl.store(out + at, out_real, mask=mask)
        tl.store(out + at + 1, out_imag, mask=mask)
        real, imag = _row(out_real, BLOCK_T - 1, BLOCK_T), _row(out_imag, BLOCK_T - 1, BLOCK_T)
    tl.store(last + 2 * (b * F + f), real, mask=inside)
    tl.store(last + 2 * (b * F + f) + 1, imag, mask=inside)


@triton.jit
def _complex_scan_backward_kernel(
    d_out, d_last, a, h0, out, dx, da, dh0, T, F, a_b, a_t, a_f, BLOCK_T: tl.constexpr, BLOCK_F: tl.constexpr
):
    b = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = f < F
    end = 2 * (b * F + f)
    first_real = tl.load(h0 + end, mask=inside, other=0.0)
    first_imag = tl.load(h0 + end + 1, mask=inside, other=0.0)
    real = tl.load(d_last + end, mask=inside, other=0.0)
    imag = tl.load(d_last + end + 1, mask=inside, other=0.0)
    for tile in range(tl.cdiv(T, BLOCK_T)):
        t = (tl.cdiv(T, BLOCK_T) - 1 - tile) * BLOCK_T + tl.arange(0, BLOCK_T)
        mask = (t < T)[:, None] & inside[None, :]
        at = 2 * (b * T * F + t[:, None] * F + f[None, :])
        later = (t < T - 1)[:, None] & inside[None, :]
        a_at = a + 2 * (b * a_b + (t[:, None] + 1) * a_t + f[None, :] * a_f)
        a_real = tl.load(a_at, mask=later, other=1.0)
        a_imag = -tl.load(a_at + 1, mask=later, other=0.0)  # conjugated, as gradients of complex factors are
        g_real = tl.load(d_out + at, mask=mask, other=0.0)
        g_imag = tl.load(d_out + at + 1, mask=mask, other=0.0)
        p, q, s, r = tl.associative_scan((a_real, a_imag, g_real, g_imag), 0, _combine_complex, reverse=True)
        d_real = s + p * real[None, :] - q * imag[None, :]
        d_imag = r + p * imag[None, :] + q * real[None, :]
        earlier = mask & (t > 0)[:, None]
        h_real = tl.load(out + at - 2 * F, mask=earlier, other=0.0)
        h_imag = tl.load(out + at - 2 * F + 1, mask=earlier, other=0.0)
        h_real = tl.where((t == 0)[:, None], first_real[None, :], h_real)
        h_imag = tl.where((t == 0)[:, None], first_imag[None, :], h_imag)
        tl.store(dx + at, d_real, mask=mask)
        tl.store(dx + at + 1, d_imag, mask=mask)
        tl.store(da + at, d_real * h_real + d_imag * h_imag, mask=mask)
        tl.store(da + at + 1, d_imag * h_real - d_real * h_imag, mask=mask)
        real, imag = _row(d_real, 0, BLOCK_T), _row(d_imag, 0, BLOCK_T)
    a_real = tl.load(a + 2 * (b * a_b + f * a_f), mask=inside, other=0.0)
    a_imag = tl.load(a + 2 * (b * a_b + f * a_f) + 1, mask=inside, other=0.0)
    tl.store(dh0 + end, real * a_real + imag * a_imag, mask=inside)
    tl.store(dh0 + end + 1, imag * a_real - real * a_imag, mask=inside)


def _flat(z: Tensor) -> Tensor:
    return z.reshape(*z.shape[:2], -1)


def _memory(z: Tensor) -> Tensor:
    return torch.view_as_real(z) if z.is_complex() else z


class _Scan(BatchFunction):
    @staticmethod
    def forward(a: Tensor, x: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        (batch, steps), factors = x.shape[:2], _flat(a.resolve_conj())
        out = torch.empty(x.shape, dtype=torch.promote_types(a.dtype, x.dtype), device=x.device)
        last = torch.empty(h0.shape, dtype=state_dtype(a, x, h0), device=x.device)
        channels = factors.shape[2]
        kernel = _complex_scan_kernel if out.is_complex() else _scan_kernel
        tensors = [
            _memory(z) for z in (factors, x.resolve_conj().contiguous(), h0.resolve_conj().contiguous(), out, last)
        ]
        block = min(MAX_BLOCK_F, triton.next_power_of_2(channels))
        grid = (batch, triton.cdiv(channels, block))
        kernel[grid](*tensors, steps, channels, *factors.stride(), BLOCK_T=BLOCK_T, BLOCK_F=block)
        return out, last

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        a, x, h0 = inputs
        ctx.x_dtype = x.dtype
        ctx.save_for_backward(a, h0, output[0])

    @staticmethod
    def backward(ctx: Any, d_out: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        return _ScanBackward.apply(ctx.x_dtype, d_out, d_last, *ctx.saved_tensors)


class _ScanBackward(GradientFunction):
    @staticmethod
    def forward(
        x_dtype: torch.dtype, d_out: Tensor, d_last: Tensor, a: Tensor, h0: Tensor, out: Tensor
    ) -> tuple[Tensor, ...]:
        (batch, steps), factors = out.shape[:2], _flat(a.resolve_conj())
        dx = torch.empty(out.shape, dtype=x_dtype, device=out.device)
        da, dh0 = torch.empty(out.shape, dtype=a.dtype, device=out.device), torch.empty_like(h0)
        channels = factors.shape[2]
        kernel = _complex_scan_backward_kernel if out.is_complex() else _scan_backward_kernel
        d_out, d_last, h0 = (z.resolve_conj().contiguous() for z in (d_out, d_last, h0))
        tensors = [_memory(z) for z in (d_out, d_last, factors, h0, out, dx, da, dh0)]
        block = min(MAX_BLOCK_F, triton.next_power_of_2(channels))
        grid = (batch, triton.cdiv(channels, block))
        kernel[grid](*tensors, steps, channels, *factors.stride(), BLOCK_T=BLOCK_T, BLOCK_F=block)
        return da, dx, dh0

"""Triton forms of the chunked kernels: what is common to linear attention and the delta rule.

Forward and the recurrence of the state's gradient are Triton kernels. Given the state before every chunk and its
gradient after it, chunks are independent: the remaining gradients are those of one chunk's torch operations, all chunks
in one batch.
Shapes: B batch, T time, N chunks, C chunk size, H heads, K key size, V value size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction
from shared.kernels.checks import state_dtype

SMALLEST_DOT = 16  # tl.dot takes no shorter axis
LOWEST_LOG_DECAY = tl.constexpr(-1e6)  # zero after exp; differences of its sums stay finite


@dataclass(frozen=True)
class ChunkedForms:
    """The pieces of one kernel.

    forward(chunk_size, state, *inputs) -> outputs (B, T, H, V), final state, states before each chunk (B, N, H, K, V).
    reverse(chunk_size, d_outputs, d_state, *inputs) -> gradient of the state after each chunk (B, N, H, K, V), and of
    the first state.
    step: one chunk's torch operations, see `chunk_steps`.
    """

    forward: Callable[..., tuple[Tensor, Tensor, Tensor]]
    reverse: Callable[..., tuple[Tensor, Tensor]]
    step: Callable[..., tuple[Tensor, Tensor]]


def run_chunked(
    forms: ChunkedForms, chunk_size: int, state: Tensor, inputs: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Outputs in the dtype of the values (the third input), and the final state in float32.

    Chunks are clamped to what registers and shared memory hold: 64 steps of half-precision keys of size 64 or less,
    32 steps of anything larger.
    """
    q = inputs[0]
    largest = 64 if q.dtype != torch.float32 and q.shape[-1] <= 64 else 32
    chunk_size = min(max(chunk_size, SMALLEST_DOT), largest)
    out, final_state, _ = _Chunked.apply(forms, chunk_size, state, *inputs)
    return out, final_state


def blocks(q: Tensor, v: Tensor) -> dict[str, Any]:
    """Compile-time sizes: padded key and value sizes, and how float32 products are taken.

    Half-precision inputs have fewer digits than tf32 keeps; float32 ones get the three-product emulation.
    """
    key, value = (max(SMALLEST_DOT, triton.next_power_of_2(z.shape[-1])) for z in (q, v))
    return {
        "BLOCK_K": key,
        "BLOCK_V": min(value, 32),
        "PRECISION": "tf32x3" if q.dtype == torch.float32 else "tf32",
        "num_warps": 4 if key <= 64 else 8,
        "num_stages": 1,  # a second stage of tiles does not fit into shared memory beside the state
    }


@triton.jit
def load_rows(base, b, t, h, T, H, SIZE, columns):
    """Rows t of head h of a contiguous (B, T, H, SIZE) tensor as float32; zeros outside."""
    at = ((b * T + t[:, None]) * H + h) * SIZE + columns[None, :]
    return tl.load(base + at, mask=(t < T)[:, None] & (columns < SIZE)[None, :], other=0.0).to(tl.float32)


@triton.jit
def load_column(base, b, t, h, T, H):
    """Entries t of head h of a contiguous (B, T, H) tensor as float32; zeros outside."""
    return tl.load(base + (b * T + t) * H + h, mask=t < T, other=0.0).to(tl.float32)


@triton.jit
def log_sums(log_decay):
    """Running sums of log-decays over axis 0.

    float64: after one strong decay the differences of float32 sums would be off by more than rounding.
    """
    return tl.cumsum(tl.maximum(log_decay, LOWEST_LOG_DECAY).to(tl.float64), 0)


@triton.jit
def pairwise_decay(sums, C: tl.constexpr):
    """exp(sums_t - sums_s) where s <= t, zero elsewhere, (C, C)."""
    order = tl.arange(0, C)
    exponent = (sums[:, None] - sums[None, :]).to(tl.float32)
    return tl.exp(tl.where(order[:, None] >= order[None, :], exponent, float("-inf")))


@triton.jit
def state_offsets(b, n, h, N, H, K, V, rows, columns):
    """Offsets and mask of block (rows, columns) of a contiguous (B, N, H, K, V) tensor."""
    at = (((b * N + n) * H + h) * K + rows[:, None]) * V + columns[None, :]
    return at, (rows < K)[:, None] & (columns < V)[None, :]


def local_gradients(
    step: Callable, chunk_size: int, d_out: Tensor, d_states: Tensor, states: Tensor, inputs: tuple[Tensor, ...]
) -> list[Tensor]:
    """Gradients of the inputs, given the state before each chunk and its gradient after it."""
    num_steps, num_chunks = d_out.shape[1], states.shape[1]
    padding = num_chunks * chunk_size - num_steps

    def fold(z: Tensor) -> Tensor:
        padded = F.pad(z.to(states.dtype), (0, 0) * (z.dim() - 2) + (0, padding))
        return padded.unflatten(1, (num_chunks, chunk_size)).flatten(0, 1)

    leaves = [fold(z).detach().requires_grad_() for z in inputs]
    with torch.enable_grad():
        results = step(states.flatten(0, 1), *leaves)
    grads = torch.autograd.grad(results, leaves, (fold(d_out), d_states.flatten(0, 1)))
    return [
        grad.unflatten(0, (-1, num_chunks)).flatten(1, 2)[:, :num_steps].to(z.dtype)
        for grad, z in zip(grads, inputs, strict=True)
    ]


class _Chunked(BatchFunction):
    @staticmethod
    def forward(forms: ChunkedForms, chunk_size: int, state: Tensor, *inputs: Tensor) -> tuple:
        return forms.forward(chunk_size, state.contiguous(), *(z.contiguous() for z in inputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.forms, ctx.chunk_size, _, *tensors = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(output[2], *tensors)

    @staticmethod
    def backward(ctx: Any, d_out: Tensor, d_state: Tensor, _: Tensor) -> tuple:
        return None, None, *_ChunkedBackward.apply(ctx.forms, ctx.chunk_size, d_out, d_state, *ctx.saved_tensors)


class _ChunkedBackward(GradientFunction):
    @staticmethod
    def forward(
        forms: ChunkedForms, chunk_size: int, d_out: Tensor, d_state: Tensor, states: Tensor, *inputs: Tensor
    ) -> tuple:
        d_out, d_state, *inputs = (z.contiguous() for z in (d_out, d_state, *inputs))
        d_states, d_initial = forms.reverse(chunk_size, d_out, d_state, *inputs)
        return d_initial, *local_gradients(forms.step, chunk_size, d_out, d_states, states, tuple(inputs))


def empty_states(q: Tensor, v: Tensor, chunk_size: int) -> Tensor:
    """Room for one state per chunk, (B, N, H, K, V), in float32 or wider."""
    (batch, steps, heads, key), value = q.shape, v.shape[3]
    shape = (batch, triton.cdiv(steps, chunk_size), heads, key, value)
    return torch.empty(shape, dtype=state_dtype(q, v), device=q.device)

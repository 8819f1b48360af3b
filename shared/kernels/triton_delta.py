"""Triton form of the (gated) delta rule.

One kernel inverts each chunk's unit triangular system, all chunks in parallel; one carries the state through the chunks
and writes the outputs; one carries the state's gradient back. Shapes: B batch, T time, N chunks, C chunk size, H heads,
K key size, V value size.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from shared.kernels.chunk_steps import delta_step
from shared.kernels.triton_chunked import (
    ChunkedForms,
    blocks,
    empty_states,
    load_column,
    load_rows,
    log_sums,
    pairwise_decay,
    run_chunked,
    state_offsets,
)


def delta_triton(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, state: Tensor, chunk_size: int
) -> tuple[Tensor, Tensor]:
    """As `gated_delta_rule`."""
    return run_chunked(_DELTA, chunk_size, state, (q, k, v, beta, log_decay))


@triton.jit
def _inverse_kernel(
    k, beta, log_decay, inverse, T, N, H, K,
    C: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """(I + strictly lower part of beta_t decay_ts k_t . k_s)^-1 by forward substitution, (B, N, H, C, C)."""
    n = tl.program_id(0)
    b, h = (tl.program_id(1) // H).to(tl.int64), tl.program_id(1) % H
    order, keys = tl.arange(0, C), tl.arange(0, BLOCK_K)
    t = n * C + order
    k_rows, strength = load_rows(k, b, t, h, T, H, K, keys), load_column(beta, b, t, h, T, H)
    decay = pairwise_decay(log_sums(load_column(log_decay, b, t, h, T, H)), C)
    overlap = tl.dot(k_rows * strength[:, None], tl.trans(k_rows), input_precision=PRECISION) * decay
    overlap = tl.where(order[:, None] > order[None, :], overlap, 0.0)
    solved = tl.where(order[:, None] == order[None, :], 1.0, 0.0)
    for i in range(1, C):
        factors = tl.sum(tl.where(order[:, None] == i, overlap, 0.0), 0)  # row i
        row = tl.where(order == i, 1.0, 0.0) - tl.sum(factors[:, None] * solved, 0)
        solved = tl.where(order[:, None] == i, row[None, :], solved)
    at = (((b * N + n) * H + h) * C + order[:, None]) * C + order[None, :]
    tl.store(inverse + at, solved)


@triton.jit
def _load_inverse(inverse, b, n, h, N, H, C: tl.constexpr):
    order = tl.arange(0, C)
    return tl.load(inverse + (((b * N + n) * H + h) * C + order[:, None]) * C + order[None, :])


@triton.jit
def _outputs_kernel(
    q, k, v, beta, log_decay, inverse, initial, out, states, final, T, N, H, K, V,
    C: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    b, h = (tl.program_id(0) // H).to(tl.int64), tl.program_id(0) % H
    keys, values = tl.arange(0, BLOCK_K), tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    at, mask = state_offsets(b, 0, h, 1, H, K, V, keys, values)
    state = tl.load(initial + at, mask=mask, other=0.0).to(tl.float32)
    for n in range(N):
        t = n * C + tl.arange(0, C)
        chunk_at, _ = state_offsets(b, n, h, N, H, K, V, keys, values)
        tl.store(states + chunk_at, state, mask=mask)
        q_rows, k_rows = load_rows(q, b, t, h, T, H, K, keys), load_rows(k, b, t, h, T, H, K, keys)
        strength, sums = load_column(beta, b, t, h, T, H), log_sums(load_column(log_decay, b, t, h, T, H))
        since, total = tl.exp(sums.to(tl.float32)), tl.sum(tl.where(tl.arange(0, C) == C - 1, sums, 0.0), 0)
        recalled = tl.dot(k_rows, state, input_precision=PRECISION) * since[:, None]
        wanted = (load_rows(v, b, t, h, T, H, V, values) - recalled) * strength[:, None]
        written = tl.dot(_load_inverse(inverse, b, n, h, N, H, C), wanted, input_precision=PRECISION)
        scores = tl.dot(q_rows, tl.trans(k_rows), input_precision=PRECISION) * pairwise_decay(sums, C)
        result = tl.dot(q_rows, state, input_precision=PRECISION) * since[:, None]
        result += tl.dot(scores, written, input_precision=PRECISION)
        out_at = ((b * T + t[:, None]) * H + h) * V + values[None, :]
        tl.store(out + out_at, result, mask=(t < T)[:, None] & (values < V)[None, :])
        kept = k_rows * tl.exp((total - sums).to(tl.float32))[:, None]
        state = state * tl.exp(total.to(tl.float32)) + tl.dot(tl.trans(kept), written, input_precision=PRECISION)
    tl.store(final + at, state, mask=mask)


@triton.jit
def _state_gradients_kernel(
    q, k, beta, log_decay, inverse, d_out, d_final, d_states, d_initial, T, N, H, K, V,
    C: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    b, h = (tl.program_id(0) // H).to(tl.int64), tl.program_id(0) % H
    keys, values = tl.arange(0, BLOCK_K), tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    at, mask = state_offsets(b, 0, h, 1, H, K, V, keys, values)
    flow = tl.load(d_final + at, mask=mask, other=0.0).to(tl.float32)
    for back in range(N):
        n = N - 1 - back
        t = n * C + tl.arange(0, C)
        chunk_at, _ = state_offsets(b, n, h, N, H, K, V, keys, values)
        tl.store(d_states + chunk_at, flow, mask=mask)
        q_rows, k_rows = load_rows(q, b, t, h, T, H, K, keys), load_rows(k, b, t, h, T, H, K, keys)
        strength, sums = load_column(beta, b, t, h, T, H), log_sums(load_column(log_decay, b, t, h, T, H))
        since, total = tl.exp(sums.to(tl.float32)), tl.sum(tl.where(tl.arange(0, C) == C - 1, sums, 0.0), 0)
        d_rows = load_rows(d_out, b, t, h, T, H, V, values)
        scores = tl.dot(q_rows, tl.trans(k_rows), input_precision=PRECISION) * pairwise_decay(sums, C)
        kept = k_rows * tl.exp((total - sums).to(tl.float32))[:, None]
        d_written = tl.dot(tl.trans(scores), d_rows, input_precision=PRECISION)
        d_written += tl.dot(kept, flow, input_precision=PRECISION)
        solved = tl.trans(_load_inverse(inverse, b, n, h, N, H, C))
        d_recalled = tl.dot(solved, d_written, input_precision=PRECISION) * (strength * since)[:, None]
        flow = flow * tl.exp(total.to(tl.float32))
        flow += tl.dot(tl.trans(q_rows * since[:, None]), d_rows, input_precision=PRECISION)
        flow -= tl.dot(tl.trans(k_rows), d_recalled, input_precision=PRECISION)
    tl.store(d_initial + at, flow, mask=mask)


def _inverse(chunk_size: int, num_chunks: int, k: Tensor, beta: Tensor, log_decay: Tensor, fixed: dict) -> Tensor:
    batch, steps, heads, key = k.shape
    inverse = k.new_empty((batch, num_chunks, heads, chunk_size, chunk_size), dtype=torch.float32)
    _inverse_kernel[(num_chunks, batch * heads)](
        k, beta, log_decay, inverse, steps, num_chunks, heads, key,
        C=chunk_size, **{name: value for name, value in fixed.items() if name != "BLOCK_V"},
    )  # fmt: skip
    return inverse


def _forward(
    chunk_size: int, state: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    (batch, steps, heads, key), value, fixed = q.shape, v.shape[3], blocks(q, v)
    states, final, out = empty_states(q, v, chunk_size), torch.empty_like(state), torch.empty_like(v)
    inverse = _inverse(chunk_size, states.shape[1], k, beta, log_decay, fixed)
    _outputs_kernel[(batch * heads, triton.cdiv(value, fixed["BLOCK_V"]))](
        q, k, v, beta, log_decay, inverse, state, out, states, final, steps, states.shape[1], heads, key, value,
        C=chunk_size, **fixed,
    )  # fmt: skip
    return out, final, states


def _reverse(
    chunk_size: int, d_out: Tensor, d_final: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor]:
    (batch, steps, heads, key), value, fixed = q.shape, v.shape[3], blocks(q, v)
    d_states, d_initial = empty_states(q, v, chunk_size), torch.empty_like(d_final)
    inverse = _inverse(chunk_size, d_states.shape[1], k, beta, log_decay, fixed)
    _state_gradients_kernel[(batch * heads, triton.cdiv(value, fixed["BLOCK_V"]))](
        q, k, beta, log_decay, inverse, d_out, d_final, d_states, d_initial,
        steps, d_states.shape[1], heads, key, value, C=chunk_size, **fixed,
    )  # fmt: skip
    return d_states, d_initial


_DELTA = ChunkedForms(_forward, _reverse, delta_step)

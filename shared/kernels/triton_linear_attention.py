"""Triton forms of scalar- and vector-decay linear attention.

One kernel carries the state from chunk to chunk, one computes all outputs in parallel, one carries the state's gradient
back. Shapes: B batch, T time, N chunks, C chunk size, H heads, K key size, V value size.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from shared.kernels.chunk_steps import scalar_decay_step, vector_decay_step
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

BLOCK_C = 16  # steps of a sub-block in the vector-decay outputs


def linear_attention_triton(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, state: Tensor, chunk_size: int
) -> tuple[Tensor, Tensor]:
    """As `scalar_decay_attention` (log_decay (B, T, H)) or `vector_decay_attention` ((B, T, H, K))."""
    return run_chunked(_VECTOR if log_decay.dim() == 4 else _SCALAR, chunk_size, state, (q, k, v, log_decay))


@triton.jit
def _decays(log_decay, b, t, h, T, H, K, keys, VECTOR: tl.constexpr):
    """Decay since the chunk's begin and until its end (C, BLOCK_K or 1), and over all of it (BLOCK_K or 1,)."""
    if VECTOR:
        sums = log_sums(load_rows(log_decay, b, t, h, T, H, K, keys))
        rows = tl.arange(0, t.shape[0])[:, None]
        total = tl.sum(tl.where(rows == t.shape[0] - 1, sums, 0.0), 0)
    else:
        sums = log_sums(load_column(log_decay, b, t, h, T, H)[:, None])
        rows = tl.arange(0, t.shape[0])[:, None]
        total = tl.sum(tl.where(rows == t.shape[0] - 1, sums, 0.0), 0)
    since = tl.exp(sums.to(tl.float32))
    until = tl.exp((total[None, :] - sums).to(tl.float32))
    return since, until, tl.exp(total.to(tl.float32))


@triton.jit
def _states_kernel(
    k, v, log_decay, initial, states, final, T, N, H, K, V,
    C: tl.constexpr, VECTOR: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    b, h = (tl.program_id(0) // H).to(tl.int64), tl.program_id(0) % H
    keys, values = tl.arange(0, BLOCK_K), tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    at, mask = state_offsets(b, 0, h, 1, H, K, V, keys, values)
    state = tl.load(initial + at, mask=mask, other=0.0).to(tl.float32)
    for n in range(N):
        t = n * C + tl.arange(0, C)
        chunk_at, _ = state_offsets(b, n, h, N, H, K, V, keys, values)
        tl.store(states + chunk_at, state, mask=mask)
        _, until, over = _decays(log_decay, b, t, h, T, H, K, keys, VECTOR)
        kept = load_rows(k, b, t, h, T, H, K, keys) * until
        v_rows = load_rows(v, b, t, h, T, H, V, values)
        state = state * over[:, None] + tl.dot(tl.trans(kept), v_rows, input_precision=PRECISION)
    tl.store(final + at, state, mask=mask)


@triton.jit
def _scalar_outputs_kernel(
    q, k, v, log_decay, states, out, T, N, H, K, V,
    C: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0)
    b, h = (tl.program_id(1) // H).to(tl.int64), tl.program_id(1) % H
    t, keys, values = n * C + tl.arange(0, C), tl.arange(0, BLOCK_K), tl.program_id(2) * BLOCK_V + tl.arange(0, BLOCK_V)
    q_rows, k_rows = load_rows(q, b, t, h, T, H, K, keys), load_rows(k, b, t, h, T, H, K, keys)
    sums = log_sums(load_column(log_decay, b, t, h, T, H))
    at, mask = state_offsets(b, n, h, N, H, K, V, keys, values)
    state = tl.load(states + at, mask=mask, other=0.0)
    scores = tl.dot(q_rows, tl.trans(k_rows), input_precision=PRECISION) * pairwise_decay(sums, C)
    result = tl.dot(q_rows, state, input_precision=PRECISION) * tl.exp(sums.to(tl.float32))[:, None]
    result += tl.dot(scores, load_rows(v, b, t, h, T, H, V, values), input_precision=PRECISION)
    out_at = ((b * T + t[:, None]) * H + h) * V + values[None, :]
    tl.store(out + out_at, result, mask=(t < T)[:, None] & (values < V)[None, :])


@triton.jit
def _vector_outputs_kernel(
    q, k, v, log_decay, states, out, T, N, H, K, V,
    C: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One sub-block of BLOCK_C queries: earlier sub-blocks meet it at its border, so that no exponent is positive."""
    block = tl.program_id(0)
    n, i = block // (C // BLOCK_C), block % (C // BLOCK_C)
    b, h = (tl.program_id(1) // H).to(tl.int64), tl.program_id(1) % H
    order, keys = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_K)
    values = tl.program_id(2) * BLOCK_V + tl.arange(0, BLOCK_V)
    t = n * C + i * BLOCK_C + order
    q_rows = load_rows(q, b, t, h, T, H, K, keys)
    sums = log_sums(load_rows(log_decay, b, t, h, T, H, K, keys))
    q_since = q_rows * tl.exp(sums.to(tl.float32))
    result = tl.zeros((BLOCK_C, BLOCK_V), tl.float32)
    between = tl.zeros((BLOCK_K,), tl.float64)  # log-decay from the end of sub-block j to the begin of this one
    for back in range(i):
        u = t - (back + 1) * BLOCK_C
        earlier = log_sums(load_rows(log_decay, b, u, h, T, H, K, keys))
        total = tl.sum(tl.where(order[:, None] == BLOCK_C - 1, earlier, 0.0), 0)
        until = tl.exp((total[None, :] - earlier + between[None, :]).to(tl.float32))
        kept = load_rows(k, b, u, h, T, H, K, keys) * until
        scores = tl.dot(q_since, tl.trans(kept), input_precision=PRECISION)
        result += tl.dot(scores, load_rows(v, b, u, h, T, H, V, values), input_precision=PRECISION)
        between += total
    at, mask = state_offsets(b, n, h, N, H, K, V, keys, values)
    state = tl.load(states + at, mask=mask, other=0.0)
    result += tl.dot(q_since * tl.exp(between.to(tl.float32))[None, :], state, input_precision=PRECISION)
    for s in range(BLOCK_C):
        row = n * C + i * BLOCK_C + s
        k_at, v_at = ((b * T + row) * H + h) * K + keys, ((b * T + row) * H + h) * V + values
        k_row = tl.load(k + k_at, mask=(keys < K) & (row < T), other=0.0).to(tl.float32)
        v_row = tl.load(v + v_at, mask=(values < V) & (row < T), other=0.0).to(tl.float32)
        sums_row = tl.sum(tl.where(order[:, None] == s, sums, 0.0), 0)
        exponent = tl.where(order[:, None] >= s, (sums - sums_row[None, :]).to(tl.float32), float("-inf"))
        score = tl.sum(q_rows * k_row[None, :] * tl.exp(exponent), 1)
        result += score[:, None] * v_row[None, :]
    out_at = ((b * T + t[:, None]) * H + h) * V + values[None, :]
    tl.store(out + out_at, result, mask=(t < T)[:, None] & (values < V)[None, :])


@triton.jit
def _state_gradients_kernel(
    q, log_decay, d_out, d_final, d_states, d_initial, T, N, H, K, V,
    C: tl.constexpr, VECTOR: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, PRECISION: tl.constexpr,
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
        since, _, over = _decays(log_decay, b, t, h, T, H, K, keys, VECTOR)
        q_since = load_rows(q, b, t, h, T, H, K, keys) * since
        d_rows = load_rows(d_out, b, t, h, T, H, V, values)
        flow = flow * over[:, None] + tl.dot(tl.trans(q_since), d_rows, input_precision=PRECISION)
    tl.store(d_initial + at, flow, mask=mask)


def _forward(
    chunk_size: int, state: Tensor, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    (batch, steps, heads, key), value, vector = q.shape, v.shape[3], log_decay.dim() == 4
    states, final, out = empty_states(q, v, chunk_size), torch.empty_like(state), torch.empty_like(v)
    sizes, fixed = (steps, states.shape[1], heads, key, value), blocks(q, v)
    columns = triton.cdiv(value, fixed["BLOCK_V"])
    _states_kernel[(batch * heads, columns)](
        k, v, log_decay, state, states, final, *sizes, C=chunk_size, VECTOR=vector, **fixed
    )
    if vector:
        grid = (states.shape[1] * (chunk_size // BLOCK_C), batch * heads, columns)
        _vector_outputs_kernel[grid](q, k, v, log_decay, states, out, *sizes, C=chunk_size, BLOCK_C=BLOCK_C, **fixed)
    else:
        grid = (states.shape[1], batch * heads, columns)
        _scalar_outputs_kernel[grid](q, k, v, log_decay, states, out, *sizes, C=chunk_size, **fixed)
    return out, final, states


def _reverse(
    chunk_size: int, d_out: Tensor, d_final: Tensor, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor]:
    (batch, steps, heads, key), value = q.shape, v.shape[3]
    d_states, d_initial, fixed = empty_states(q, v, chunk_size), torch.empty_like(d_final), blocks(q, v)
    _state_gradients_kernel[(batch * heads, triton.cdiv(value, fixed["BLOCK_V"]))](
        q, log_decay, d_out, d_final, d_states, d_initial, steps, d_states.shape[1], heads, key, value,
        C=chunk_size, VECTOR=log_decay.dim() == 4, **fixed,
    )  # fmt: skip
    return d_states, d_initial


_SCALAR = ChunkedForms(_forward, _reverse, scalar_decay_step)
_VECTOR = ChunkedForms(_forward, _reverse, vector_decay_step)

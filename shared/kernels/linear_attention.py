"""Linear attention whose matrix state decays: S_t = decay_t * S_{t-1} + k_t v_t^T, o_t = S_t^T q_t.

With one decay per head this is RetNet, Mamba-2's SSD and the numerator of mLSTM; with one per key channel it is gated
linear attention. Shapes: B batch, T time, H heads, K key size, V value size.

Queries are used as they come: scale them before the call. A normaliser (mLSTM, linear transformers) is one more value
column that holds ones.
"""

import torch
from torch import Tensor

from shared.kernels.checks import require_chunk_size, require_rank, require_shape, state_dtype
from shared.kernels.chunk_loop import ChunkStep, chunk_loop
from shared.kernels.chunk_steps import scalar_decay_step, vector_decay_step
from shared.kernels.dispatch import MATRIX_FORMS, choose_backend


def scalar_decay_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    initial_state: Tensor | None = None,
    *,
    chunk_size: int = 64,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """o_t = S_t^T q_t with S_t = exp(log_decay_t) S_{t-1} + k_t v_t^T, one decay per head.

    Args:
        q: queries, (B, T, H, K).
        k: keys, (B, T, H, K); input gates (Delta of SSD, exp(i) of mLSTM) are multiplied into the keys or values.
        v: values, (B, T, H, V).
        log_decay: natural logarithm of the decay, (B, T, H), at most 0; zeros give linear attention.
        initial_state: S_0, (B, H, K, V); zeros if omitted.
        chunk_size: steps handled by one matrix product; a power of two; no effect on the result beyond rounding.
        backend: "reference", "torch", "triton", or None to choose by device.
    Returns:
        outputs (B, T, H, V) in the dtype of `v`; final state S_T (B, H, K, V), at least float32.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    Source: Dao and Gu 2024 (arXiv 2405.21060), eq. 6.2; Sun et al. 2023 (arXiv 2307.08621), eq. 7.
    """
    _check(q, k, v, initial_state, chunk_size)
    require_shape("log_decay", log_decay, q.shape[:3], f"q {tuple(q.shape)}")
    return _run(
        scalar_decay_step,
        q,
        k,
        v,
        log_decay,
        initial_state,
        chunk_size,
        choose_backend("scalar_decay_attention", backend, q, MATRIX_FORMS),
    )


def vector_decay_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    initial_state: Tensor | None = None,
    *,
    chunk_size: int = 64,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """o_t = S_t^T q_t with S_t = diag(exp(log_decay_t)) S_{t-1} + k_t v_t^T, one decay per key channel.

    Args and returns as in `scalar_decay_attention`, but log_decay is (B, T, H, K). No form takes exp of a positive
    number, so decays may be as strong as they like (log_decay = -1e4 forgets) over any T.

    Source: Yang et al. 2024 (arXiv 2312.06635), eq. 3.
    """
    _check(q, k, v, initial_state, chunk_size)
    require_shape("log_decay", log_decay, q.shape, f"q {tuple(q.shape)}")
    return _run(
        vector_decay_step,
        q,
        k,
        v,
        log_decay,
        initial_state,
        chunk_size,
        choose_backend("vector_decay_attention", backend, q, MATRIX_FORMS),
    )


def _check(q: Tensor, k: Tensor, v: Tensor, initial_state: Tensor | None, chunk_size: int) -> None:
    require_rank("q", q, "B T H K")
    require_shape("k", k, q.shape, f"q {tuple(q.shape)}")
    require_rank("v", v, "B T H V")
    require_shape("v", v, (*q.shape[:3], v.shape[-1]), f"q {tuple(q.shape)}")
    if initial_state is not None:
        expected = (q.shape[0], q.shape[2], q.shape[3], v.shape[3])
        require_shape("initial_state", initial_state, expected, f"q {tuple(q.shape)} and v {tuple(v.shape)}")
    require_chunk_size(chunk_size)


def _run(
    step: ChunkStep,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    initial_state: Tensor | None,
    chunk_size: int,
    backend: str,
) -> tuple[Tensor, Tensor]:
    dtype = state_dtype(q, k, v, log_decay, initial_state)
    shape = (q.shape[0], q.shape[2], q.shape[3], v.shape[3])
    state = q.new_zeros(shape, dtype=dtype) if initial_state is None else initial_state.to(dtype)
    if backend == "triton":
        from shared.kernels.triton_linear_attention import linear_attention_triton  # here: triton is optional

        return linear_attention_triton(q, k, v, log_decay, state, chunk_size)
    inputs = tuple(z.to(dtype) for z in (q, k, v, log_decay))
    if backend == "reference":
        out, state = _reference(state, *inputs)
    else:
        out, state = chunk_loop(step, chunk_size, state, inputs)
    return out.to(v.dtype), state


def _reference(state: Tensor, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    """Token loop; log_decay (B, T, H, K) or (B, T, H)."""
    decay = log_decay.exp().view(*q.shape[:3], -1, 1)
    outputs = []
    for q_t, k_t, v_t, decay_t in zip(q.unbind(1), k.unbind(1), v.unbind(1), decay.unbind(1), strict=True):
        state = decay_t * state + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)  # (B, H, K, V)
        outputs.append((q_t.unsqueeze(-1) * state).sum(-2))
    return torch.stack(outputs, dim=1), state

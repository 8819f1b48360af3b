"""Delta rule: a matrix state that corrects what it recalls, S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T.

Shapes: B batch, T time, H heads, K key size, V value size. Keys and queries are used as they come: normalise the keys
before the call (|beta| |k|^2 <= 2 keeps the state bounded).
"""

import torch
from torch import Tensor

from shared.kernels.checks import require_chunk_size, require_rank, require_shape, state_dtype
from shared.kernels.chunk_loop import chunk_loop
from shared.kernels.chunk_steps import delta_step
from shared.kernels.dispatch import MATRIX_FORMS, choose_backend


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    initial_state: Tensor | None = None,
    *,
    chunk_size: int = 64,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """o_t = S_t^T q_t with S_t = (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T.

    Args:
        q: queries, (B, T, H, K).
        k: keys, (B, T, H, K), usually of unit length.
        v: values, (B, T, H, V).
        beta: writing strength, (B, T, H), in [0, 1]; up to 2 where negative eigenvalues are wanted.
        initial_state: S_0, (B, H, K, V); zeros if omitted.
        chunk_size: steps handled by one triangular solve; a power of two; no effect beyond rounding.
        backend: "reference", "torch", "triton", or None to choose by device.
    Returns:
        outputs (B, T, H, V) in the dtype of `v`; final state S_T (B, H, K, V), at least float32.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    Source: Yang et al. 2024 (arXiv 2406.06484), eq. 1 and section 3.
    """
    return _delta(q, k, v, beta, None, initial_state, chunk_size, backend)


def gated_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor,
    initial_state: Tensor | None = None,
    *,
    chunk_size: int = 64,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """o_t = S_t^T q_t with S_t = exp(log_decay_t) (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T.

    Args and returns as in `delta_rule`, and log_decay (B, T, H), at most 0.

    Source: Yang, Kautz and Hatamizadeh 2024 (arXiv 2412.06464), eq. 10.
    """
    return _delta(q, k, v, beta, log_decay, initial_state, chunk_size, backend)


def _delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None,
    initial_state: Tensor | None,
    chunk_size: int,
    backend: str | None,
) -> tuple[Tensor, Tensor]:
    require_rank("q", q, "B T H K")
    require_shape("k", k, q.shape, f"q {tuple(q.shape)}")
    require_rank("v", v, "B T H V")
    require_shape("v", v, (*q.shape[:3], v.shape[-1]), f"q {tuple(q.shape)}")
    require_shape("beta", beta, q.shape[:3], f"q {tuple(q.shape)}")
    if log_decay is not None:
        require_shape("log_decay", log_decay, q.shape[:3], f"q {tuple(q.shape)}")
    if initial_state is not None:
        expected = (q.shape[0], q.shape[2], q.shape[3], v.shape[3])
        require_shape("initial_state", initial_state, expected, f"q {tuple(q.shape)} and v {tuple(v.shape)}")
    require_chunk_size(chunk_size)
    dtype = state_dtype(q, k, v, beta, log_decay, initial_state)
    shape = (q.shape[0], q.shape[2], q.shape[3], v.shape[3])
    state = q.new_zeros(shape, dtype=dtype) if initial_state is None else initial_state.to(dtype)
    name = "delta_rule" if log_decay is None else "gated_delta_rule"
    choice = choose_backend(name, backend, q, MATRIX_FORMS)
    if choice == "torch":
        inputs = (q, k, v, beta) if log_decay is None else (q, k, v, beta, log_decay)
        out, state = chunk_loop(delta_step, chunk_size, state, tuple(z.to(dtype) for z in inputs))
        return out.to(v.dtype), state
    log_decay = torch.zeros_like(beta) if log_decay is None else log_decay
    if choice == "triton":
        from shared.kernels.triton_delta import delta_triton  # here: triton is optional

        return delta_triton(q, k, v, beta, log_decay, state, chunk_size)
    out, state = _reference(state, *(z.to(dtype) for z in (q, k, v, beta, log_decay)))
    return out.to(v.dtype), state


def _reference(
    state: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor]:
    decay = log_decay.exp()[..., None, None]
    outputs = []
    for q_t, k_t, v_t, beta_t, decay_t in zip(*(z.unbind(1) for z in (q, k, v, beta, decay)), strict=True):
        state = decay_t * state  # (B, H, K, V)
        recalled = (k_t.unsqueeze(-1) * state).sum(-2)
        state = state + k_t.unsqueeze(-1) * (beta_t.unsqueeze(-1) * (v_t - recalled)).unsqueeze(-2)
        outputs.append((q_t.unsqueeze(-1) * state).sum(-2))
    return torch.stack(outputs, dim=1), state

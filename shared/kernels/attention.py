"""Softmax attention: torch's fused form, and a reference that also returns the coefficients.

Shapes: B batch, T query steps, S key steps, H query heads, G key and value heads (G divides H), K key size,
V value size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.kernels.checks import require_rank, require_shape, state_dtype
from shared.kernels.dispatch import choose_backend


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    bias: Tensor | None = None,
    scale: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """Softmax attention, o_i = sum_j softmax_j(scale q_i . k_j + bias_ij) v_j.

    Args:
        q: queries, (B, T, H, K).
        k: keys, (B, S, G, K).
        v: values, (B, S, G, V).
        causal: the last query sees all keys, the one before it all but the last, and so on (S >= T: the first S - T
            keys come from a cache).
        bias: added to the scores, broadcastable to (B, H, T, S); -inf masks. A boolean one masks where it is False.
        scale: factor on the scores; 1 / sqrt(K) if omitted.
        backend: "reference" or "torch", or None to choose by device.
    Returns:
        outputs (B, T, H, V) in the dtype of `v`; zero where a query may see nothing.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    Source: Vaswani et al. 2017 (arXiv 1706.03762), eq. 1.
    """
    if choose_backend("attention", backend, q, ("reference", "torch")) == "reference":
        return attention_with_coefficients(q, k, v, causal=causal, bias=bias, scale=scale)[0]
    _check(q, k, v, causal)
    dtype, out_dtype = torch.promote_types(torch.promote_types(q.dtype, k.dtype), v.dtype), v.dtype
    mask, blind, is_causal = _additive(bias, dtype), None, False
    if causal and bias is None and q.shape[1] == k.shape[1]:
        is_causal = True
    elif causal and q.shape[1] > 1:  # one query sees every key
        future = _future(q.shape[1], k.shape[1], q.device)
        mask = torch.zeros(future.shape, dtype=dtype, device=q.device) if mask is None else mask
        mask = mask.masked_fill(future, -math.inf)
    if mask is not None and bias is not None:
        mask, blind = _let_the_blind_see(mask)
    q, k, v = (z.to(dtype).transpose(1, 2) for z in (q, k, v))
    out = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )
    out = out if blind is None else out.masked_fill(blind, 0.0)
    return out.transpose(1, 2).to(out_dtype)


def attention_with_coefficients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """`attention`, written out, with its coefficients.

    Returns:
        outputs (B, T, H, V) in the dtype of `v`; coefficients (B, H, T, S), at least float32, each row summing to 1, or
        zero where a query may see nothing.
    """
    _check(q, k, v, causal)
    dtype = state_dtype(q, k, v)
    repeats = q.shape[2] // k.shape[2]
    k, v_wide = (z.to(dtype).repeat_interleave(repeats, dim=2) for z in (k, v))
    scores = torch.einsum("bthk,bshk->bhts", q.to(dtype), k) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = scores + _additive(bias, dtype)
    if causal:
        scores = scores.masked_fill(_future(q.shape[1], k.shape[1], q.device), -math.inf)
    scores, blind = _let_the_blind_see(scores)
    coefficients = scores.softmax(-1).masked_fill(blind, 0.0)
    return torch.einsum("bhts,bshv->bthv", coefficients, v_wide).to(v.dtype), coefficients


def _check(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> None:
    require_rank("q", q, "B T H K")
    require_rank("k", k, "B S G K")
    require_rank("v", v, "B S G V")
    require_shape("k", k, (q.shape[0], k.shape[1], k.shape[2], q.shape[3]), f"q {tuple(q.shape)}")
    require_shape("v", v, (*k.shape[:3], v.shape[3]), f"k {tuple(k.shape)}")
    if q.shape[2] % k.shape[2]:
        raise ValueError(
            f"{q.shape[2]} query heads cannot share {k.shape[2]} key heads; the second must divide the first"
        )
    if causal and k.shape[1] < q.shape[1]:
        raise ValueError(f"causal attention needs at least as many keys as queries; got {k.shape[1]} and {q.shape[1]}")


def _additive(bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """A bias as it is added to the scores, at least (T or 1, S)."""
    if bias is None:
        return None
    if bias.dtype == torch.bool:
        bias = torch.zeros(bias.shape, dtype=dtype, device=bias.device).masked_fill(~bias, -math.inf)
    return torch.atleast_2d(bias.to(dtype))


def _let_the_blind_see(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores with zeros in rows that are masked throughout, whose softmax is 0 / 0; and which rows these are."""
    blind = (scores == -math.inf).all(-1, keepdim=True)
    return scores.masked_fill(blind, 0.0), blind


def _future(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    """True where a query must not look, (T, S)."""
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).triu(1 + num_keys - num_queries)

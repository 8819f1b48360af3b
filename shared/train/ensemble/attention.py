"""Attention that torch.vmap maps over members."""

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


@contextlib.contextmanager
def mappable_attention(device: torch.device) -> Iterator[None]:
    """On a CPU torch's fused attention has no batching rule: within this context plain products take its place."""
    fused = F.scaled_dot_product_attention
    if device.type == "cpu":
        F.scaled_dot_product_attention = plain_attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused


def plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`F.scaled_dot_product_attention` by two products and a softmax; same arguments, (..., T, N)."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, dim=-3), value.repeat_interleave(groups, dim=-3)
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    if attn_mask is not None:
        blocked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, float("-inf")) if blocked else scores + attn_mask
    return F.dropout(scores.softmax(-1), dropout_p) @ value

"""Categorical draws by inverse CDF.

Shapes: ... any leading axes, V vocabulary.
"""

import torch
from torch import Tensor


def inverse_cdf(probs: Tensor, uniforms: Tensor) -> Tensor:
    """Index of the first entry at which the cumulative sum of `probs` exceeds `uniforms` times the total.

    An entry without mass is never returned, and neither is an index >= V, whatever the rounding of the sum.

    Args:
        probs: non-negative weights, (..., V); they need not be normalised.
        uniforms: numbers in [0, 1), (...).
    Returns:
        Ids, (...), int64.
    Raises:
        ValueError: weights whose sum is 0 or not finite.
    """
    cumulative = probs.cumsum(-1)
    total = cumulative[..., -1:].contiguous()
    _check_mass(total)
    target = uniforms.to(probs.dtype).unsqueeze(-1) * total
    # u * total may round up to the total, beyond which there is no entry
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))
    ids = torch.searchsorted(cumulative, target, right=True).squeeze(-1)
    return ids.clamp_(max=probs.shape[-1] - 1)  # parallel scans may end a rounding step below their maximum


def draw_shared(probs: Tensor, uniforms: Tensor) -> Tensor:
    """As `inverse_cdf`, with one distribution (V,) for all `uniforms` (...), so that no (..., V) table is made."""
    cumulative = probs.cumsum(-1)
    _check_mass(cumulative[-1])
    target = (uniforms * cumulative[-1]).clamp_max(torch.nextafter(cumulative[-1], cumulative.new_zeros(())))
    return torch.searchsorted(cumulative, target, right=True).clamp_max(probs.shape[-1] - 1)


def _check_mass(total: Tensor) -> None:
    bad = ~((total > 0) & total.isfinite())
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {total.numel()} distributions have weights that sum to {float(total[bad][0]):g}; "
            f"nothing can be drawn from them"
        )


def mask_free_logits(logits: Tensor, vocab_size: int, mask_id: int) -> Tensor:
    """Copy of the first `vocab_size` logits, float32 or wider, with the mask at -inf (padded columns dropped)."""
    if logits.shape[-1] < vocab_size:
        raise ValueError(f"the network returned {logits.shape[-1]} logits per token for a vocabulary of {vocab_size}")
    wide = torch.promote_types(logits.dtype, torch.float32)
    logits = logits[..., :vocab_size].to(wide, copy=True)
    logits[..., mask_id] = -torch.inf
    return logits

"""Momentum SGD whose largest coordinates are clipped at a quantile of all of them.

    m <- momentum * m + g                       the buffer itself is never clipped
    tau <- (1 - p)-quantile of |m|              over all d coordinates of the model
    x <- x - lr * sign(m) * min(|m|, tau)

p -> 0 is momentum SGD; p -> 1 is tau * sign(m), Signum times the smallest |m|: so the best lr grows strongly with p.

`sgd_quantile_clip` is this heavy-ball form; `sgd_ema_quantile_clip` averages, m <- momentum * m + (1 - momentum) * g,
and gives the same trajectory at lr / (1 - momentum), since the quantile scales with m.

Source: Sreckovic et al. 2025, arXiv 2506.12543, section 4.2 and Appendix C, Algorithm 1. The algorithm does not say how
the quantile is interpolated; here it is the nearest rank, the ceil((1 - p) d)-th smallest.
"""

import math

import torch
from torch import Tensor

from shared.optim.ranges import Range
from shared.optim.registry import register_rule
from shared.optim.rule import DECAY, LR, Rule, beta, decayed
from shared.optim.vectors import Leaves, Vector, average, near

SHARE = Range(None, high=1.0, closed_low=False)  # p
SAMPLED_ABOVE = 2**24  # coordinates; above, the quantile is that of a strided sample, since selection takes long
_SAMPLE = 2**22


def magnitude_quantile(m: Vector, p: Tensor | float, sampled_above: int = SAMPLED_ABOVE) -> Tensor:
    """The ceil((1 - p) d)-th smallest |m|: (M, 1) for (M, d), a 0-d tensor for `Leaves`.

    Args:
        m: one value per coordinate.
        p: share above the quantile, in (0, 1); a number or (M, 1).
        sampled_above: with more coordinates than this, every s-th one is looked at, at least 2**22 of them where
            there are as many: the share above the result is then off by 3 / sqrt(2**22) = 0.0015 at most, practically.
    """
    if isinstance(m, Leaves):
        return magnitude_quantile(torch.cat([x.reshape(-1) for x in m.items])[None], p, sampled_above)[0, 0]
    shares = torch.as_tensor(p, dtype=torch.float64, device=m.device).expand(len(m), 1)[:, 0].tolist()
    if any(not 0 < share < 1 for share in shares):
        raise ValueError(f"the clipped share p must lie in (0, 1); got {shares}; use momentum SGD for p = 0")
    size = m.abs()
    if m.shape[-1] > sampled_above:
        size = size[:, :: max(1, m.shape[-1] // _SAMPLE)]
    ranks = [nearest_rank(share, size.shape[-1]) for share in shares]
    return torch.stack([row.kthvalue(rank).values for row, rank in zip(size, ranks, strict=True)])[:, None]


def nearest_rank(p: float, d: int) -> int:
    """ceil((1 - p) d), computed so that rounding of 1 - p cannot lift it: (1 - 0.1) * 10 is 9."""
    return max(1, min(d, math.ceil((1 - p) * d - 1e-9 * d)))


def clip_at_quantile(m: Vector, p: Tensor | float) -> Vector:
    """sign(m) * min(|m|, tau) with tau of each member."""
    tau = magnitude_quantile(m, p)
    if isinstance(m, Leaves):
        return Leaves([x.clamp(-tau, tau) for x in m.items])
    return torch.minimum(torch.maximum(m, -tau), tau)


def _heavy_ball(p, g, s, h, loss):
    m = near(h["momentum"], p) * s["momentum_buffer"] + g
    return decayed(p, h) - near(h["lr"], p) * clip_at_quantile(m, h["clip_share"]), {"momentum_buffer": m}


def _averaged(p, g, s, h, loss):
    m = average(s["exp_avg"], g, h["momentum"])
    return decayed(p, h) - near(h["lr"], p) * clip_at_quantile(m, h["clip_share"]), {"exp_avg": m}


_HYPER = {"lr": LR, "momentum": beta(0.9), "clip_share": SHARE, "weight_decay": DECAY}
QUANTILE_CLIP = register_rule(Rule("sgd_quantile_clip", _heavy_ball, _HYPER, vectors=("momentum_buffer",)))
QUANTILE_CLIP_EMA = register_rule(Rule("sgd_ema_quantile_clip", _averaged, _HYPER, vectors=("exp_avg",)))

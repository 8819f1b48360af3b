"""Curves over t that need no training: the mixing schedule and the loss weights, as tidy rows."""

from collections.abc import Iterator, Sequence

import torch

from papers.gidd.members import HybridProcess
from papers.gidd.weighting import training_weight

DRAWN_WEIGHTINGS = ("none", "clamp", "dynamic", "dynamic_exact")


def schedule_rows(p_us: Sequence[float], num_points: int, vocab_size: int) -> Iterator[dict]:
    """Mass on data, mask and uniform noise over t, for every p_u at gamma = 1."""
    t = torch.linspace(0, 1, num_points, dtype=torch.float64)
    for p_u in p_us:
        process = HybridProcess(vocab_size, p_u=p_u)
        masses = {
            "data": process.alpha(t),
            "mask": process.mask_mass(t),
            "uniform": process.num_ordinary * process.token_mass(t),
        }
        for kind, mass in masses.items():
            for time, value in zip(t.tolist(), mass.tolist(), strict=True):
                yield {"p_u": p_u, "kind": kind, "t": time, "mass": value}


def weight_rows(p_us: Sequence[float], num_points: int, vocab_size: int) -> Iterator[dict]:
    """Loss weight of the three kinds of token over t, for every weighting and p_u > 0."""
    t = torch.linspace(0.005, 0.995, num_points, dtype=torch.float64)
    for p_u in [p for p in p_us if p > 0]:
        process = HybridProcess(vocab_size, p_u=p_u)
        x = torch.zeros(len(t), 1, dtype=torch.int64)
        for kind, token in (("mask", process.mask_id), ("wrong token", 1), ("data token", 0)):
            z = torch.full_like(x, token)
            for weighting in DRAWN_WEIGHTINGS:
                weight = training_weight(weighting, process, t, z, x).squeeze(1)
                for time, value in zip(t.tolist(), weight.tolist(), strict=True):
                    yield {"p_u": p_u, "weighting": weighting, "kind": kind, "t": time, "weight": value}

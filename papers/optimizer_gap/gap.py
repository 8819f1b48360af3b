"""The gap between two optimisers as a function of the batch size, and where it changes sign."""

import itertools
import math
from collections.abc import Sequence

import numpy as np


def gaps(losses: Sequence[float], baseline: Sequence[float]) -> np.ndarray:
    """losses - baseline, nats; positive where the baseline is better."""
    return np.asarray(losses, float) - np.asarray(baseline, float)


def perplexity_ratio(gap: float) -> float:
    """exp(gap): perplexity over the baseline's."""
    return math.exp(gap)


def crossovers(batch_sizes: Sequence[float], gap: Sequence[float]) -> list[float]:
    """Batch sizes at which `gap` changes sign, by interpolating linearly over log2(batch size); all of them, ascending.

    A gap that is zero at a batch size changes sign there if it does so around it, and is then listed once.
    """
    batch_sizes, gap = np.asarray(batch_sizes, float), np.asarray(gap, float)
    if len(batch_sizes) != len(gap) or len(gap) < 2 or not (batch_sizes > 0).all() or not np.isfinite(gap).all():
        raise ValueError(
            "a crossover needs two or more positive batch sizes with a finite gap each; got "
            f"{batch_sizes.tolist()} and {gap.tolist()}"
        )
    order = np.argsort(batch_sizes)
    x, y = np.log2(batch_sizes[order]), gap[order]
    if len(np.unique(x)) < len(x):
        raise ValueError(f"each batch size may occur once; got {batch_sizes.tolist()}")
    nonzero = np.flatnonzero(y != 0)
    found = []
    for a, b in itertools.pairwise(nonzero):
        if y[a] * y[b] < 0:
            at = x[a] + (x[b] - x[a]) * y[a] / (y[a] - y[b]) if b == a + 1 else x[a + 1 : b].mean()
            found.append(float(2**at))
    return found


def token_half_life_beta(batch_size: int, seq_len: int, half_life_tokens: float) -> float:
    """beta such that a gradient's weight halves every `half_life_tokens` tokens: 2^(-B T / half_life).

    Source: Marek et al. 2025, arXiv 2507.07101.
    """
    if batch_size < 1 or seq_len < 1 or not half_life_tokens > 0:
        raise ValueError(
            f"needs positive batch size, length and half-life; got {batch_size}, {seq_len}, {half_life_tokens}"
        )
    return 2.0 ** (-batch_size * seq_len / half_life_tokens)

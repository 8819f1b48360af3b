"""Where the gap between two optimisers changes sign over the batch size."""

import itertools
from collections.abc import Sequence

import numpy as np


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

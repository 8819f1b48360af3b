"""Intervals by resampling problems; apart from metrics.py, which imports no torch."""

from collections.abc import Sequence

import numpy as np

from shared.seeding import numpy_generator


def paired_bootstrap(
    one: Sequence[bool], other: Sequence[bool], seed: int = 0, draws: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the difference of two systems' rates (one - other), problems drawn with replacement together."""
    difference = np.asarray(one, float) - np.asarray(other, float)
    generator = numpy_generator(seed, "paired-bootstrap")
    n = len(difference)
    means = np.array([difference[generator.integers(0, n, n)].mean() for _ in range(draws)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

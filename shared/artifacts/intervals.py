"""Intervals of shares, for tables that count."""

import math

Z95 = 1.959963984540054  # two-sided 95% quantile of the normal distribution


def wilson_interval(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Score interval (low, high) of a share, inside [0, 1] for every count; 95% unless `z` says otherwise.

    Raises:
        ValueError: no trials, or more successes than trials.
    Source: Wilson 1927.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share")
    p, zz = successes / trials, z * z
    centre = (p + zz / (2 * trials)) / (1 + zz / trials)
    half = z / (1 + zz / trials) * math.sqrt(p * (1 - p) / trials + zz / (4 * trials * trials))
    # at the ends the bound is the end itself; the subtraction would miss it by a rounding
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)

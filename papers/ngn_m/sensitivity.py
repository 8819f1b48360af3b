"""How much a method's result depends on its learning rate (section 3.6): sensitivity, and width of the good range.

A loss is what is compared, lower is better: the share of wrong answers, or nats per token. A run that diverged, or
ended worse than it began, counts as the untrained model.

Shapes: S seeds, R learning rates in ascending order.
"""

import numpy as np


def counted(losses: np.ndarray, untrained: np.ndarray) -> np.ndarray:
    """min(l_0, l), and l_0 where the run diverged (not finite)."""
    losses = np.asarray(losses, dtype=float)
    return np.where(np.isfinite(losses), np.minimum(losses, untrained), untrained)


def sensitivity(losses: np.ndarray, untrained: float | np.ndarray) -> float:
    """Mean over the grid (R,) of min(l_0, l) - l*, l* the smallest over the grid.

    Source: Islamov et al. 2025, arXiv 2508.15071, the metric of Tables 2 and 3.
    """
    own = counted(losses, untrained)
    return float((own - own.min()).mean())


def width_in_decades(lrs: np.ndarray, quality: np.ndarray, within: float = 0.1) -> float:
    """Decades of learning rates whose quality is at least the best over 1 + within; linear in log lr in between.

    Args:
        lrs: (R,) ascending. quality: (R,), higher is better and positive: an accuracy, or an inverse perplexity.
    """
    x, excess = np.log10(lrs), np.log(quality) - np.log(np.max(quality)) + np.log1p(within)
    total = 0.0
    for gap, left, right in zip(np.diff(x), excess[:-1], excess[1:], strict=True):
        if left >= 0 and right >= 0:
            total += gap
        elif max(left, right) >= 0:
            total += gap * max(left, right) / abs(right - left)
    return float(total)


def width_interval(
    lrs: np.ndarray, quality: np.ndarray, rng: np.random.Generator, num_draws: int = 1000
) -> tuple[float, float, float]:
    """Width of the seeds' mean quality and its 95 % bootstrap interval over seeds: (width, low, high).

    Args:
        quality: (S, R).
    """
    means = (quality[rng.integers(len(quality), size=len(quality))].mean(0) for _ in range(num_draws))
    draws = [width_in_decades(lrs, mean) for mean in means]
    low, high = np.quantile(draws, [0.025, 0.975])
    return width_in_decades(lrs, quality.mean(0)), float(low), float(high)

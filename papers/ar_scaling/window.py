"""Width of the window of learning rates that succeed, as a number with an interval. No torch here.

Shapes: R learning rates, S seeds.
"""

import math

import numpy as np
import pandas as pd

from shared.artifacts.estimates import Estimate, paired_difference


def window(lrs: np.ndarray, accuracy: np.ndarray, threshold: float) -> tuple[float, int]:
    """(W, number of successes): W = log10(largest / smallest) over the longest run of neighbours that reach it.

    Args:
        lrs: ascending grid, (R,). accuracy: (R,); not finite counts as 0.
    Returns:
        W in decades: 0 for one success, nan for none.
    Raises:
        ValueError: an empty grid, one that is not ascending, a learning rate that is not positive.
    """
    lrs, accuracy = np.asarray(lrs, float), np.nan_to_num(np.asarray(accuracy, float), posinf=0.0, neginf=0.0)
    if not len(lrs) or lrs.shape != accuracy.shape:
        raise ValueError(f"a window needs one accuracy per learning rate; got {lrs.shape} and {accuracy.shape}")
    if not (lrs > 0).all() or not (np.diff(lrs) > 0).all():
        raise ValueError(f"learning rates must be positive and ascending; got {lrs.tolist()}")
    good, widest, start = accuracy >= threshold, math.nan, None
    for index, success in enumerate([*good, False]):
        if success and start is None:
            start = index
        elif not success and start is not None:
            width = math.log10(lrs[index - 1] / lrs[start])
            widest = width if math.isnan(widest) else max(widest, width)
            start = None
    return widest, int(good.sum())


def grid_step(lrs: np.ndarray) -> float:
    """Median distance of neighbours in decades: no width is known better than this; nan for one value."""
    steps = np.diff(np.log10(np.sort(np.asarray(lrs, float))))
    return float(np.median(steps)) if len(steps) else math.nan


def counted(width: float, lrs: np.ndarray) -> float:
    """A width for comparisons: none lies one step of the grid below 0."""
    return -grid_step(lrs) if math.isnan(width) else width


def window_interval(
    lrs: np.ndarray, accuracy: np.ndarray, threshold: float, rng: np.random.Generator, num_draws: int = 500
) -> tuple[float, float, float]:
    """(W of the mean over seeds, low, high): 95 % of W under resampled seeds; none counts as in `counted`.

    Args:
        accuracy: (S, R), a row per seed.
    """
    accuracy = np.nan_to_num(np.asarray(accuracy, float))
    centre = window(lrs, accuracy.mean(0), threshold)[0]
    drawn = rng.integers(len(accuracy), size=(num_draws, len(accuracy)))
    widths = [counted(window(lrs, accuracy[rows].mean(0), threshold)[0], lrs) for rows in drawn]
    low, high = np.quantile(widths, [0.025, 0.975])
    return centre, float(low), float(high)


def seed_windows(tab_seeds: pd.DataFrame, row: str, layers: int, threshold: float = 0.9) -> pd.Series:
    """Window of every seed in decades, by seed; mean over tasks and widths, where there are several."""
    own = tab_seeds[(tab_seeds.row == row) & (tab_seeds.num_layers == layers) & (tab_seeds.threshold == threshold)]
    return own.groupby("seed").width.mean()


def paired_windows(ours: pd.Series, theirs: pd.Series) -> Estimate:
    """Difference over the seeds that both have."""
    common = ours.index.intersection(theirs.index)
    return paired_difference(ours[common], theirs[common])

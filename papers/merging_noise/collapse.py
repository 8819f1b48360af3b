"""Which quantity explains a gain: fits over rows, bins, and the optimum with its interval. No torch here."""

from collections.abc import Sequence

import numpy as np


def explained(x: Sequence[float], y: Sequence[float], degree: int) -> float:
    """R^2 of a polynomial of log10 x fitted to y by least squares.

    The degree is lowered to what the number of distinct x allows: a polynomial through k values has k terms. nan where
    y does not vary.
    """
    x, y = np.log10(np.asarray(x, float)), np.asarray(y, float)
    degree = min(degree, len(np.unique(x)) - 1)
    if not np.ptp(y) > 0:
        return float("nan")
    residual = y - np.polyval(np.polyfit(x, y, degree), x) if degree > 0 else y - y.mean()
    return float(1 - (residual @ residual) / ((y - y.mean()) @ (y - y.mean())))


def half_decades(x: Sequence[float]) -> np.ndarray:
    """Index of each x's half-decade, floor(2 log10 x); values that are at an edge up to rounding go up."""
    return np.floor(2 * np.log10(np.asarray(x, float)) + 1e-6).astype(int)


def optimum(x: Sequence[float], y: Sequence[float], degree: int = 3) -> float:
    """x in the range of the data at which the fitted polynomial of log10 x is largest."""
    x, y = np.log10(np.asarray(x, float)), np.asarray(y, float)
    degree = min(degree, len(np.unique(x)) - 1)
    fine = np.linspace(x.min(), x.max(), 401)
    return float(10 ** fine[np.polyval(np.polyfit(x, y, degree), fine).argmax()])

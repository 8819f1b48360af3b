"""Which quantity explains a gain: fits over rows, bins, and the optimum with its interval. No torch here."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared.artifacts.estimates import bootstrap

DEGREES = {"noise": 3, "lr": 3, "batch_size": 2}
NUM_DRAWS = 200


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


def fits(parts: Sequence[pd.DataFrame], measure: str) -> dict[str, float]:
    """R^2 of the measure on each predictor over the rows of all parts, and the noise scale of the largest fit."""
    rows = pd.concat(parts)
    found = {f"r2_{x}": explained(rows[x], rows[measure], degree) for x, degree in DEGREES.items()}
    return found | {"optimum": optimum(rows.noise, rows[measure])}


def compared(rows: pd.DataFrame, measure: str) -> dict[str, float | int | str]:
    """The fits, how much more the noise scale explains than each other, and bootstrap errors over seeds."""
    by_seed = [part for _, part in rows.groupby("seed")]
    found = fits(by_seed, measure)
    row = {"measure": measure, "num_merges": len(rows), "num_seeds": len(by_seed)} | found
    for other in ("lr", "batch_size"):
        more = lambda parts, o=other: (f := fits(parts, measure))["r2_noise"] - f[f"r2_{o}"]  # noqa: E731
        spread = bootstrap(by_seed, more, num_draws=NUM_DRAWS)
        row |= {f"over_{other}": found["r2_noise"] - found[f"r2_{other}"], f"over_{other}_error": spread.noise}
    logs = bootstrap(by_seed, lambda parts: float(np.log10(fits(parts, measure)["optimum"])), num_draws=NUM_DRAWS)
    return row | {"optimum_log10_error": logs.noise}

"""Where the gap between two optimisers changes sign over the batch size, and how sure that is. No torch here."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd


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
    order = np.argsort(np.asarray(batch_sizes, float))
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


def last_crossover(batch_sizes: Sequence[float], gap: Sequence[float]) -> float:
    """The batch size beyond which the gap stays positive; 0 if it always is, infinite if it is not at the largest."""
    order = np.argsort(np.asarray(batch_sizes, float))
    if not np.asarray(gap)[order[-1]] > 0:
        return math.inf
    return max(crossovers(batch_sizes, gap), default=0.0)


def error_of(at: float, batch_sizes: Sequence[float], gap: Sequence[float], errors: Sequence[float]) -> float:
    """Standard error of log2 of the crossover `at`: that of the gap there, interpolated, over the slope of the gap.

    Args:
        batch_sizes: ascending; `at` lies between two of them. errors: of each gap.
    """
    x, y = np.log2(np.asarray(batch_sizes, float)), np.asarray(gap, float)
    right = int(np.searchsorted(x, math.log2(at)).clip(1, len(x) - 1))
    slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1])
    return float(np.interp(math.log2(at), x, errors)) / abs(slope) if slope else math.inf


def crossings(tab_gap: pd.DataFrame) -> pd.DataFrame:
    """The batch size beyond which SGD stays behind Adam, for both columns of Adam, with its interval.

    The interval goes from the batch size beyond which the upper Student-t bound of the gap (95%) stays positive to that
    beyond which the lower one does, each interpolated over log2(batch size).

    Returns:
        baseline, batch_size, low, high (missing where it lies outside the batch sizes), ends: "two", or what is open
        and where; log2_batch_size and log2_error, missing where an end is open; num_roots.
    """
    rows, (smallest, largest) = [], (tab_gap.batch_size.min(), tab_gap.batch_size.max())
    for baseline, name in (("Adam", "gap"), ("Adam, beta2 tuned", "gap_tuned")):
        row = {"baseline": baseline, "num_seeds": int(tab_gap.num_seeds.iloc[0])}
        row |= {"num_roots": len(crossovers(tab_gap.batch_size, tab_gap[name]))}
        bounds = {"batch_size": name, "low": f"{name}_high", "high": f"{name}_low"}
        if np.isfinite(tab_gap[[*bounds.values()]]).all(axis=None):
            found = {end: last_crossover(tab_gap.batch_size, tab_gap[column]) for end, column in bounds.items()}
        else:  # one seed: the bounds are infinitely wide
            found = {"batch_size": last_crossover(tab_gap.batch_size, tab_gap[name]), "low": 0.0, "high": math.inf}
        words = {0.0: f"below {smallest:g}", math.inf: f"above {largest:g}"}
        open_ends = [f"{end} {words[found[end]]}" for end in ("low", "high") if found[end] in words]
        row |= {end: value if 0 < value < math.inf else math.nan for end, value in found.items()}
        row |= {"ends": "; ".join(open_ends) or "two", "log2_batch_size": math.nan, "log2_error": math.nan}
        if not open_ends:
            found = (tab_gap[column] for column in ("batch_size", name, f"{name}_error"))
            row |= {"log2_batch_size": math.log2(row["batch_size"]), "log2_error": error_of(row["batch_size"], *found)}
        rows.append(row)
    return pd.DataFrame(rows)

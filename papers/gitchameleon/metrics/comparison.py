"""Success rates, their errors, and comparisons of systems that answered the same problems.

A problem that has no result counts as a failure: the number of problems is an argument, never the number of rows.
Nothing here draws random numbers of its own: the bootstrap interval of a paired difference is computed exactly.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shared.artifacts.estimates import wilson_interval

NUM_PROBLEMS = 328  # of the benchmark


@dataclass(frozen=True)
class Success:
    """A success rate in percent, of all `n` problems: what has no result counts as a failure."""

    passed: int
    n: int

    @property
    def percent(self) -> float:
        return 100.0 * self.passed / self.n

    @property
    def standard_error(self) -> float:
        return standard_error_percent(self.percent, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        low, high = wilson_interval(self.passed, self.n)
        return 100.0 * low, 100.0 * high


def standard_error_percent(percent: float, n: int = NUM_PROBLEMS) -> float:
    """100 sqrt(p (1 - p) / n) with p = percent / 100: the binomial standard error, in percent."""
    p = percent / 100.0
    return 100.0 * math.sqrt(p * (1.0 - p) / n)


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same problems: `only_a` and `only_b` count what only the one solved."""

    only_a: int
    only_b: int
    difference: float  # percent of problems, a - b
    low: float  # 95 % bootstrap interval of the difference
    high: float
    mcnemar_p: float


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p of McNemar's test: discordant pairs fall on either side like fair coins.

    Source: McNemar 1947, with the binomial in place of chi-square.
    """
    n, k = only_a + only_b, min(only_a, only_b)
    if min(only_a, only_b) < 0:
        raise ValueError(f"counts of pairs are not negative; got {only_a} and {only_b}")
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, 2 * tail / 2**n)


def bootstrap_interval(only_a: int, only_b: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of a paired bootstrap in the limit of many resamples, in percent.

    The resampled difference is a sum of n draws from {-1, 0, 1}; its law is the n-fold convolution of theirs.
    """
    if only_a + only_b > n or min(only_a, only_b) < 0 or n < 1:
        raise ValueError(f"{only_a} and {only_b} discordant pairs among {n} problems cannot be")
    draw = np.zeros(2 * n + 1)
    draw[:3] = only_b / n, (n - only_a - only_b) / n, only_a / n
    law = np.clip(np.fft.irfft(np.fft.rfft(draw) ** n, 2 * n + 1), 0.0, None)
    cumulative = np.cumsum(law / law.sum())
    ends = [int(np.searchsorted(cumulative, q)) for q in ((1 - level) / 2, (1 + level) / 2)]
    return tuple(100.0 * (min(end, 2 * n) - n) / n for end in ends)


def compare(a: Mapping[int, bool], b: Mapping[int, bool]) -> Comparison:
    """Two systems over the problems that either has; a problem that one lacks is its failure."""
    ids = sorted(a.keys() | b.keys())
    if not ids:
        raise ValueError("there are no results to compare")
    left, right = [bool(a.get(i)) for i in ids], [bool(b.get(i)) for i in ids]
    only_a = sum(x and not y for x, y in zip(left, right, strict=True))
    only_b = sum(y and not x for x, y in zip(left, right, strict=True))
    low, high = bootstrap_interval(only_a, only_b, len(ids))
    difference = 100.0 * (only_a - only_b) / len(ids)
    return Comparison(only_a, only_b, difference, low, high, mcnemar_exact(only_a, only_b))


def agreement(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Share of problems on which two systems have the same outcome.

    Args:
        outcomes: one row per problem, one column per system, passed or not; missing where a system has no result.
    Returns:
        Systems x systems, symmetric, diagonal 1; nan where two systems have no problem in common.
    """
    values = outcomes.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    known = (~np.isnan(values)).astype(float)
    passed, failed = np.nan_to_num(values), known - np.nan_to_num(values)
    with np.errstate(invalid="ignore"):
        shares = (passed.T @ passed + failed.T @ failed) / (known.T @ known)
    return pd.DataFrame(shares, index=outcomes.columns, columns=outcomes.columns)


@dataclass(frozen=True)
class Correlation:
    """Pearson's r and Spearman's rho with two-sided p, over `n` pairs that have both values."""

    n: int
    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float


def correlation(x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Correlations over the pairs in which neither value is missing; nan below three pairs or without spread."""
    from scipy import stats

    pairs = np.array([(a, b) for a, b in zip(x, y, strict=True) if not (math.isnan(a) or math.isnan(b))])
    if len(pairs) < 3 or any(len(np.unique(column)) == 1 for column in pairs.T):
        return Correlation(len(pairs), *[math.nan] * 4)
    r, rho = stats.pearsonr(*pairs.T), stats.spearmanr(*pairs.T)
    return Correlation(len(pairs), float(r.statistic), float(r.pvalue), float(rho.statistic), float(rho.pvalue))

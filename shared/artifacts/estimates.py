"""A number and how sure it is: what a claim's check is decided by.

The noise of an estimate is its standard error over what was repeated: training seeds, Monte Carlo draws, resampled
items. Few repetitions are read with Student's t.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.base.seeding import numpy_generator

UNKNOWN = math.nan  # the noise of a number that could have come out otherwise and was measured once


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error.

    Args:
        value: the number.
        noise: its standard error; None if it is exact (algebra, counting, float64 identities), nan if it was measured
            once and its spread is unknown.
        dof: degrees of freedom behind the standard error: Student's quantile, and so the width of the interval, follows
            from them alone. Infinite for a standard error that is known, or has very many draws behind it.
        n: how many repetitions, for the reader: nothing is decided by it. Of what is combined from several estimates,
            the fewest behind any of them that is not exact, and counts them; its dof are Welch's, which are no fewer
            than the fewest of the parts (min(n) - 1 for means over seeds) and no more than their sum.
    """

    value: float
    noise: float | None = None
    dof: float = math.inf
    n: int | None = None

    def margin(self, confidence: float = 0.95) -> float:
        """Half width of the two-sided interval; 0 if exact, infinite if the spread is unknown."""
        if self.noise is None:
            return 0.0
        if math.isnan(self.noise) or not self.dof >= 1:
            return math.inf
        return quantile(0.5 + confidence / 2, self.dof) * self.noise if self.noise else 0.0

    def __neg__(self) -> "Estimate":
        return Estimate(-self.value, self.noise, self.dof, self.n)

    def scaled(self, factor: float) -> "Estimate":
        """The estimate times an exact number."""
        return Estimate(factor * self.value, None if self.noise is None else abs(factor) * self.noise, self.dof, self.n)


def quantile(probability: float, dof: float = math.inf) -> float:
    """Quantile of Student's t; of the normal distribution for infinitely many degrees of freedom."""
    from scipy.special import ndtri, stdtrit  # 0.1 s, which drawing a figure need not wait for

    return float(ndtri(probability) if math.isinf(dof) else stdtrit(dof, probability))


def mean_of(values: Sequence[float]) -> Estimate:
    """Mean of independent repetitions, e.g. seeds; its spread is unknown if there is one."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if not len(x):
        return Estimate(math.nan, UNKNOWN, 0, 0)
    if len(x) > 1 and np.isinf(x).all() and len(set(x)) == 1:
        return Estimate(float(x[0]), 0.0, len(x) - 1, len(x))  # every repetition diverged
    if len(x) == 1 or not np.isfinite(x).all():
        return Estimate(float(x.mean()), UNKNOWN, len(x) - 1, len(x))
    return Estimate(float(x.mean()), float(x.std(ddof=1) / math.sqrt(len(x))), len(x) - 1, len(x))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean of first - second over pairs that share their seed, in one order.

    Raises:
        ValueError: unequal lengths.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"pairs need equally many values on both sides; got {len(a)} and {len(b)}")
    return mean_of(a - b)


def from_spread(mean: float, std: float, n: int) -> Estimate:
    """Mean of `n` repetitions whose sample standard deviation is `std` (nan for one)."""
    if not n >= 2 or math.isnan(std):
        return Estimate(float(mean), UNKNOWN, 0, int(n) if n == n else None)
    return Estimate(float(mean), float(std) / math.sqrt(n), n - 1, int(n))


def from_standard_error(value: float, standard_error: float, n: int | None = None) -> Estimate:
    """A value whose standard error was measured beside it: over many draws, or `n` repetitions."""
    dof = math.inf if n is None else n - 1
    return Estimate(float(value), float(standard_error), dof, None if n is None else int(n))


def of_row(row: Mapping, column: str, error: str | None = None, size: str = "num_seeds") -> Estimate:
    """`column` of a table's row, with its standard error over the row's `size`, from `error` or <column>_error."""
    return from_standard_error(row[column], row[error or f"{column}_error"], row[size])


def difference(first: Estimate, second: Estimate) -> Estimate:
    """first - second of independent estimates; degrees of freedom by Welch and Satterthwaite."""
    value = first.value - second.value
    noises = [e.noise for e in (first, second)]
    if all(noise is None for noise in noises):
        return Estimate(value)
    if any(noise is not None and math.isnan(noise) for noise in noises):
        return Estimate(value, UNKNOWN, 0, _fewest(first, second))
    return Estimate(value, *_combined((first, 1.0), (second, 1.0)), _fewest(first, second))


def ratio(first: Estimate, second: Estimate) -> Estimate:
    """first / second of independent estimates, to first order in their errors."""
    value = first.value / second.value
    if first.noise is None and second.noise is None:
        return Estimate(value)
    if any(e.noise is not None and math.isnan(e.noise) for e in (first, second)):
        return Estimate(value, UNKNOWN, 0, _fewest(first, second))
    noise, dof = _combined((first, 1 / second.value), (second, value / second.value))
    return Estimate(value, noise, dof, _fewest(first, second))


def log_log_slope(x: Sequence[float], y: Sequence[float], y_error: Sequence[float]) -> Estimate:
    """Slope of log y over log x by least squares, with the standard error that the errors of the points give it.

    Args:
        x, y: positive. y_error: standard error of each y; the points are independent.
    """
    x, y, error = (np.asarray(values, dtype=float) for values in (x, y, y_error))
    centred = np.log(x) - np.log(x).mean()
    weights = centred / (centred @ centred)
    return Estimate(float(weights @ np.log(y)), float(np.sqrt(np.square(weights * error / y).sum())), n=len(x))


def _combined(*parts: tuple[Estimate, float]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of independent estimates, each times a factor."""
    terms = [((factor * e.noise) ** 2, e.dof) for e, factor in parts if e.noise is not None]
    variance = sum(term for term, _ in terms)
    lower = sum(term**2 / dof for term, dof in terms if math.isfinite(dof) and dof > 0)
    return math.sqrt(variance), variance**2 / lower if lower else math.inf


def _fewest(*parts: Estimate) -> int | None:
    """The fewest repetitions behind the parts that have noise and count them; None if none does."""
    return min((e.n for e in parts if e.noise is not None and e.n is not None), default=None)


def share_of(successes: int, trials: int) -> Estimate:
    """A share with the standard error that the score interval has at 95% (it is not 0 at 0 or 1).

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    low, high = wilson_interval(successes, trials)
    return Estimate(successes / trials, max(high - successes / trials, successes / trials - low) / Z95, n=trials)


def bootstrap(
    items: Sequence, statistic: Callable[[Sequence], float], *, num_draws: int = 1000, seed: int = 0
) -> Estimate:
    """`statistic` of the items, with the standard deviation of its bootstrap distribution.

    Args:
        items: resampled with replacement, e.g. one entry per seed or per problem.
        statistic: of a list of items of the same length.
    """
    draw = numpy_generator(seed, "bootstrap")
    items = list(items)
    values = [statistic([items[i] for i in draw.integers(len(items), size=len(items))]) for _ in range(num_draws)]
    noise = float(np.std(values, ddof=1)) if len(items) > 1 else UNKNOWN
    return Estimate(float(statistic(items)), noise, len(items) - 1 if len(items) > 1 else 0, len(items))


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

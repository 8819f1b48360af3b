"""Gradient descent on the line with rows of one magnitude: T_{c,gamma}, its cycles and the proof's ingredients.

With n+ rows +a and n- rows -a, c = n+/n-, p = c/(1+c), u = a w and eta = gamma/lambda, GD is
    T(u) = u - gamma (sigma(u) - p) / (p (1 - p)),   fixed point u* = log c,
whatever a is. That the publication's c is this ratio is our reading. All functions broadcast over c, gamma and u.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit


def share(c):
    """p = c / (1 + c), the share of positive rows."""
    return c / (1 + np.asarray(c, float))


def step(u, c, gamma):
    """T(u)."""
    p = share(c)
    return u - gamma * (0.5 * np.tanh(0.5 * u) + (0.5 - p)) / (p * (1 - p))


def slope(u, c, gamma):
    """T'(u)."""
    p = share(c)
    return 1 - gamma * 0.25 * (1 - np.tanh(0.5 * np.asarray(u)) ** 2) / (p * (1 - p))


def iterate(u: np.ndarray, c: float, gamma: float, max_steps: int, check_every: int = 100) -> tuple[np.ndarray, int]:
    """u after `max_steps` steps, or after fewer, in multiples of `check_every`, once two steps move nothing.

    Both fixed points and 2-cycles are at rest under two steps, up to the rounding of tanh times gamma / (p (1 - p)).
    """
    p = float(share(c))
    factor, shift = 0.5 * gamma / (p * (1 - p)), gamma * (0.5 - p) / (p * (1 - p))
    rest = 2e-15 * factor
    u, half = u.copy(), np.empty_like(u)
    for done in range(check_every, max_steps + 1, check_every):
        for _ in range(check_every):  # `step` without temporaries
            np.multiply(u, 0.5, out=half)
            np.tanh(half, out=half)
            half *= factor
            half += shift
            u -= half
        if np.abs(step(step(u, c, gamma), c, gamma) - u).max() < rest:
            return u, done
    return u, max_steps


def iterates(u: np.ndarray, c: np.ndarray, gamma: np.ndarray, num_discarded: int, num_kept: int) -> np.ndarray:
    """u at the `num_kept` steps after the first `num_discarded`, (num_kept, ...); all broadcast."""
    kept = np.empty((num_kept, *np.broadcast_shapes(u.shape, np.shape(c), np.shape(gamma))))
    for index in range(num_discarded + num_kept):
        u = step(u, c, gamma)
        if index >= num_discarded:
            kept[index - num_discarded] = u
    return kept


def gap(delta, p):
    """h(delta) = logit(p + delta) - logit(p - delta), without cancellation: 2 artanh(delta/p) + 2 artanh(delta/(1-p)).

    In this form h(delta) > 2 delta / (p (1 - p)) is plain: artanh(x) > x for x in (0, 1).
    """
    return 2 * np.arctanh(delta / p) + 2 * np.arctanh(delta / (1 - p))


def two_cycle(c: float, gamma: float) -> tuple[float, float]:
    """The 2-cycle (low, high), which exists exactly for gamma > 2.

    Raises:
        ValueError: gamma <= 2.
    """
    if gamma <= 2:
        raise ValueError(f"a 2-cycle exists for gamma > 2 only; got {gamma:g}")
    p = float(share(c))
    edge = min(p, 1 - p)

    def excess(fraction: float) -> float:
        delta = edge * fraction
        return gap(delta, p) * p * (1 - p) / delta - gamma

    # h/delta grows from 2 at delta = 0 to infinity at the edge
    delta = edge * brentq(excess, 1e-9, 1 - 1e-16, xtol=1e-16)
    return float(logit(p - delta)), float(logit(p + delta))


def cycle_multiplier(c: float, gamma: float) -> float:
    """T'(low) T'(high) of the 2-cycle."""
    low, high = two_cycle(c, gamma)
    return float(slope(low, c, gamma) * slope(high, c, gamma))


def doubling_gamma(c: float) -> float:
    """The gamma at which the 2-cycle doubles (multiplier -1); c = 1 has none, as its multiplier is a square.

    Raises:
        ValueError: c is 1.
    """
    if c == 1:
        raise ValueError("the 2-cycle of c = 1 is symmetric and never doubles; choose another c")
    return brentq(lambda gamma: cycle_multiplier(c, gamma) + 1, 2 + 1e-6, 3, xtol=1e-14)


def step_ratios(c: float, gamma: float, distances: np.ndarray, side: int, num_steps: int) -> np.ndarray:
    """|T^k(u) - u*| / |u - u*| at u = u* + side * distance, for k = `num_steps`."""
    u = np.log(c) + side * distances
    for _ in range(num_steps):
        u = step(u, c, gamma)
    return np.abs(u - np.log(c)) / distances


def invariant_interval(c: float, gamma: float) -> tuple[float, float]:
    """An interval that absorbs all orbits: one step moves by less than gamma max(1/p, 1/(1-p)), toward u*."""
    p = float(share(c))
    reach = gamma * max(1 / p, 1 / (1 - p))
    return float(np.log(c)) - reach, float(np.log(c)) + reach


ROUNDING = 1e-12  # outward widening of each interval evaluation; its roundings add up to less than 1e-13


def _step_interval(low, high, c, gamma):
    """Enclosure of T over [low, high], by the monotone pieces u and sigma."""
    p = share(c)
    k = gamma / (p * (1 - p))
    naive = low - k * (expit(high) - p), high - k * (expit(low) - p)
    middle = (low + high) / 2
    small, large = _slope_interval(low, high, c, gamma)
    at = middle - k * (expit(middle) - p)
    reach = np.maximum(np.abs(small), np.abs(large)) * (high - low) / 2
    return np.maximum(naive[0], at - reach) - ROUNDING, np.minimum(naive[1], at + reach) + ROUNDING


def _slope_interval(low, high, c, gamma):
    """Enclosure of T' over [low, high]: sigma' falls with |u|."""
    p = share(c)
    nearest = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
    farthest = np.maximum(np.abs(low), np.abs(high))

    def at(u):
        return 1 - gamma * expit(u) * expit(-u) / (p * (1 - p))

    return at(nearest) - ROUNDING, at(farthest) + ROUNDING


def period_two_roots(c: float, gamma: float, min_width: float = 1e-6) -> tuple[int, float]:
    """Roots of T(T(u)) - u on the absorbing interval, by interval bisection.

    Returns:
        How many clusters of cells may hold a root, and the width of the widest cluster. A cell is dropped if the
        enclosure of T(T(u)) - u excludes zero. Cells are halved down to `min_width`; a cluster in which the
        enclosure of the derivative excludes zero holds at most one root.
    """
    low, high = (np.array([v]) for v in invariant_interval(c, gamma))
    while True:
        first = _step_interval(low, high, c, gamma)
        second = _step_interval(*first, c, gamma)
        # the mean-value form closes in on a simple root from both sides
        middle = (low + high) / 2
        centre = _step_interval(*_step_interval(middle, middle, c, gamma), c, gamma)
        slopes = _product(_slope_interval(low, high, c, gamma), _slope_interval(*first, c, gamma))
        spread = np.maximum(np.abs(slopes[0] - 1), np.abs(slopes[1] - 1)) * (high - low) / 2
        below = np.maximum(second[0] - high, centre[0] - middle - spread)
        above = np.minimum(second[1] - low, centre[1] - middle + spread)
        keep = (below <= 0) & (above >= 0)
        low, high = low[keep], high[keep]
        if len(low) == 0 or (high - low).max() <= min_width:
            break
        middle = (low + high) / 2
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    if len(low) == 0:
        return 0, 0.0
    order = np.argsort(low)
    low, high = low[order], high[order]
    starts = np.flatnonzero(np.concatenate([[True], low[1:] > high[:-1] + min_width / 4]))
    ends = np.concatenate([starts[1:], [len(low)]]) - 1
    return len(starts), float((high[ends] - low[starts]).max())


def _product(one, other):
    corners = np.stack([a * b for a in one for b in other])
    return corners.min(0), corners.max(0)

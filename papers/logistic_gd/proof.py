"""The theorem on the line for rows of one magnitude, and the parts of its proof, in numbers: one row per case."""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.scalar_map import (
    cycle_multiplier,
    doubling_gamma,
    gap,
    iterate,
    period_two_roots,
    step,
    step_ratios,
    two_cycle,
)

ON_FIXED_POINT = 1e-12  # a start this near to an unstable fixed point may stay there; it is counted apart


def convergence(c: float, gamma: float, starts: np.ndarray, num_steps: int) -> dict:
    """Largest distance from u*, and for gamma > 2 from the closed-form 2-cycle, over all starts."""
    target = np.log(c)
    on_fixed = np.abs(starts - target) < ON_FIXED_POINT
    u, steps = iterate(starts[~on_fixed], c, gamma, num_steps)
    row = {"c": c, "gamma": gamma, "num_starts": len(u), "num_on_fixed_point": int(on_fixed.sum())}
    row |= {"num_steps": steps, "max_error": np.abs(u - target).max()}
    if gamma > 2:
        low, high = two_cycle(c, gamma)
        here = np.stack([u, step(u, c, gamma)])
        row["cycle_low"], row["cycle_high"] = low, high
        row["cycle_error"] = max(np.abs(here.min(0) - low).max(), np.abs(here.max(0) - high).max())
    return row


def contraction(c: float, gamma: float, distances: np.ndarray) -> dict:
    """Largest shrinking of the distance to u* in one step and in two, right and left of u*."""
    sups = {
        f"{name}_{place}": step_ratios(c, gamma, distances, side, count).max()
        for name, count in (("two_step", 2), ("one_step", 1))
        for place, side in (("right", 1), ("left", -1))
    }
    return {"c": c, "gamma": gamma, **sups}


def contraction_curve(c: float, gamma: float, distances: np.ndarray) -> Iterator[dict]:
    """|T(u) - u*| / |u - u*| and |T(T(u)) - u*| / |u - u*| at every distance, right and left of u*."""
    for side, sign in (("right", 1), ("left", -1)):
        one, two = (step_ratios(c, gamma, distances, sign, count) for count in (1, 2))
        for distance, once, twice in zip(distances, one, two, strict=True):
            yield {"c": c, "gamma": gamma, "side": side, "distance": distance, "one_step": once, "two_step": twice}


def least_excess(p: float, num_delta: int) -> dict:
    """Least of h(delta) / (2 delta / (p (1 - p))) - 1 over a grid of delta."""
    delta = np.arange(1, num_delta + 1) / (num_delta + 1) * min(p, 1 - p)
    excess = gap(delta, p) * p * (1 - p) / (2 * delta) - 1
    return {"p": p, "num_delta": num_delta, "min_excess": excess.min(), "at_delta": delta[excess.argmin()]}


def roots(c: float, gamma: float) -> dict:
    """Roots of T(T(u)) - u by interval bisection: one means that no 2-cycle exists."""
    count, width = period_two_roots(c, gamma)
    return {"c": c, "gamma": gamma, "num_roots": count, "expected_roots": 3 if gamma > 2 else 1, "width": width}


def doubling(c: float) -> dict:
    """Where the 2-cycle doubles."""
    gamma = doubling_gamma(c)
    low, high = two_cycle(c, gamma)
    return {"c": c, "gamma": gamma, "low": low, "high": high, "multiplier": cycle_multiplier(c, gamma)}


def cobweb(c: float, gamma: float, start: float, num_steps: int) -> Iterator[dict]:
    """The orbit of T from a start."""
    u = float(start)
    for t in range(num_steps + 1):
        yield {"c": c, "gamma": gamma, "start": start, "t": t, "u": u}
        u = float(step(u, c, gamma))

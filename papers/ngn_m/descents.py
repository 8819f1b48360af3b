"""NGN, NGN-M and heavy-ball descents in NumPy: plain recursions for toy problems, many runs ("lanes") at a time.

Shapes: M lanes, D coordinates. f is the loss at x, g its gradient, c the learning rate, beta the momentum. The
optimisers for training are those of `shared.optim`; a test holds the two to each other.

Source: Orvieto and Xiao 2024, arXiv 2407.04358 (NGN); Islamov et al. 2025, arXiv 2508.15071, Algorithm 1 and Figure 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from papers.ngn_m.landscapes import Landscape

DIVERGED_ABOVE = 1e10  # the paper's bound on the loss


def ngn_step(c: np.ndarray, f: np.ndarray, squared_norm: np.ndarray) -> np.ndarray:
    """gamma = 2 c f / (2 f + c |g|^2), which is c / (1 + c |g|^2 / (2 f)); c where loss and gradient vanish."""
    below = 2 * f + c * squared_norm
    return np.where(below == 0, c, 2 * c * f / np.where(below == 0, 1, below))


def _squared(x: np.ndarray) -> np.ndarray:
    return np.square(x).sum(1)


def _gd(x, f, g, c, beta, last):
    return x - c[:, None] * g, last


def _damped_heavy_ball(x, f, g, c, beta, v):
    v = beta * v + (1 - beta) * c[:, None] * g
    return x - v, v


def _heavy_ball(x, f, g, c, beta, v):
    v = beta * v + c[:, None] * g
    return x - v, v


def _ngn(x, f, g, c, beta, last):
    return x - ngn_step(c, f, _squared(g))[:, None] * g, last


def _ngn_m(x, f, g, c, beta, v):
    v = beta * v + (1 - beta) * ngn_step(c, f, _squared(g))[:, None] * g
    return x - v, v


def _ngn_m_v2(x, f, g, c, beta, m):
    m = beta * m + (1 - beta) * g
    return x - ngn_step(c, f, _squared(m))[:, None] * m, m


METHODS: dict[str, Callable] = {
    "GD": _gd,
    "GDM": _damped_heavy_ball,  # x - (1 - beta) c g + beta (x - x_prev): torch's SGD with dampening, its first step too
    "SGDM": _heavy_ball,  # v = beta v + c g, no dampening
    "NGN": _ngn,
    "NGN-M": _ngn_m,
    "NGN-M v2": _ngn_m_v2,  # the design that the paper rejects: the step size from the averaged gradient
}


@dataclass(frozen=True)
class Descent:
    """x: last point (M, D). loss: there (M,). updates: done until it stopped (M,).

    status: "converged" (at or below the tolerance), "diverged" or "running" (M,). curves: losses (len(log_at), M) after
    so many updates; the last loss from where a lane stopped. points: the same of x, (len(log_at), M, D).
    """

    x: np.ndarray
    loss: np.ndarray
    updates: np.ndarray
    status: np.ndarray
    curves: np.ndarray
    points: np.ndarray


def descend(
    landscape: Landscape,
    method: str,
    c: np.ndarray | Callable[[int], np.ndarray],
    x0: np.ndarray,
    num_steps: int,
    *,
    beta: float = 0.9,
    tolerance: float = -np.inf,
    log_at: Sequence[int] = (),
) -> Descent:
    """Descend from x0 (M, D); a lane stops at its tolerance, or where it diverges.

    Args:
        method: a name of METHODS. c: (M,), or step -> (M,) counted from 0.
        tolerance: a lane whose loss is at most this has converged. log_at: numbers of updates, ascending.
    """
    rule, x = METHODS[method], np.array(x0, dtype=float)
    size, buffer, logged = len(x), np.zeros_like(x), iter([*log_at, num_steps + 1])
    loss, updates = np.full(size, np.nan), np.zeros(size, int)
    status, curves, points, at = np.full(size, "running", object), [], [], next(logged)
    lanes = np.arange(size)  # those that still run
    for step in range(num_steps + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # a lane that overflows has diverged
            f, g = landscape(x[lanes], step)
        loss[lanes], updates[lanes] = f, step
        gone = ~(f <= DIVERGED_ABOVE)
        status[lanes[gone]], status[lanes[f <= tolerance]] = "diverged", "converged"
        if step == at:
            curves.append(loss.copy()), points.append(x.copy())
            at = next(logged)
        keep = ~gone & (f > tolerance)
        lanes, f, g = lanes[keep], f[keep], g[keep]
        if step == num_steps or not len(lanes):
            break
        rate = c(step) if callable(c) else c
        x[lanes], buffer[lanes] = rule(x[lanes], f, g, rate[lanes], beta, buffer[lanes])
    while at <= num_steps:  # all have stopped
        curves.append(loss.copy()), points.append(x.copy())
        at = next(logged)
    return Descent(x, loss, updates, status, np.array(curves), np.array(points))

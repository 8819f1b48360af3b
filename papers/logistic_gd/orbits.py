"""What becomes of orbits: convergence, cycles with period and multipliers, or neither yet.

Not having converged is no cycle. A point counts as cycling only if its orbit repeats to rounding, Newton's method on
the P-fold map finds a cycle there, and the spectral radius of the cycle's Jacobian is below one.
"""

from dataclasses import dataclass, field

import numpy as np

from papers.logistic_gd.descent import descend, orbit
from papers.logistic_gd.logistic import Data, Solution, hessian

MAX_PERIOD = 64
MIN_STREAK = 3
CONVERGED, CYCLE, SLOW, UNDECIDED, DIVERGED = "w", "c", "s", "u", "d"  # letters, so that CSV columns stay text


@dataclass(frozen=True, eq=False)
class Cycle:
    """A cycle of GD at step size eta: points (P, d), multipliers (d,) complex, and the residual |G^P(w) - w|."""

    eta: float
    points: np.ndarray
    multipliers: np.ndarray
    residual: float

    @property
    def period(self) -> int:
        return len(self.points)

    @property
    def spectral_radius(self) -> float:
        return float(np.abs(self.multipliers).max())


@dataclass(eq=False)
class Fate:
    """Of every orbit: outcome (S, B) letters, period (S, B) with 0 for none, last point (S, B, d)."""

    outcome: np.ndarray
    period: np.ndarray
    point: np.ndarray
    cycles: dict[int, list[Cycle]] = field(default_factory=dict)  # index of the data set -> its stable cycles


def minimal_period(tail: np.ndarray, rtol: float = 1e-9, max_period: int = MAX_PERIOD) -> np.ndarray:
    """Smallest P with |w_t - w_{t-P}| <= rtol (1 + max|w|) over the last `max_period` steps; 0 if none.

    Args:
        tail: (T, ..., d) with T > 2 `max_period`.
    """
    allowed = rtol * (1 + np.abs(tail).max((0, -1)))
    period = np.zeros(tail.shape[1:-1], int)
    for p in range(max_period, 0, -1):
        moved = np.abs(tail[-max_period:] - tail[-max_period - p : -p]).max((0, -1))
        period[moved <= allowed] = p
    return period


def cycle_jacobian(points: np.ndarray, z: np.ndarray, weights: np.ndarray, eta: float) -> np.ndarray:
    """Product of I - eta H over the points of a cycle (P, d), latest factor left; (d, d)."""
    product = np.eye(points.shape[1])
    for h in hessian(points, z, weights):
        product = (np.eye(len(product)) - eta * h) @ product
    return product


def polish(start: np.ndarray, period: int, z: np.ndarray, weights: np.ndarray, eta: float, max_steps=30) -> Cycle:
    """The cycle near `start` (d,), by Newton's method on G^P(w) - w; it need not be stable."""
    w = start
    for _ in range(max_steps):
        points = orbit(w[None], z, weights, eta, period)[:, 0]
        residual = points[-1] - w
        jacobian = cycle_jacobian(points[:-1], z, weights, eta)
        change = np.linalg.lstsq(jacobian - np.eye(len(w)), residual, rcond=None)[0]
        if not np.isfinite(change).all() or np.abs(change).max() < 1e-15 * (1 + np.abs(w).max()):
            break
        w = w - change
    points = orbit(w[None], z, weights, eta, period)[:, 0]
    multipliers = np.linalg.eigvals(cycle_jacobian(points[:-1], z, weights, eta))
    return Cycle(eta, points[:-1], multipliers, float(np.abs(points[-1] - w).max()))


def is_stable_cycle(cycle: Cycle, w_star: np.ndarray) -> bool:
    """Residual at rounding, spectral radius below one, all points apart from the minimiser and from each other."""
    size = 1 + np.abs(w_star).max()
    apart = np.linalg.norm(cycle.points - w_star, axis=1).min() > 1e-3 * size
    steps = np.linalg.norm(cycle.points[:, None] - cycle.points[None], axis=2) + np.eye(cycle.period) * size
    return bool(apart and steps.min() > 1e-6 * size and cycle.residual < 1e-10 * size and cycle.spectral_radius < 1)


def _advance(w, z, weights, eta, num_steps: int, device: str):
    """`descend`, on an accelerator if one is named."""
    if device == "cpu":
        return descend(w, z, weights, eta, num_steps)
    import torch

    arrays = [torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (w, z, weights, eta)]
    return descend(*arrays, num_steps).cpu().numpy()


def follow(
    w0: np.ndarray,
    z: np.ndarray,
    weights: np.ndarray,
    eta: np.ndarray,
    w_star: np.ndarray,
    *,
    num_steps: int,
    max_rounds: int,
    tolerance: float = 1e-8,
    device: str = "cpu",
) -> Fate:
    """Run GD in rounds of `num_steps` until every orbit is decided, at most `max_rounds`.

    Args:
        w0: starts, (S, B, d). z: (S, m, d). weights: (S, m). eta: (S, B). w_star: minimisers, (S, d).
        tolerance: an orbit has converged if |w - w*| < tolerance (1 + |w*|).
        device: "cpu", where numpy makes the steps, or a torch device.
    Returns:
        Outcomes: w converged; c stable cycle, verified; s not yet there, but nearer to w* after each of the last
        three rounds; d diverged; u none of these.
    """
    num_sets, num_starts, _ = w0.shape
    fate = Fate(np.full((num_sets, num_starts), UNDECIDED), np.zeros((num_sets, num_starts), int), w0.copy())
    size = 1 + np.linalg.norm(w_star, axis=-1)[:, None]  # (S, 1)
    distance = np.full((num_sets, num_starts), np.inf)
    streak = np.zeros((num_sets, num_starts), int)  # rounds in a row that ended nearer to w*
    active = np.arange(num_sets)
    for _ in range(max_rounds):
        one = (z[active], weights[active], eta[active][..., None])
        w = _advance(fate.point[active], *one, num_steps, device)
        tail = orbit(w, *one, 2 * MAX_PERIOD)
        fate.point[active] = tail[-1]
        before, now = distance[active], np.linalg.norm(tail[-1] - w_star[active][:, None], axis=-1)
        distance[active] = now
        streak[active] = np.where(now < before, streak[active] + 1, 0)
        outcome = fate.outcome[active]
        outcome[outcome != CYCLE] = UNDECIDED
        outcome[(outcome == UNDECIDED) & (streak[active] >= MIN_STREAK) & (now < 0.5 * size[active])] = SLOW
        outcome[now < tolerance * size[active]] = CONVERGED
        outcome[~np.isfinite(now)] = DIVERGED
        open_orbits = (outcome == UNDECIDED) | (outcome == SLOW)
        period = np.zeros(outcome.shape, int)
        period[open_orbits] = minimal_period(tail[:, open_orbits])
        fate.outcome[active] = outcome
        for local in np.flatnonzero((period > 1).any(axis=1)):
            _verify(fate, active[local], period[local], z, weights, eta, w_star)
        undecided = (fate.outcome[active] == UNDECIDED) | (fate.outcome[active] == SLOW)
        active = active[undecided.any(axis=1)]
        if len(active) == 0:
            break
    return fate


def _verify(fate: Fate, index: int, periods: np.ndarray, z, weights, eta, w_star) -> None:
    """Mark the starts of one data set whose repeating orbit is a stable cycle; each cycle is polished once."""
    for start in np.flatnonzero(periods > 1):
        step, point = float(eta[index, start]), fate.point[index, start]
        known = fate.cycles.setdefault(index, [])
        near = 1e-6 * (1 + np.abs(point).max())
        cycle = next((c for c in known if c.eta == step and np.abs(c.points - point).max(1).min() < near), None)
        if cycle is None:
            cycle = polish(point, int(periods[start]), z[index], weights[index], step)
            if not is_stable_cycle(cycle, w_star[index]) or np.abs(cycle.points - point).max(1).min() > near:
                continue
            known.append(cycle)
        fate.outcome[index, start], fate.period[index, start] = CYCLE, cycle.period


def follow_gammas(starts: np.ndarray, data: Data, solution: Solution, gammas: list[float], **options: object) -> Fate:
    """Fate of `starts` (B, d) on one data set at every gamma: the gammas take the place of data sets.

    Args:
        options: those of `follow`.
    """
    num = len(gammas)
    return follow(
        np.tile(starts, (num, 1, 1)),
        np.broadcast_to(data.z, (num, *data.z.shape)),
        np.broadcast_to(data.weights, (num, len(data.weights))),
        np.tile(solution.eta(np.array(gammas))[:, None], (1, len(starts))),
        np.tile(solution.w, (num, 1)),
        **options,
    )

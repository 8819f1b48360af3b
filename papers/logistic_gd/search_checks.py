"""What a linear program found, tested again: integer counts, the cycle by Newton, stability over gamma, simulation."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from papers.logistic_gd.certify import certify_cycle
from papers.logistic_gd.families import as_data
from papers.logistic_gd.known_families import rounded_up
from papers.logistic_gd.logistic import Data, minimizer, newton
from papers.logistic_gd.lp_search import MARGIN, Found, PlaneGrid, lifted_rows, line_points, plane_rows
from papers.logistic_gd.orbits import CYCLE, Cycle, follow, is_stable_cycle, polish

COPIES = 100  # of the lightest row, which on the circle is (0, -1)
GAMMA_STEP = 0.01


def stable_cycles(
    starts: np.ndarray, z: np.ndarray, weights: np.ndarray, w_star: np.ndarray, sharpness: float, lowest: float
) -> list[tuple[float, list[Cycle]]]:
    """Stable cycles that `starts` (B, d) end on, for every gamma of a grid from `lowest` to below 2.

    The program's own cycle is unstable as a rule; simulation finds the stable one that appears beside it.
    """
    gammas = np.round(np.arange(math.ceil(lowest / GAMMA_STEP) * GAMMA_STEP, 2 - GAMMA_STEP / 2, GAMMA_STEP), 6)
    if len(gammas) == 0:
        return []
    fate = follow(
        np.tile(starts, (len(gammas), 1, 1)),
        np.broadcast_to(z, (len(gammas), *z.shape)),
        np.broadcast_to(weights, (len(gammas), len(weights))),
        np.tile(gammas[:, None] / sharpness, (1, len(starts))),
        np.tile(w_star, (len(gammas), 1)),
        num_steps=1000,
        max_rounds=3,
    )
    return [(float(gammas[index]), fate.cycles[index]) for index in sorted(fate.cycles) if fate.cycles[index]]


def returns_to_cycle(
    data: Data, gamma: float, cycle: Cycle, generator: np.random.Generator, size: float = 1e-3
) -> bool:
    """Whether eight starts at distance `size` from the cycle's first point end on a cycle again."""
    solution = minimizer(data)
    starts = cycle.points[0] + size * generator.standard_normal((8, len(solution.w))) / math.sqrt(len(solution.w))
    fate = follow(
        starts[None],
        data.z[None],
        data.weights[None],
        np.full((1, 8), solution.eta(gamma)),
        solution.w[None],
        num_steps=1000,
        max_rounds=4,
    )
    return bool((fate.outcome == CYCLE).all())


def plane_checks(grid: PlaneGrid, found: Found, generator: np.random.Generator) -> dict:
    """Integer data of a search on the circle: gamma and cycle beside the program's, least stable gamma, certificate."""
    rows = plane_rows(grid, found.alpha, COPIES)
    data = as_data(rows)
    solution = minimizer(data)
    amplitude, height, *_ = np.exp(found.parameters)
    # the program's eta is 1 in units of its weights, of which the lightest row has alpha[0]
    gamma = found.alpha[0] / COPIES * data.num_examples * solution.sharpness
    start = np.array([[amplitude, height], [-amplitude, height]])
    cycle = polish(start[0], 2, data.z, data.weights, solution.eta(gamma))
    base = {
        "gamma_integer": float(gamma),
        "cycle_moved": float(np.abs(cycle.points[0] - start[0]).max() / np.abs(start).max()),
        "residual": cycle.residual,
        "num_rows": len(rows),
        "num_examples": data.num_examples,
        "count_ratio": max(r.count for r in rows) / min(r.count for r in rows),
        "norm_error": float(np.abs(np.linalg.norm(data.z, axis=1) - 1).max()),
    }
    factors = np.array([[a, b] for a in (0.9, 1.0, 1.1, 1.25, 1.5) for b in (0.96, 1.0, 1.04, 1.08)])
    if is_stable_cycle(cycle, solution.w) and cycle.spectral_radius < 1 - MARGIN and gamma < 2:
        gamma = rounded_up(gamma)  # a decimal number, to be certified as such
        cycle = polish(cycle.points[0], 2, data.z, data.weights, solution.eta(gamma))
        confirmed = certify_cycle(rows, str(gamma), cycle.points).certified
        confirmed = confirmed and returns_to_cycle(data, gamma, cycle, generator)
        return base | _of_stable(gamma, cycle.spectral_radius, confirmed, cycle)
    for step, cycles in stable_cycles(
        factors * start[0], data.z, data.weights, solution.w, solution.sharpness, float(gamma)
    ):
        stable = [c for c in cycles if c.spectral_radius < 1 - MARGIN]
        if stable:
            certificate = certify_cycle(rows, str(step), stable[0].points)
            confirmed = certificate.certified and returns_to_cycle(data, step, stable[0], generator)
            return base | _of_stable(step, stable[0].spectral_radius, confirmed, stable[0])
    return base | _of_stable(math.nan, math.nan, False, cycle)


def _of_stable(gamma: float, radius: float, confirmed: bool, cycle: Cycle) -> dict:
    first = cycle.points[np.argmax(cycle.points[:, 0])]
    return {
        "gamma_stable": gamma,
        "spectral_radius": radius,
        "confirmed": confirmed,
        "period": cycle.period if confirmed else 0,
        "point_1": float(first[0]),
        "point_2": float(first[1]) if len(first) == 2 else float(cycle.points.min()),
    }


def across_curvature(x: np.ndarray, weights: np.ndarray, dim: int, points: np.ndarray) -> np.ndarray:
    """Hessian across the axis at points (K,) on it, for the lift of rows x (m,) to R^dim; (K,)."""
    bend = 0.25 * (1 - np.tanh(0.5 * np.outer(points, x)) ** 2)
    return bend @ (weights * (1 - x**2)) / (dim - 1)


def lifted_checks(x: np.ndarray, found: Found, dim: int, generator: np.random.Generator) -> dict:
    """The same for a lifted search: stability along and across the axis by formula, then simulation in R^dim."""
    z, counts = lifted_rows(x, found.alpha, dim, COPIES)
    data = Data(z, counts)
    # on the axis all lifts of a row are one
    line, line_weights = z[:: 2 * (dim - 1), :1], counts[:: 2 * (dim - 1)] / counts[:: 2 * (dim - 1)].sum()
    w_star, _ = newton(line, line_weights)
    along = float((0.25 * (1 - np.tanh(0.5 * line[:, 0] * w_star[0]) ** 2) * line_weights) @ line[:, 0] ** 2)
    across = float(across_curvature(line[:, 0], line_weights, dim, w_star)[0])
    sharpness = max(along, across)
    keep = found.alpha > 1e-7 * found.alpha.max()
    eta = found.alpha[keep].min() / COPIES * counts[:: 2 * (dim - 1)].sum()
    points = line_points(found.parameters)[0][:, None]
    cycle = polish(points[0], 2, line, line_weights, eta)
    base = {
        "gamma_integer": float(eta * sharpness),
        "cycle_moved": float(np.abs(cycle.points - points).max() / np.abs(points).max()),
        "residual": cycle.residual,
        "num_rows": len(z),
        "num_examples": data.num_examples,
        "count_ratio": float(counts.max() / counts.min()),
        "norm_error": float(np.abs(np.linalg.norm(z, axis=1) - 1).max()),
    }
    starts = points[0] * np.array([0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0])[:, None]
    for gamma, cycles in stable_cycles(starts, line, line_weights, w_star, sharpness, float(eta * sharpness)):
        for found_cycle in cycles:
            bends = across_curvature(line[:, 0], line_weights, dim, found_cycle.points[:, 0])
            radius = max(found_cycle.spectral_radius, float(np.abs(np.prod(1 - gamma / sharpness * bends))))
            if radius < 1 - MARGIN:
                full = replace(found_cycle, points=np.pad(found_cycle.points, ((0, 0), (0, dim - 1))))
                confirmed = returns_to_cycle(data, gamma, full, generator)
                return base | _of_stable(gamma, radius, confirmed, found_cycle)
    return base | _of_stable(math.nan, math.nan, False, cycle)


def found_row(found: Found | None, checks: Callable[..., dict], *arguments: object) -> dict:
    """Programs solved, the least gamma and what `checks(*arguments)` say of it; little where nothing was feasible."""
    if found is None:
        return {"num_feasible": 0, "period": 0, "confirmed": False}
    return {"num_feasible": found.num_solved, "gamma_program": found.gamma} | checks(*arguments)

"""Data on a sphere with a cycle, searched for: linear programs in the weights of a grid of unit rows.

For given cycle points and minimiser, "GD steps from each point to the next" and "the minimiser is stationary" are
linear in the weights alpha_j >= 0 of candidate rows (eta is absorbed in them), and so is the bound gamma on the Hessian
at the minimiser where symmetry makes it diagonal. The program minimises gamma; a random search moves the points.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit

from papers.logistic_gd.families import Row, cos_sin

NORM_BOUND = 0.99  # of a stable half-cycle's Jacobian; below one by more than integer counts can move it
MARGIN = 1e-6  # a cycle counts as stable if its spectral radius is below one by this
SEPARATION = 0.5  # least distance of cycle points from the minimiser; without it a search ends at gamma -> 2


@dataclass(frozen=True, eq=False)
class Found:
    """Best program of a search: gamma, the points' parameters, weights alpha of the grid rows, programs solved."""

    gamma: float
    parameters: np.ndarray
    alpha: np.ndarray
    num_solved: int


def _solve(equalities, right_sides, curvatures, bounds=None, present=None) -> tuple[float, np.ndarray] | None:
    """Minimise gamma subject to equalities @ alpha = right_sides and curvatures @ alpha <= gamma; None if infeasible.

    Args:
        bounds: more inequalities, (rows, limits): rows @ alpha <= limits.
        present: which weights may differ from 0, (m,) bool; all if omitted.
    """
    num_rows = equalities.shape[1]
    most = np.inf if present is None else np.where(present, np.inf, 0.0)
    ranges = np.column_stack([np.zeros(num_rows), np.broadcast_to(most, num_rows)])
    scale = np.maximum(np.abs(equalities).max(1), 1e-300)  # rows of equal size: HiGHS's tolerance is absolute
    inequalities, limits = np.hstack([curvatures, -np.ones((len(curvatures), 1))]), np.zeros(len(curvatures))
    if bounds is not None:
        inequalities = np.vstack([inequalities, np.hstack([bounds[0], np.zeros((len(bounds[0]), 1))])])
        limits = np.concatenate([limits, bounds[1]])
    program = linprog(
        np.concatenate([np.zeros(num_rows), [1.0]]),
        A_ub=inequalities,
        b_ub=limits,
        A_eq=np.hstack([equalities / scale[:, None], np.zeros((len(equalities), 1))]),
        b_eq=right_sides / scale,
        bounds=[*ranges, (0, None)],
        method="highs",
    )
    return (float(program.fun), program.x[:-1]) if program.status == 0 else None


@dataclass(frozen=True, eq=False)
class PlaneGrid:
    """Pairs of unit rows (+-cos, sin) at angles from -90 to 90 degrees; weight alpha_j is shared by both halves."""

    angles: np.ndarray

    @classmethod
    def of(cls, num_angles: int) -> "PlaneGrid":
        return cls(np.linspace(-90, 90, num_angles))

    @property
    def cos_sin(self) -> tuple[np.ndarray, np.ndarray]:
        cos, sin = zip(*(cos_sin(float(a)) for a in self.angles), strict=True)
        return np.array(cos), np.array(sin)

    @property
    def num_halves(self) -> np.ndarray:
        """Rows that share a weight: one on the axis, else two."""
        return np.where(np.abs(self.angles) == 90, 1.0, 2.0)

    def weights(self, rows: list[Row], eta: float) -> np.ndarray:
        """alpha of mirror-symmetric rows at step size eta, whose angles have to be among the grid's."""
        alpha, num = np.zeros(len(self.angles)), sum(row.count for row in rows)
        for row in rows:
            angle = row.angle if row.angle <= 90 else 180 - row.angle
            alpha[np.flatnonzero(np.isclose(self.angles, angle)).item()] += eta * row.count / num
        return alpha


def plane_program(
    grid: PlaneGrid, ratio: float, parameters: np.ndarray, stable: bool = False, below: float = math.inf
) -> tuple[float, np.ndarray] | None:
    """Least gamma of a mirror-symmetric 2-cycle (+-A, r) with minimiser (0, r*), and the weights.

    That no row is lighter than (0, -1) is no linear condition: rows that come out lighter are left out, and the program
    is solved again without them. So the gamma is an upper bound of the least one.

    Args:
        ratio: the heaviest row may weigh `ratio` times the lightest one, which is (0, -1).
        parameters: log A, log r, log r*, log kappa.
        stable: also require |1 - H11| + kappa |H12| <= 0.99 and |1 - H22| + |H12| / kappa <= 0.99 at the cycle, which
            is linear too and bounds the spectral radius of a half-cycle: the mirror keeps this norm.
        below: a gamma to improve on. Rows are left out only while it is: where it is not, some may be too light.
    """
    amplitude, height, minimum, kappa = np.exp(parameters)
    cos, sin = grid.cos_sin
    right, left = expit(-(cos * amplitude + sin * height)), expit(-(-cos * amplitude + sin * height))
    at_minimum = expit(-sin * minimum)
    bend = at_minimum * (1 - at_minimum)
    light = np.zeros((len(sin), len(sin)))
    light[:, 0] = ratio * grid.num_halves  # the row at -90 degrees
    bounds = (np.eye(len(sin)) - light)[1:], np.zeros(len(sin) - 1)
    if stable:
        both, skew = right * (1 - right) + left * (1 - left), right * (1 - right) - left * (1 - left)
        h11, h12, h22 = cos**2 * both / 2, cos * sin * skew / 2, sin**2 * both / 2
        norms = [
            (a * h + b * factor * h12, NORM_BOUND + a)
            for h, factor in ((h11, kappa), (h22, 1 / kappa))
            for a in (-1, 1)  # 1 - h <= ..., h - 1 <= ...
            for b in (-1, 1)
        ]
        rows, limits = zip(*norms, strict=True)
        bounds = np.vstack([bounds[0], rows]), np.concatenate([bounds[1], limits])
    program = (
        np.array([cos / 2 * (left - right), sin / 2 * (left + right), sin * at_minimum]),
        np.array([2 * amplitude, 0.0, 0.0]),
        np.array([cos**2 * bend, sin**2 * bend]),
        bounds,
    )
    present = np.ones(len(sin), bool)
    while (found := _solve(*program, present)) is not None and found[0] < below:
        too_light = (found[1] > 0) & (found[1] < (1 - 1e-6) * grid.num_halves * found[1][0])
        if not too_light.any():
            break
        present &= ~too_light
    return found


def line_program(x: np.ndarray, dim: int, points: np.ndarray, minimum: float) -> tuple[float, np.ndarray] | None:
    """Least gamma of a cycle through `points` (K,) on the first axis of R^dim, and the weights.

    Row x_j stands for the 2 (dim - 1) unit rows (x_j, +-sqrt(1 - x_j^2) e_k), equally weighted: the axis is invariant,
    and the curvature across it is that of (1 - x_j^2) / (dim - 1).
    """
    pulls = expit(-np.outer(points, x)) * x
    at_minimum = expit(-x * minimum)
    bend = at_minimum * (1 - at_minimum)
    return _solve(
        np.vstack([pulls, at_minimum * x]),
        np.append(np.roll(points, -1) - points, 0.0),
        np.array([x**2 * bend, (1 - x**2) / (dim - 1) * bend]),
    )


def random_search(
    program: Callable[[np.ndarray, float], tuple[float, np.ndarray] | None],
    draw: Callable[[np.random.Generator], np.ndarray],
    generator: np.random.Generator,
    num_trials: int,
    known: Iterable[np.ndarray] = (),
    best: Found | None = None,
    local_share: float = 0.8,
) -> Found | None:
    """Best of `num_trials` programs: those of `known`, new draws and, for `local_share` of them, moves of the best.

    Args:
        program: (parameters, gamma to improve on) -> (gamma, weights), or None where it is infeasible.
        draw: fresh parameters.
        known: parameters that are tried first.
        best: what is known to be feasible, so that the outcome is no worse.
    """
    solved, waiting = 0, list(known)
    for _ in range(num_trials):
        if waiting:
            parameters = waiting.pop(0)
        elif best is not None and generator.random() < local_share:
            width = 10 ** generator.uniform(-3, -0.3)
            parameters = best.parameters + width * generator.standard_normal(len(best.parameters))
        else:
            parameters = draw(generator)
        least = math.inf if best is None else best.gamma
        outcome = program(parameters, least)
        solved += outcome is not None
        if outcome is not None and outcome[0] < least:
            best = Found(outcome[0], parameters, outcome[1], solved)
    return None if best is None else replace(best, num_solved=solved)


Search = Callable[[float, np.random.Generator, int, list[np.ndarray], Found | None], Found | None]


def along(
    limits: Sequence[float],
    search: Search,
    generator: np.random.Generator,
    num_trials: int,
    known: Iterable[np.ndarray] = (),
    feasible: Callable[[float], list[Found]] = lambda limit: [],
) -> dict[float, Found | None]:
    """Searches under limits that rise from strict to loose, so that what is feasible under one is under the next.

    Each is searched twice: from the loosest down, then from the strictest up, started from what was found before under
    it and beside it. Hence the least gamma never rises along the limits, as that of the true optimum.

    Args:
        search: (limit, generator, programs, parameters to start from, best known) -> the best found.
        num_trials: programs per limit, both times together.
        known: parameters of families that are known to have cycles.
        feasible: what is known to be feasible under a limit; it is taken where it is better than what was found. No
            program moves on from it, since it need not be the best for its own parameters.
    """
    found: dict[float, Found | None] = {}
    for number, order in enumerate((limits[::-1], limits)):
        spent, beside = num_trials // 2, None
        for limit in order:
            before = found.get(limit)
            # what was found under a stricter limit is feasible, what was found under a looser one a start
            best = _least([before, beside if number else None])
            starts = [each.parameters for each in (before, beside) if each is not None]
            starts = [*(() if number else known), *starts]
            now = search(limit, generator, num_trials - spent if number else spent, starts, best)
            if now is not None and before is not None:
                now = replace(now, num_solved=now.num_solved + before.num_solved)
            found[limit] = beside = now
    least = {limit: _least([*feasible(limit), found[limit]]) for limit in limits}
    solved = {limit: found[limit].num_solved if found[limit] else 0 for limit in limits}
    return {limit: least[limit] and replace(least[limit], num_solved=solved[limit]) for limit in limits}


def _least(found: Iterable[Found | None]) -> Found | None:
    return min((each for each in found if each is not None), key=lambda each: each.gamma, default=None)


def search_plane(
    grid: PlaneGrid,
    ratio: float,
    num_trials: int,
    generator: np.random.Generator,
    stable: bool = False,
    known: Iterable[np.ndarray] = (),
    best: Found | None = None,
) -> Found | None:
    """Random search over (log A, log r, log r*, log kappa) for the least gamma of a 2-cycle on the circle."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        height = rng.uniform(math.log(3), math.log(25))
        amplitude, gap = rng.uniform(math.log(SEPARATION), math.log(10)), rng.uniform(-0.5, 0.1)
        return np.array([amplitude, height, height + gap, rng.uniform(-1.5, 1.5)])

    def program(parameters: np.ndarray, below: float):
        if parameters[0] < math.log(SEPARATION) or parameters.max() > math.log(40):
            return None  # a cycle around the minimiser, or margins without precision
        return plane_program(grid, ratio, parameters, stable, below)

    return random_search(program, draw, generator, num_trials, known, best)


def search_line(
    x: np.ndarray,
    dim: int,
    num_trials: int,
    generator: np.random.Generator,
    known: Iterable[np.ndarray] = (),
    best: Found | None = None,
) -> Found | None:
    """Random search over (log a_1, log -a_2, log w*) for the least gamma of a lifted 2-cycle in R^dim.

    The small rows make a flat valley with the minimiser in it, the large row a wall at zero that throws GD out to a_1.
    """

    def draw(rng: np.random.Generator) -> np.ndarray:
        out = rng.uniform(math.log(3), math.log(60))
        return np.array([out, rng.uniform(-3, 2), out - rng.uniform(0.2, 3)])

    def program(parameters: np.ndarray, below: float):
        if np.abs(parameters).max() > math.log(1e3):
            return None
        points, minimum = line_points(parameters)
        if np.abs(points - minimum).min() < SEPARATION:
            return None
        return line_program(x, dim, points, minimum)

    return random_search(program, draw, generator, num_trials, known, best)


def line_points(parameters: np.ndarray) -> tuple[np.ndarray, float]:
    """Cycle points a_1 > 0 > a_2 and the minimiser, from their logarithms."""
    out, back, minimum = np.exp(parameters)
    return np.array([out, -back]), float(minimum)


def plane_rows(grid: PlaneGrid, alpha: np.ndarray, copies: int) -> list[Row]:
    """Integer counts: weights scaled so that (0, -1) occurs `copies` times; rows rounded to nothing are dropped."""
    counts = np.round(alpha / alpha[0] * copies)
    halves = np.round(alpha / alpha[0] * copies / 2)
    rows = []
    for angle, count, half in zip(grid.angles.tolist(), counts, halves, strict=True):
        if abs(angle) == 90 and count > 0:
            rows.append(Row("1", angle, int(count)))
        elif abs(angle) != 90 and half > 0:
            rows += [Row("1", angle, int(half)), Row("1", 180 - angle, int(half))]
    return rows


def lifted_rows(x: np.ndarray, alpha: np.ndarray, dim: int, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows in R^dim (m, dim) and counts (m,) of a lifted program; the lightest row occurs `copies` times."""
    keep = alpha > 1e-7 * alpha.max()
    counts = np.round(alpha[keep] / alpha[keep].min() * copies).astype(int)
    blocks = []
    for value in x[keep]:
        block = np.zeros((2 * (dim - 1), dim))
        block[:, 0] = value
        across = math.sqrt(max(0.0, 1 - value**2))
        block[: dim - 1, 1:] = across * np.eye(dim - 1)
        block[dim - 1 :, 1:] = -across * np.eye(dim - 1)
        blocks.append(block)
    return np.vstack(blocks), np.repeat(counts, 2 * (dim - 1))

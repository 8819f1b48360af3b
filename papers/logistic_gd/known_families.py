"""The least gamma at which a known family on the circle has a stable cycle, and that cycle as of a search."""

import math

import numpy as np

from papers.logistic_gd.families import KNOWN_CYCLES, Row, as_data, two_walls
from papers.logistic_gd.logistic import Data, Solution, minimizer
from papers.logistic_gd.lp_search import MARGIN, Found, PlaneGrid
from papers.logistic_gd.orbits import Cycle, is_stable_cycle, polish

REACH, ENOUGH = 0.2, 1e-5  # how far below the known gamma a cycle is looked for, and how finely
DIGITS = 1e4  # gammas are rounded up to four digits, to be certified as decimal numbers


def rounded_up(gamma: float) -> float:
    """The least multiple of 1e-4 that is no less than gamma, but for its rounding."""
    return math.ceil(gamma * DIGITS - 1e-6) / DIGITS


def least_stable(data: Data, solution: Solution, gamma: float, point: np.ndarray) -> tuple[float, Cycle]:
    """The least gamma to which the stable 2-cycle at `point` (2,) can be followed, rounded up, and the cycle there.

    By bisection, each cycle from the nearest one found. That no other cycle exists below is not shown.
    """

    def followed(gamma: float, start: np.ndarray) -> Cycle | None:
        cycle = polish(start, 2, data.z, data.weights, solution.eta(gamma))
        return cycle if is_stable_cycle(cycle, solution.w) and cycle.spectral_radius < 1 - MARGIN else None

    low, high, cycle = gamma - REACH, gamma, followed(gamma, point)
    while high - low > ENOUGH:
        middle = (low + high) / 2
        if (next_ := followed(middle, cycle.points[0])) is None:
            low = middle
        else:
            high, cycle = middle, next_
    return rounded_up(high), followed(rounded_up(high), cycle.points[0])


def known_families(grid: PlaneGrid) -> dict[str, tuple[float, Found]]:
    """Name -> (heaviest row over lightest, the family at its least gamma), for a search on the circle."""
    found = {}
    for (theta, k, heavy, light), (gamma, point) in KNOWN_CYCLES.items():
        rows: list[Row] = two_walls(theta, k, heavy, light)
        data = as_data(rows)
        solution = minimizer(data)
        gamma, cycle = least_stable(data, solution, gamma, np.array(point))
        parameters = np.array([*np.log(np.abs(cycle.points[0])), math.log(solution.w[1]), 0.0])
        known = Found(gamma, parameters, grid.weights(rows, solution.eta(gamma)), 0)
        found[f"S({theta:g};{k},{heavy},{light})"] = max(heavy, k) / min(light, k), known
    return found


def search_starts(known: list[Found]) -> list[np.ndarray]:
    """Parameters of known cycles where a search starts, each with three values of kappa."""
    return [found.parameters + np.array([0, 0, 0, kappa]) for found in known for kappa in (-0.5, 0.0, 0.5)]

"""How a data set's orbits at one step size are summed up in a record's row."""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.certify import certify_cycle
from papers.logistic_gd.descent import orbit
from papers.logistic_gd.families import Row
from papers.logistic_gd.logistic import Data, Solution, loss
from papers.logistic_gd.orbits import CONVERGED, CYCLE, DIVERGED, SLOW, UNDECIDED, Cycle, Fate

NAMES = {CONVERGED: "converged", SLOW: "slow", CYCLE: "cycling", UNDECIDED: "undecided", DIVERGED: "diverged"}


def shares(outcome: np.ndarray) -> dict[str, float]:
    """Share of starts by what became of them; the five sum to one."""
    return {f"share_{name}": float((outcome == letter).mean()) for letter, name in NAMES.items()}


def counts(outcome: np.ndarray) -> dict[str, int]:
    """Number of runs by what became of them."""
    return {f"num_{name}": int((outcome == letter).sum()) for letter, name in NAMES.items()}


def distinct(cycles: list[Cycle]) -> list[Cycle]:
    """Cycles up to where on them an orbit was caught, by their point of largest first coordinate."""
    found: list[Cycle] = []
    for cycle in cycles:
        points = cycle.points[np.argmax(cycle.points[:, 0])]
        size = 1e-6 * (1 + np.abs(points).max())
        if all(np.abs(points - f.points[np.argmax(f.points[:, 0])]).max() > size for f in found):
            found.append(cycle)
    return found


def cycle_row(rows: list[Row], data: Data, solution: Solution, gamma: float, cycle: Cycle) -> dict:
    """A stable cycle in numbers, with its certificate."""
    start = int(np.argmax(cycle.points[:, 0]))
    points = np.roll(cycle.points, -start, axis=0)
    losses = loss(points, data.z, data.weights)
    certificate = certify_cycle(rows, str(gamma), points)
    return {
        "period": cycle.period,
        "points": "; ".join(" ".join(f"{x:.7g}" for x in point) for point in points),
        "spectral_radius": cycle.spectral_radius,
        "multipliers": " ".join(f"{m:.4g}" for m in sorted(np.abs(cycle.multipliers))),
        "residual": cycle.residual,
        "distance": float(np.linalg.norm(points - solution.w, axis=1).min()),
        "loss": float(losses.max()),
        "loss_spread": float(np.ptp(losses)),
        "certified": certificate.certified,
    }


def cycle_rows(rows: list[Row], data: Data, solution: Solution, fate: Fate, index: int, gamma: float) -> Iterator[dict]:
    """One row per stable cycle of entry `index` of `fate`, each with the shares of starts; cycle 0 if there is none."""
    cycles, common = distinct(fate.cycles.get(index, [])), {"gamma": gamma} | shares(fate.outcome[index])
    if not cycles:
        yield common | {"cycle": 0, "period": 0, "certified": False}
    for number, cycle in enumerate(cycles, 1):
        yield common | {"cycle": number} | cycle_row(rows, data, solution, gamma, cycle)


def vector_rows(rows: list[Row]) -> Iterator[dict]:
    """The data themselves: each distinct row with its count."""
    for index, row in enumerate(rows):
        w1, w2 = row.vector()
        yield {"path": "data", "t": index, "w1": w1, "w2": w2, "count": row.count}


def path_rows(
    data: Data, solution: Solution, starts: np.ndarray, outcome: np.ndarray, gamma: float, num_steps: int
) -> Iterator[dict]:
    """The first start that cycles and the converging one nearest to it, step by step, with their losses."""
    best = loss(solution.w[None], data.z, data.weights)[0]
    cycling, converging = starts[outcome == CYCLE][:1], starts[outcome == CONVERGED]
    converging = converging[np.linalg.norm(converging - cycling, axis=1).argsort()[:1]]
    for chosen, name in ((cycling, "cycles"), (converging, "converges")):
        points = orbit(chosen, data.z, data.weights, solution.eta(gamma), num_steps)[:, 0]
        excess = loss(points, data.z, data.weights) - best
        for t, (point, value) in enumerate(zip(points, excess, strict=True)):
            yield {"path": name, "gamma": gamma, "t": t, "w1": point[0], "w2": point[1], "excess": value}

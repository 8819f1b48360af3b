"""Step: cycles of the two-walls data sets in the plane, with their certificates, and starts near the minimiser.

python -m papers.logistic_gd.plane --scale cpu --shard circle --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import Plane, TwoWalls
from papers.logistic_gd.descent import orbit
from papers.logistic_gd.families import Row, as_data, two_walls, two_walls_unequal
from papers.logistic_gd.logistic import Data, Solution, loss, minimizer
from papers.logistic_gd.orbits import CONVERGED, CYCLE, Fate, follow
from papers.logistic_gd.reports import cycle_row, distinct, shares
from papers.logistic_gd.step import step_command
from shared.base.seeding import numpy_generator


def exact_rows(chosen: TwoWalls) -> list[Row]:
    """Rows of S, or of U where no angle is given."""
    if chosen.theta is None:
        return two_walls_unequal()
    return two_walls(chosen.theta, chosen.k, chosen.heavy, chosen.light)


def follow_all(starts: np.ndarray, data: Data, solution: Solution, gammas: np.ndarray, **rounds: int) -> Fate:
    """Fate of `starts` (B, d) at every gamma; the gammas take the place of data sets."""
    num = len(gammas)
    return follow(
        np.tile(starts, (num, 1, 1)),
        np.broadcast_to(data.z, (num, *data.z.shape)),
        np.broadcast_to(data.weights, (num, len(data.weights))),
        np.tile(solution.eta(gammas)[:, None], (1, len(starts))),
        np.tile(solution.w, (num, 1)),
        **rounds,
    )


def set_rows(settings: Plane, chosen: TwoWalls) -> Iterator[dict]:
    """One data set: every stable cycle at every gamma, shares of starts, and how near starts end."""
    exact = exact_rows(chosen)
    data = as_data(exact)
    solution = minimizer(data)
    rng = numpy_generator(settings.seed, "plane", chosen.shard)
    low, high = np.array(chosen.box).reshape(2, 2).T
    starts = rng.uniform(low, high, (settings.num_starts, 2))
    angle, radius = rng.uniform(0, 2 * np.pi, settings.num_near), settings.near * np.sqrt(rng.random(settings.num_near))
    near = solution.w + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gammas = np.array(chosen.gammas)
    rounds = {"num_steps": settings.num_steps, "max_rounds": settings.max_rounds}
    fate = follow_all(starts, data, solution, gammas, **rounds)
    near_fate = follow_all(near, data, solution, gammas, tolerance=1e-9, **rounds)
    near_error = np.linalg.norm(near_fate.point - solution.w, axis=-1).max(1)
    common = {
        "data": chosen.name,
        "n": data.num_examples,
        "norm_error": float(np.abs(np.linalg.norm(data.z, axis=1) - 1).max()),
        "w1_star": solution.w[0],
        "w2_star": solution.w[1],
        "lambda_min": solution.eigenvalues[0],
        "lambda_max": solution.eigenvalues[1],
        "loss_star": float(loss(solution.w[None], data.z, data.weights)[0]),
        "num_starts": settings.num_starts,
        "num_near": settings.num_near,
    }
    for index, gamma in enumerate(chosen.gammas):
        row = common | {"gamma": gamma, "near_error": near_error[index]} | shares(fate.outcome[index])
        cycles = distinct(fate.cycles.get(index, []))
        if not cycles:
            yield row | {"cycle": 0, "certified": False}
        for number, cycle in enumerate(cycles, 1):
            yield row | {"cycle": number} | cycle_row(exact, data, solution, gamma, cycle)
        if gamma == settings.path_gamma and chosen == settings.sets[0]:
            yield from path_rows(settings, data, solution, starts, fate.outcome[index])


def path_rows(settings: Plane, data: Data, solution: Solution, starts: np.ndarray, outcome: np.ndarray):
    """The first start that cycles and the converging one nearest to it, step by step, with their losses."""
    best = loss(solution.w[None], data.z, data.weights)[0]
    cycling, converging = starts[outcome == CYCLE][:1], starts[outcome == CONVERGED]
    converging = converging[np.linalg.norm(converging - cycling, axis=1).argsort()[:1]]
    for chosen, name in ((cycling, "cycles"), (converging, "converges")):
        points = orbit(chosen, data.z, data.weights, solution.eta(settings.path_gamma), settings.path_steps)[:, 0]
        excess = loss(points, data.z, data.weights) - best
        for t, (point, value) in enumerate(zip(points, excess, strict=True)):
            yield {"path": name, "gamma": settings.path_gamma, "t": t, "w1": point[0], "w2": point[1], "excess": value}


def rows(settings: Plane) -> Iterator[dict]:
    """Cycles, certificates and trajectories of all data sets."""
    for chosen in settings.sets:
        yield from set_rows(settings, chosen)


main = step_command("plane", rows)

if __name__ == "__main__":
    typer.run(main)

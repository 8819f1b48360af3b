"""Step: cycles of the two-walls data sets in the plane, with their certificates, and starts near the minimiser.

python -m papers.logistic_gd.plane --scale cpu --shard circle
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.families import as_data, planar
from papers.logistic_gd.logistic import loss, minimizer
from papers.logistic_gd.orbits import follow_gammas
from papers.logistic_gd.reports import cycle_rows, path_rows, vector_rows
from papers.logistic_gd.settings import Plane, TwoWalls
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator


@step
def plane(settings: Plane) -> Iterator[dict]:
    """Cycles and certificates of all data sets; two trajectories on the first."""
    for chosen in settings.sets:
        yield from set_rows(settings, chosen)


def set_rows(settings: Plane, chosen: TwoWalls) -> Iterator[dict]:
    """One data set: every stable cycle at every gamma, shares of starts, and how near starts end."""
    rows = planar(chosen.theta, chosen.k, chosen.heavy, chosen.light)
    data = as_data(rows)
    solution = minimizer(data)
    rng = numpy_generator(settings.seed, "plane", chosen.shard)
    low, high = np.array(chosen.box).reshape(2, 2).T
    starts = rng.uniform(low, high, (settings.num_starts, 2))
    angle, radius = rng.uniform(0, 2 * np.pi, settings.num_near), settings.near * np.sqrt(rng.random(settings.num_near))
    near = solution.w + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    fate = follow_gammas(starts, data, solution, chosen.gammas, **settings.rounds)
    near_fate = follow_gammas(near, data, solution, chosen.gammas, tolerance=1e-9, **settings.rounds)
    near_error = np.linalg.norm(near_fate.point - solution.w, axis=-1).max(1)
    common = {"part": "cycles", "data": chosen.name, "n": data.num_examples}
    common |= {"norm_error": float(np.abs(np.linalg.norm(data.z, axis=1) - 1).max())}
    common |= {"w1_star": solution.w[0], "w2_star": solution.w[1]}
    common |= {"lambda_min": solution.eigenvalues[0], "lambda_max": solution.eigenvalues[1]}
    common |= {"loss_star": float(loss(solution.w[None], data.z, data.weights)[0])}
    common |= {"num_starts": settings.num_starts, "num_near": settings.num_near}
    for index, gamma in enumerate(chosen.gammas):
        for row in cycle_rows(rows, data, solution, fate, index, gamma):
            yield common | {"near_error": near_error[index]} | row
        if gamma == settings.path_gamma and chosen == settings.sets[0]:
            for row in path_rows(data, solution, starts, fate.outcome[index], gamma, settings.path_steps):
                yield {"part": "path"} | row
            yield from ({"part": "path", "gamma": gamma} | row for row in vector_rows(rows))


if __name__ == "__main__":
    plane.main()

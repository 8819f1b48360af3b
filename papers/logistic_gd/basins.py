"""Step: which start of a grid ends where, as images.

python -m papers.logistic_gd.basins --scale cpu --shard S-14-5-3000-1
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.families import as_data, planar
from papers.logistic_gd.logistic import minimizer
from papers.logistic_gd.orbits import CYCLE, follow
from papers.logistic_gd.settings import BasinShard
from shared.artifacts.step import step

STARTS_AT_ONCE = 40_000  # bounds the memory of the recorded tails to about 100 MB


@step
def basins(settings: BasinShard, device: str) -> Iterator[dict]:
    """Basin images, one row of the record per row of an image: a letter per start."""
    chosen, grid = settings.set, settings.grid
    data = as_data(planar(chosen.theta, chosen.k, chosen.heavy, chosen.light))
    solution = minimizer(data)
    left, right, bottom, top = chosen.box
    w1, w2 = np.linspace(left, right, grid.num_cells), np.linspace(bottom, top, grid.num_cells)
    lines = [(gamma, height) for gamma in chosen.gammas for height in w2]
    at_once = max(1, STARTS_AT_ONCE // grid.num_cells)
    for part in (lines[first : first + at_once] for first in range(0, len(lines), at_once)):
        gammas, heights = np.array(part).T
        starts = np.stack(np.broadcast_arrays(w1, heights[:, None]), axis=-1)
        sets = (np.broadcast_to(values, (len(part), *values.shape)) for values in (data.z, data.weights))
        etas = np.broadcast_to(solution.eta(gammas)[:, None], starts.shape[:2])
        fate = follow(starts, *sets, etas, np.tile(solution.w, (len(part), 1)), device=device, **grid.rounds)
        for (gamma, height), letters in zip(part, fate.outcome, strict=True):
            row = {"data": chosen.name, "gamma": gamma, "w2": height, "w1_from": left, "w1_to": right}
            yield row | {"share_cycling": float((letters == CYCLE).mean()), "outcomes": "".join(letters)}


if __name__ == "__main__":
    basins.main()

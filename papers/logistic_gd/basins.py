"""Step: which start of a grid ends where, as images.

python -m papers.logistic_gd.basins --scale cpu --shard S-14-5-3000-1 --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import BasinShard
from papers.logistic_gd.families import as_data
from papers.logistic_gd.logistic import minimizer
from papers.logistic_gd.orbits import CYCLE, follow
from papers.logistic_gd.plane import exact_rows
from papers.logistic_gd.step import device_of, step_command

STARTS_AT_ONCE = 40_000  # bounds the memory of the recorded tails to about 100 MB


def rows(settings: BasinShard) -> Iterator[dict]:
    """Basin images, one row of the record per row of an image: a letter per start."""
    data = as_data(exact_rows(settings.set))
    solution = minimizer(data)
    left, right, bottom, top = settings.set.box
    w1, w2 = np.linspace(left, right, settings.num_cells), np.linspace(bottom, top, settings.num_cells)
    lines = [(gamma, height) for gamma in settings.set.gammas for height in w2]
    at_once = max(1, STARTS_AT_ONCE // settings.num_cells)
    for first in range(0, len(lines), at_once):
        part = lines[first : first + at_once]
        heights = np.array([height for _, height in part])
        etas = np.array([solution.eta(gamma) for gamma, _ in part])
        starts = np.stack(np.broadcast_arrays(w1, heights[:, None]), axis=-1)
        fate = follow(
            starts,
            np.broadcast_to(data.z, (len(part), *data.z.shape)),
            np.broadcast_to(data.weights, (len(part), len(data.weights))),
            np.broadcast_to(etas[:, None], starts.shape[:2]),
            np.broadcast_to(solution.w, (len(part), 2)),
            num_steps=settings.num_steps,
            max_rounds=settings.max_rounds,
            device=device_of(settings.num_gpus),
        )
        for (gamma, height), letters in zip(part, fate.outcome, strict=True):
            yield {
                "data": settings.set.name,
                "gamma": gamma,
                "w2": height,
                "w1_from": left,
                "w1_to": right,
                "share_cycling": float((letters == CYCLE).mean()),
                "outcomes": "".join(letters),
            }


main = step_command("basins", rows)

if __name__ == "__main__":
    typer.run(main)

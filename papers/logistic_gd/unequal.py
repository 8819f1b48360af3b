"""Step: rows of unequal magnitude on the line, where cycles appear for 1 < gamma < 2.

python -m papers.logistic_gd.unequal --scale cpu --shard named --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import Unequal
from papers.logistic_gd.families import UNEQUAL, as_data
from papers.logistic_gd.logistic import minimizer
from papers.logistic_gd.orbits import follow
from papers.logistic_gd.reports import cycle_row, distinct, shares
from papers.logistic_gd.step import step_command


def rows(settings: Unequal) -> Iterator[dict]:
    """Where the starts of data sets A, C and D end, by gamma."""
    for name in settings.names:
        exact = UNEQUAL[name]
        data = as_data(exact)
        solution = minimizer(data)
        starts = np.linspace(-1, 1, settings.num_starts) * settings.reach * abs(solution.w[0])
        gammas = np.array(settings.gammas)
        fate = follow(
            np.tile(starts[:, None], (len(gammas), 1, 1)),
            np.broadcast_to(data.z, (len(gammas), *data.z.shape)),
            np.broadcast_to(data.weights, (len(gammas), len(data.weights))),
            np.tile(solution.eta(gammas)[:, None], (1, len(starts))),
            np.tile(solution.w, (len(gammas), 1)),
            num_steps=settings.num_steps,
            max_rounds=settings.max_rounds,
        )
        base = {"data": name, "n": data.num_examples, "w_star": solution.w[0], "sharpness": solution.sharpness}
        for index, gamma in enumerate(settings.gammas):
            cycles = distinct(fate.cycles.get(index, []))
            common = base | {"gamma": gamma, "num_starts": len(starts)} | shares(fate.outcome[index])
            if not cycles:
                yield common | {"cycle": 0, "certified": False}
            for number, cycle in enumerate(cycles, 1):
                yield common | {"cycle": number} | cycle_row(exact, data, solution, gamma, cycle)


main = step_command("unequal", rows)

if __name__ == "__main__":
    typer.run(main)

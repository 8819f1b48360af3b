"""Step: rows of unequal magnitude on the line, where cycles appear for 1 < gamma < 2.

python -m papers.logistic_gd.unequal --scale cpu --shard named
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.families import UNEQUAL, as_data
from papers.logistic_gd.logistic import minimizer
from papers.logistic_gd.orbits import follow_gammas
from papers.logistic_gd.reports import cycle_rows
from papers.logistic_gd.settings import Unequal
from shared.artifacts.step import step


@step
def unequal(settings: Unequal) -> Iterator[dict]:
    """Where the starts of data sets A, C and D end, by gamma."""
    for name in settings.names:
        rows = UNEQUAL[name]
        data = as_data(rows)
        solution = minimizer(data)
        starts = np.linspace(-1, 1, settings.num_starts)[:, None] * settings.reach * abs(solution.w[0])
        fate = follow_gammas(starts, data, solution, settings.gammas, **settings.rounds)
        common = {"data": name, "n": data.num_examples, "w_star": solution.w[0], "sharpness": solution.sharpness}
        for index, gamma in enumerate(settings.gammas):
            for row in cycle_rows(rows, data, solution, fate, index, gamma):
                yield common | {"num_starts": len(starts)} | row


if __name__ == "__main__":
    unequal.main()

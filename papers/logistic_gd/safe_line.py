"""Step: random rows of unequal magnitude on the line at gamma <= 1, where GD is safe.

python -m papers.logistic_gd.safe_line --scale cpu --shard random
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.orbits import follow
from papers.logistic_gd.random_data import line_sets
from papers.logistic_gd.reports import counts
from papers.logistic_gd.settings import SafeLine
from shared.artifacts.step import step


@step
def safe_line(settings: SafeLine) -> Iterator[dict]:
    """What becomes of starts on random data sets, by gamma."""
    batch = line_sets(settings.seed, settings.num_sets)
    reach = 10 * np.abs(batch.w_star) + 10  # (S, 1)
    starts = (batch.w_star + reach * np.linspace(-1, 1, settings.num_starts))[..., None]
    for gamma in settings.gammas:
        eta = np.tile(gamma / batch.sharpness[:, None], (1, settings.num_starts))
        fate = follow(starts, batch.z, batch.weights, eta, batch.w_star, **settings.rounds)
        sizes = {"num_sets": settings.num_sets, "num_runs": fate.outcome.size}
        yield {"gamma": gamma, **sizes, **counts(fate.outcome)}


if __name__ == "__main__":
    safe_line.main()

"""Step: random rows of unequal magnitude on the line at gamma <= 1, where GD is safe.

python -m papers.logistic_gd.safe_line --scale cpu --shard random --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import SafeLine
from papers.logistic_gd.orbits import follow
from papers.logistic_gd.random_data import line_sets
from papers.logistic_gd.reports import NAMES
from papers.logistic_gd.step import step_command


def rows(settings: SafeLine) -> Iterator[dict]:
    """What becomes of starts on random data sets, by gamma."""
    batch = line_sets(settings.seed, settings.num_sets)
    reach = 10 * np.abs(batch.w_star) + 10  # (S, 1)
    starts = batch.w_star + reach * np.linspace(-1, 1, settings.num_starts)
    for gamma in settings.gammas:
        fate = follow(
            starts[..., None],
            batch.z,
            batch.weights,
            np.tile(gamma / batch.sharpness[:, None], (1, settings.num_starts)),
            batch.w_star,
            num_steps=settings.num_steps,
            max_rounds=settings.max_rounds,
        )
        counts = {f"num_{name}": int((fate.outcome == letter).sum()) for letter, name in NAMES.items()}
        yield {"gamma": gamma, "num_sets": settings.num_sets, "num_runs": fate.outcome.size, **counts}


main = step_command("safe_line", rows)

if __name__ == "__main__":
    typer.run(main)

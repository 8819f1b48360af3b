"""Step: attractors of the map on the line over gamma.

python -m papers.logistic_gd.bifurcation --scale cpu --shard line --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import Bifurcation
from papers.logistic_gd.orbits import minimal_period
from papers.logistic_gd.scalar_map import step, two_cycle
from papers.logistic_gd.step import step_command

MAX_SHOWN = 64  # points of an attractor that are kept for drawing
START = 0.3  # off every fixed point and every symmetry of the cs studied


def rows(settings: Bifurcation) -> Iterator[dict]:
    """Period and points of the attractor reached from one start, all c and gamma at once."""
    gammas = np.linspace(*settings.gamma_range, settings.num_gammas)
    c, gamma = np.array(settings.cs)[:, None], gammas[None]
    u = np.log(c) + START + 0 * gamma
    for _ in range(settings.num_discarded):
        u = step(u, c, gamma)
    kept = np.empty((settings.num_kept, *u.shape))
    for index in range(settings.num_kept):
        u = step(u, c, gamma)
        kept[index] = u
    # rounding is gamma / (p (1 - p)) times that of tanh; 1e-9 lies far above it and far below any real period
    period = minimal_period(kept[..., None], max_period=min(64, (settings.num_kept - 1) // 2))
    for i, value in enumerate(settings.cs):
        for j, g in enumerate(gammas):
            points = kept[:, i, j]
            count = period[i, j] or MAX_SHOWN
            row = {"c": value, "gamma": float(g), "period": int(period[i, j])}
            row |= {"lowest": points.min(), "highest": points.max()}
            if g > 2:
                low, high = two_cycle(value, g)
                row["two_cycle_error"] = max(abs(points.min() - low), abs(points.max() - high))
            yield row | {"points": " ".join(f"{x:.5g}" for x in np.sort(points[-count:]))}


main = step_command("bifurcation", rows)

if __name__ == "__main__":
    typer.run(main)

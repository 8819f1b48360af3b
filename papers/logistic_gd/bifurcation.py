"""Step: attractors of the map on the line over gamma.

python -m papers.logistic_gd.bifurcation --scale cpu --shard line
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.orbits import minimal_period
from papers.logistic_gd.scalar_map import iterates, two_cycle
from papers.logistic_gd.settings import Bifurcation
from shared.artifacts.step import step

MAX_SHOWN = 64  # points of an attractor that are kept for drawing
START = 0.3  # off every fixed point and every symmetry of the cs studied


@step
def bifurcation(settings: Bifurcation) -> Iterator[dict]:
    """Period and points of the attractor reached from one start, all c and gamma at once."""
    gammas, cs = np.linspace(*settings.gamma_range, settings.num_gammas), np.array(settings.cs)[:, None]
    kept = iterates(np.log(cs) + START + 0 * gammas, cs, gammas, settings.num_discarded, settings.num_kept)
    # rounding is gamma / (p (1 - p)) times that of tanh; 1e-9 lies far above it and far below any real period
    periods = minimal_period(kept[..., None], max_period=min(64, (settings.num_kept - 1) // 2))
    for (i, j), period in np.ndenumerate(periods):
        c, gamma, points = settings.cs[i], float(gammas[j]), kept[:, i, j]
        row = {"c": c, "gamma": gamma, "period": int(period), "lowest": points.min(), "highest": points.max()}
        if gamma > 2:
            low, high = two_cycle(c, gamma)
            row["two_cycle_error"] = max(abs(points.min() - low), abs(points.max() - high))
        yield row | {"points": " ".join(f"{x:.5g}" for x in np.sort(points[-(period or MAX_SHOWN) :]))}


if __name__ == "__main__":
    bifurcation.main()

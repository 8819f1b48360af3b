"""Step: how often the starts of the frequency study find a cycle where one is known to be: its positive controls.

python -m papers.logistic_gd.known --scale cpu --shard circle
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.census import follow_batch
from papers.logistic_gd.families import as_data, planar
from papers.logistic_gd.orbits import CYCLE
from papers.logistic_gd.random_data import starts_around, with_minimiser
from papers.logistic_gd.settings import KnownShard
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator


@step
def known(settings: KnownShard) -> Iterator[dict]:
    """Per data set with a proved cycle and gamma: in how many repeats, each with its own starts, some start cycles."""
    census, known = settings.census, settings.known
    for chosen in known.sets:
        data = as_data(planar(chosen.theta, chosen.k, chosen.heavy, chosen.light))
        batch = with_minimiser(data.z[None], data.counts[None].astype(float))
        rng = numpy_generator(census.seed, "known", chosen.shard)
        starts = [starts_around(rng, batch.w_star, census.num_starts) for _ in range(known.num_repeats)]
        for gamma in chosen.gammas:
            fate = follow_batch(census, batch, np.concatenate(starts, axis=1), gamma)
            cycling = (fate.outcome == CYCLE).reshape(known.num_repeats, census.num_starts)
            row = {"data": chosen.name, "gamma": gamma, "num_starts": census.num_starts}
            row |= {"num_repeats": known.num_repeats, "num_found": int(cycling.any(axis=1).sum())}
            caught = float(cycling.mean())
            yield row | {"share_caught": caught, "power": 1 - (1 - caught) ** census.num_starts}


if __name__ == "__main__":
    known.main()

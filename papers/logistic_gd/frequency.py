"""Step (an extension of ours): how often GD ends on a cycle on equal-norm data that nobody built for it.

python -m papers.logistic_gd.frequency --scale cpu --shard uniform
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.census import batch_counts, follow_batch
from papers.logistic_gd.random_data import Batch, draw, draw_with_minimiser, starts_around, with_minimiser
from papers.logistic_gd.real_data import real_sets
from papers.logistic_gd.settings import Ensemble, FrequencyShard, RealData
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator


@step
def frequency(settings: FrequencyShard, device: str) -> Iterator[dict]:
    """Per cell of one kind of data and gamma: data sets, those with a cycle, and what was left out."""
    census, chosen = settings.census, settings.data
    for cell, batch in real(chosen, census.seed) if isinstance(chosen, RealData) else ensemble(chosen, census.seed):
        purpose = ("starts", *(f"{value:g}" if isinstance(value, float) else value for value in cell.values()))
        starts = starts_around(numpy_generator(census.seed, *purpose), batch.w_star, census.num_starts)
        drawn = {name: getattr(batch, name) for name in ("num_drawn", "num_separable", "num_open")}
        drawn |= {"median_condition": np.median(batch.eigenvalues[:, 0] / batch.sharpness)}
        for gamma in census.gammas:
            yield cell | {"gamma": gamma} | batch_counts(follow_batch(census, batch, starts, gamma, device)) | drawn


def ensemble(chosen: Ensemble, seed: int) -> Iterator[tuple[dict, Batch]]:
    """Every dimension and size of one kind of random data: cell, and data sets."""
    for dim, n in ((dim, size * dim) for dim in chosen.dims for size in chosen.sizes):

        def make(index: int, n=n, dim=dim):
            rng = numpy_generator(seed, chosen.kind, dim, n, index)
            return draw(chosen.kind, rng, chosen.num_sets, n, dim, chosen.flip, chosen.max_count)

        noise = chosen.flip if chosen.kind == "teacher" else np.nan
        cell = {"group": "random", "kind": chosen.kind, "dim": dim, "n": n, "label_noise": noise}
        yield cell, draw_with_minimiser(make, chosen.num_sets)


def real(chosen: RealData, seed: int) -> Iterator[tuple[dict, Batch]]:
    """Every number of components and share of flipped labels of one source; as `ensemble`."""
    for dim, noise in ((dim, noise) for dim in chosen.dims for noise in chosen.label_noise):
        z, counts = real_sets(chosen, dim, noise, seed)
        cell = {"group": "real", "kind": chosen.source, "dim": dim, "n": z.shape[1], "label_noise": noise}
        batch = with_minimiser(z, counts)
        if len(batch.z):  # not if all of its sets are separable
            yield cell, batch


if __name__ == "__main__":
    frequency.main()

"""Step (an extension of ours): how often GD ends on a cycle on equal-norm data that nobody built for it.

python -m papers.logistic_gd.frequency --scale cpu --shard uniform
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.census import batch_counts, batch_of_one, follow_batch
from papers.logistic_gd.random_data import Batch, digits_data, draw, draw_with_minimiser, starts_around
from papers.logistic_gd.settings import FrequencyShard
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator


@step
def frequency(settings: FrequencyShard, device: str) -> Iterator[dict]:
    """How often cycles occur on one kind of data, for every data set or cell of them, by gamma."""
    census = settings.census
    for cell, purpose, batch in digits(settings) if settings.digits else ensemble(settings):
        starts = starts_around(numpy_generator(census.seed, "starts", *purpose), batch.w_star, census.num_starts)
        drawn = {"num_drawn": batch.num_drawn, "num_separable": batch.num_separable}
        drawn |= {"median_condition": np.median(batch.eigenvalues[:, 0] / batch.sharpness)}
        for gamma in census.gammas:
            fate = follow_batch(census, batch, starts, gamma, device)
            yield cell | {"gamma": gamma} | batch_counts(fate) | drawn


def ensemble(settings: FrequencyShard) -> Iterator[tuple[dict, tuple, Batch]]:
    """Every dimension and size of one kind of random data: cell, what names its starts, data sets."""
    chosen, seed = settings.ensemble, settings.census.seed
    for dim, n in ((dim, size * dim) for dim in chosen.dims for size in chosen.sizes):

        def make(index: int, n=n, dim=dim):
            rng = numpy_generator(seed, chosen.kind, dim, n, index)
            return draw(chosen.kind, rng, chosen.num_sets, n, dim, chosen.flip, chosen.max_count)

        noise = chosen.flip if chosen.kind == "teacher" else np.nan
        cell = {"kind": chosen.kind, "dim": dim, "n": n, "label_noise": noise}
        yield cell, (chosen.kind, dim, n), draw_with_minimiser(make, chosen.num_sets)


def digits(settings: FrequencyShard) -> Iterator[tuple[dict, tuple, Batch]]:
    """Digits by number of components and label noise, one data set each; as `ensemble`."""
    for dim, noise in ((d, noise) for d in settings.digits.dims for noise in settings.digits.label_noise):
        data = digits_data(dim, noise, settings.census.seed)
        cell = {"kind": "digits", "dim": dim, "n": data.num_examples, "label_noise": noise}
        yield cell, ("digits", dim, f"{noise:g}"), batch_of_one(data)


if __name__ == "__main__":
    frequency.main()

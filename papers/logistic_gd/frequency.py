"""Step (an extension of ours): how often GD ends on a cycle on equal-norm data that nobody built for it.

python -m papers.logistic_gd.frequency --scale cpu --shard uniform --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import Ensemble, FrequencyShard
from papers.logistic_gd.logistic import minimizer
from papers.logistic_gd.orbits import CYCLE, Fate, follow
from papers.logistic_gd.random_data import Batch, digits_data, draw, draw_with_minimiser, starts_around
from papers.logistic_gd.reports import NAMES
from papers.logistic_gd.step import device_of, step_command
from shared.base.seeding import numpy_generator

TOLERANCE = 1e-4  # of convergence, relative to 1 + |w*|; w* is locally stable, so what comes this near stays


def follow_batch(settings: FrequencyShard, batch: Batch, starts: np.ndarray, gamma: float) -> Fate:
    """Fate of all starts (S, B, d) of a batch at one gamma, in chunks."""
    fates = []
    for first in range(0, len(starts), settings.chunk):
        part = slice(first, first + settings.chunk)
        eta = np.broadcast_to((gamma / batch.sharpness[part])[:, None], starts[part].shape[:2])
        fates.append(
            follow(
                starts[part],
                batch.z[part],
                batch.weights[part],
                eta,
                batch.w_star[part],
                num_steps=settings.num_steps,
                max_rounds=settings.max_rounds,
                tolerance=TOLERANCE,
                device=device_of(settings.num_gpus),
            )
        )
    outcome, period, point = (np.concatenate([getattr(f, k) for f in fates]) for k in ("outcome", "period", "point"))
    return Fate(outcome, period, point)


def counts(fate: Fate) -> dict:
    """Runs by outcome, data sets with a cycling start, and the periods seen."""
    by_outcome = {f"num_{name}": int((fate.outcome == letter).sum()) for letter, name in NAMES.items()}
    cycling = fate.outcome == CYCLE
    periods = " ".join(str(p) for p in np.unique(fate.period[cycling]))
    return {
        "num_runs": fate.outcome.size,
        **by_outcome,
        "num_sets": len(fate.outcome),
        "num_sets_cycling": int(cycling.any(axis=1).sum()),
        "num_sets_cycling_from_zero": int(cycling[:, 0].sum()),
        "periods": periods or "none",
    }


def ensemble_rows(settings: FrequencyShard, ensemble: Ensemble) -> Iterator[dict]:
    """Every dimension and size of one kind of random data."""
    for dim in ensemble.dims:
        for size in ensemble.sizes:
            n = size * dim

            def make(index: int, n=n, dim=dim):
                rng = numpy_generator(settings.seed, ensemble.kind, dim, n, index)
                return draw(ensemble.kind, rng, ensemble.num_sets, n, dim, ensemble.flip, ensemble.max_count)

            batch = draw_with_minimiser(make, ensemble.num_sets)
            starts = starts_around(
                numpy_generator(settings.seed, "starts", ensemble.kind, dim, n), batch.w_star, settings.num_starts
            )
            condition = np.median(batch.eigenvalues[:, 0] / batch.sharpness)
            for gamma in settings.gammas:
                yield {
                    "kind": ensemble.kind,
                    "dim": dim,
                    "n": n,
                    "label_noise": ensemble.flip if ensemble.kind == "teacher" else np.nan,
                    "gamma": gamma,
                    **counts(follow_batch(settings, batch, starts, gamma)),
                    "num_drawn": batch.num_drawn,
                    "num_separable": batch.num_separable,
                    "median_condition": condition,
                }


def digits_rows(settings: FrequencyShard) -> Iterator[dict]:
    """Digits by number of components and label noise: one data set each."""
    for dim in settings.digits.dims:
        for noise in settings.digits.label_noise:
            data = digits_data(dim, noise, settings.seed)
            solution = minimizer(data)
            batch = Batch(data.z[None], data.weights[None], solution.w[None], solution.eigenvalues[None], 1, 0)
            rng = numpy_generator(settings.seed, "starts", "digits", dim, f"{noise:g}")
            starts = starts_around(rng, batch.w_star, settings.num_starts)
            for gamma in settings.gammas:
                yield {
                    "kind": "digits",
                    "dim": dim,
                    "n": data.num_examples,
                    "label_noise": noise,
                    "gamma": gamma,
                    **counts(follow_batch(settings, batch, starts, gamma)),
                    "num_drawn": 1,
                    "num_separable": 0,
                    "median_condition": solution.eigenvalues[0] / solution.sharpness,
                }


def rows(settings: FrequencyShard) -> Iterator[dict]:
    """How often cycles occur on one kind of data."""
    if settings.digits is not None:
        yield from digits_rows(settings)
    else:
        yield from ensemble_rows(settings, settings.ensemble)


main = step_command("frequency", rows)

if __name__ == "__main__":
    typer.run(main)

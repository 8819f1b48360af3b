"""Where the gap between two optimisers changes sign over the batch size, and how sure that is. No torch here."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from papers.optimizer_gap.comparing import SETTING, of_method
from shared.base.seeding import numpy_generator


def crossovers(batch_sizes: Sequence[float], gap: Sequence[float]) -> list[float]:
    """Batch sizes at which `gap` changes sign, by interpolating linearly over log2(batch size); all of them, ascending.

    A gap that is zero at a batch size changes sign there if it does so around it, and is then listed once.
    """
    batch_sizes, gap = np.asarray(batch_sizes, float), np.asarray(gap, float)
    if len(batch_sizes) != len(gap) or len(gap) < 2 or not (batch_sizes > 0).all() or not np.isfinite(gap).all():
        raise ValueError(
            "a crossover needs two or more positive batch sizes with a finite gap each; got "
            f"{batch_sizes.tolist()} and {gap.tolist()}"
        )
    order = np.argsort(batch_sizes)
    x, y = np.log2(batch_sizes[order]), gap[order]
    if len(np.unique(x)) < len(x):
        raise ValueError(f"each batch size may occur once; got {batch_sizes.tolist()}")
    nonzero = np.flatnonzero(y != 0)
    found = []
    for a, b in itertools.pairwise(nonzero):
        if y[a] * y[b] < 0:
            at = x[a] + (x[b] - x[a]) * y[a] / (y[a] - y[b]) if b == a + 1 else x[a + 1 : b].mean()
            found.append(float(2**at))
    return found


def last_crossover(batch_sizes: Sequence[float], gap: Sequence[float]) -> float:
    """The batch size beyond which the gap stays positive; 0 if it always is, infinite if it is not at the largest."""
    order = np.argsort(batch_sizes)
    if not np.asarray(gap)[order[-1]] > 0:
        return math.inf
    return max(crossovers(batch_sizes, gap), default=0.0)


def crossings(runs: pd.DataFrame, num_draws: int = 2000) -> pd.DataFrame:
    """The batch size beyond which SGD stays behind Adam, for both columns of Adam, with a bootstrap interval.

    Seeds are resampled and everything is tuned anew in each draw, so the interval has the noise of the choice in it.

    Returns:
        baseline, num_roots, batch_size, low, high (95%; an end is missing where draws beyond it have no crossover),
        behind_everywhere and never_behind: shares of draws without one.
    """
    draw, rows = numpy_generator(0, "crossover"), []
    seeds = sorted(runs.seed.unique())
    weights = draw.multinomial(len(seeds), [1 / len(seeds)] * len(seeds), size=num_draws) / len(seeds)
    even = np.full((1, len(seeds)), 1 / len(seeds))
    for baseline in ("Adam", "Adam, beta2 tuned"):
        batch_sizes, sgd = tuned_means(of_method(runs, "SGD"), np.vstack([even, weights]))
        _, adam = tuned_means(of_method(runs, baseline), np.vstack([even, weights]))
        last = np.array([last_crossover(batch_sizes, gap) for gap in sgd - adam])
        ends = np.quantile(last[1:], [0.025, 0.975], method="nearest")
        shown = [value if 0 < value < math.inf else math.nan for value in (last[0], *ends)]
        rows.append(
            {
                "baseline": baseline,
                "num_roots": len(crossovers(batch_sizes, sgd[0] - adam[0])),
                **dict(zip(("batch_size", "low", "high"), shown, strict=True)),
                "behind_everywhere": float((last[1:] == 0).mean()),
                "never_behind": float(np.isinf(last[1:]).mean()),
                "num_seeds": len(seeds),
            }
        )
    return pd.DataFrame(rows)


def tuned_means(runs: pd.DataFrame, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(batch sizes, ascending; loss of the best setting at each under every weighting of the seeds, (draws, sizes)).

    Args:
        weights: (draws, seeds), each row summing to 1, over the seeds in ascending order. A setting with a diverged
            seed is no candidate.
    """
    loss = runs.pivot(index=["batch_size", *SETTING], columns="seed", values="val_loss").sort_index(axis=1)
    loss = loss[np.isfinite(loss).all(axis=1)]
    sizes = np.sort(loss.index.get_level_values("batch_size").unique())
    parts = [loss[loss.index.get_level_values("batch_size") == size].to_numpy() for size in sizes]
    return sizes, np.stack([(weights @ part.T).min(axis=1) for part in parts], axis=1)

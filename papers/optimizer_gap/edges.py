"""Where the best setting of a method lies among what was tried. No torch here.

Every value of momentum, beta1 or beta2 has learning rates of its own around its best one, so at one rate only some of
the values were run. A value is therefore judged among all of them, each at its best rate; a rate among those of its
value.
"""

import math

import pandas as pd

from papers.optimizer_gap import comparing
from shared.artifacts.sweeps import edge_of, over_seeds


def best_of_methods(runs: pd.DataFrame, methods: dict | None = None) -> pd.DataFrame:
    """As `comparing.best_of_methods`, with `edge` judged so."""
    best, tried, found = comparing.best_of_methods(runs, methods), runs[~runs.fresh], []
    for _, row in best.iterrows():
        own = comparing.of_method(tried[tried.batch_size == row.batch_size], row.method)
        found.append(edge(own, row, (comparing.METHODS | comparing.PLAIN)[row.method][2]))
    return best.assign(edge=found)


def best_of_arms(tried: pd.DataFrame) -> pd.DataFrame:
    """As `comparing.best_of_arms`, with `edge` judged so."""
    best = comparing.best_of_arms(tried)
    rows, choosing = [row for _, row in best.iterrows()], tried[~tried.fresh]
    return best.assign(edge=[edge(choosing[choosing.arm == row.arm], row, "momentum") for row in rows])


def edge(own: pd.DataFrame, best: pd.Series, second: str | None) -> str:
    """Which of the learning rate and `second` (if any) of `best` lies at an end, or inside; it is the best of `own`.

    An end of the values of `second` that gains no more than FLAT over the next best of them is no edge.
    """
    words = {"lr": edge_of(best.lr, (own if second is None else own[own[second] == best[second]]).lr.unique())}
    if second is not None:
        losses = over_seeds(own, [second, "lr"]).groupby(second).val_loss.min().sort_values()
        gained = losses.iloc[1] - losses.iloc[0] if len(losses) > 1 else math.inf
        words[second] = "inside" if gained <= comparing.FLAT else edge_of(best[second], own[second].unique())
    return "; ".join(f"{name} {word}" for name, word in words.items() if word not in ("inside", "single")) or "inside"

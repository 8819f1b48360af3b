"""What is compared on the block quadratics: ratios of losses at the best learning rates, spans of Adam's sigma2.

Ratios are decades (powers of ten); the repetitions are the rotations of the blocks. No torch here.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from shared.artifacts.estimates import Estimate, mean_of


def decades(tab_quadratics: pd.DataFrame, landscape: str, worse: str, better: str) -> Iterator[tuple[str, Estimate]]:
    """Of each design and warm-up: its name and log10(loss of `worse` / loss of `better`), a mean over rotations."""
    rows = tab_quadratics[tab_quadratics.landscape == landscape]
    wide = np.log10(rows.pivot(index=["design", "warmup", "draw"], columns="method", values="median"))
    for (design, warmup), values in (wide[worse] - wide[better]).groupby(["design", "warmup"]):
        yield f"{landscape} {design} {warmup:g}: decades of {worse} over {better}", mean_of(values)


def decades_of_best_constant(tab_mollifier: pd.DataFrame, landscape: str) -> Estimate:
    """log10(loss of Signum with its best constant / loss of Adam), a mean over rotations."""
    rows = tab_mollifier[tab_mollifier.landscape == landscape]
    best = rows.groupby("draw").agg(median=("median", "min"), adam=("adam_median", "first"))
    return mean_of(np.log10(best["median"] / best.adam))


def block_decades(tab_variance: pd.DataFrame, landscape: str) -> tuple[Estimate, Estimate]:
    """Of sigma2, means over rotations: decades between the blocks, and the least rise from one block to the next."""
    rows = tab_variance[tab_variance.landscape == landscape]
    values = np.log10(rows.pivot(index="draw", columns="block", values="sigma2"))
    return mean_of(values.max(axis=1) - values.min(axis=1)), mean_of(values.diff(axis=1).min(axis=1))

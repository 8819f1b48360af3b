"""What is compared on the block quadratics: ratios of losses at the best learning rates, spans of Adam's sigma2.

Ratios are decades (powers of ten); the repetitions are the rotations of the blocks. No torch here.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from shared.artifacts.estimates import Estimate, mean_of


def decades(
    tab_quadratics: pd.DataFrame,
    landscape: str,
    worse: str,
    better: str,
    extreme: Literal["least", "most"],
    num_runs: int,
) -> Iterator[tuple[str, Estimate]]:
    """Of each design and warm-up: its name and log10(loss of `worse` / loss of `better`), the extreme of the rotations.

    What holds for each rotation holds for the extreme one; a mean would hide it. The noise is half the distance of the
    quartiles over `num_runs` runs, of both losses, more than the standard error of their medians.
    """
    rows = tab_quadratics[tab_quadratics.landscape == landscape]
    logs = rows.assign(value=np.log10(rows["median"]), spread=np.log10(rows.high / rows.low) / 2)
    wide = logs.pivot(index=["design", "warmup", "draw"], columns="method", values=["value", "spread"])
    value, spread = wide["value"], wide["spread"]
    ratio = pd.DataFrame({"value": value[worse] - value[better], "noise": np.hypot(spread[worse], spread[better])})
    for (design, warmup), own in ratio.groupby(["design", "warmup"]):
        value, noise = own.loc[own.value.idxmin() if extreme == "least" else own.value.idxmax()]
        name = f"{landscape} {design} {warmup:g}: {extreme} decades of {worse} over {better}"
        yield name, Estimate(value, noise, n=num_runs)


def count_above(tab_quadratics: pd.DataFrame, landscape: str, worse: str, better: str, ratio: float) -> str:
    """In how many of the rotations the loss of `worse` is more than `ratio` times that of `better` in some design."""
    rows = tab_quadratics[tab_quadratics.landscape == landscape]
    wide = rows.pivot(index=["design", "warmup", "draw"], columns="method", values="median")
    above = (wide[worse] > ratio * wide[better]).groupby("draw").any()
    return f"{above.sum()} of {len(above)}"


def decades_of_best_constant(tab_mollifier: pd.DataFrame, landscape: str) -> pd.Series:
    """log10(loss of Signum with its best constant / loss of Adam) of each rotation."""
    rows = tab_mollifier[tab_mollifier.landscape == landscape]
    best = rows.groupby("draw").agg(median=("median", "min"), adam=("adam_median", "first"))
    return np.log10(best["median"] / best.adam)


def block_decades(tab_variance: pd.DataFrame, landscape: str) -> tuple[Estimate, Estimate]:
    """Of sigma2, means over rotations: decades between the blocks, and the least rise from one block to the next."""
    rows = tab_variance[tab_variance.landscape == landscape]
    values = np.log10(rows.pivot(index="draw", columns="block", values="sigma2"))
    return mean_of(values.max(axis=1) - values.min(axis=1)), mean_of(values.diff(axis=1).min(axis=1))


def mollified_curves(plain: pd.DataFrame, mollified: pd.DataFrame, draw: int) -> pd.DataFrame:
    """Rows of one rotation on blocks of different scale: Adam and Signum, and Signum with each constant."""
    mollified = mollified.assign(method="eps = " + mollified.eps.map("{:g}".format))
    both = pd.concat([plain[plain.method != "SGD"], mollified])
    return both[(both.landscape == "het") & (both.draw == draw)]

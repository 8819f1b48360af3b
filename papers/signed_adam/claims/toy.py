"""What is exact in float64, and the block quadratics.

On the quadratics the repetitions are the rotations of the blocks: ratios of losses are averaged over them as decades
(powers of ten).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from papers.signed_adam.claims import ALL
from shared.artifacts.claims import Finding, at_least, at_most, claim, greater, less, note
from shared.artifacts.estimates import Estimate, mean_of


@claim(
    "variance-identity",
    "Adam's v - m^2 is exactly beta times an average of (m_old - g)^2 if and only if the betas are equal.",
    kind="paper",
    scales=ALL,
)
def variance_identity(tab_identity: pd.DataFrame) -> Iterator[Finding]:
    is_equal = tab_identity.beta1 == tab_identity.beta2
    yield at_most("largest error with equal betas", tab_identity[is_equal].error.max(), 1e-12)
    unequal = tab_identity[~is_equal & (tab_identity.case == "random")]
    yield at_least("smallest error with unequal betas", unequal.error.min(), 1e-3)


@claim(
    "vi-optimum",
    "The two averages solve the online inference problem with the old belief first in the divergence.",
    kind="paper",
    scales=ALL,
)
def vi_optimum(tab_inference: pd.DataFrame) -> Iterator[Finding]:
    yield at_most("largest distance to the minimum", tab_inference.error.max(), 1e-6)
    swapped = tab_inference.swapped_distance.min()
    yield at_least("smallest distance with the arguments swapped", swapped, 1e-3)
    yield note("cases", len(tab_inference))


def _decades(tab_quadratics: pd.DataFrame, landscape: str, worse: str, better: str) -> Iterator[tuple[str, Estimate]]:
    """Of each design and warm-up: its name and log10(loss of `worse` / loss of `better`), a mean over rotations."""
    rows = tab_quadratics[tab_quadratics.landscape == landscape]
    wide = np.log10(rows.pivot(index=["design", "warmup", "draw"], columns="method", values="median"))
    for (design, warmup), values in (wide[worse] - wide[better]).groupby(["design", "warmup"]):
        yield f"{landscape} {design} {warmup:g}: decades of {worse} over {better}", mean_of(values)


@claim(
    "het-quadratic-order",
    "On blocks of different scale SGD is far behind Signum, and Signum behind Adam; on alike blocks they are close.",
    kind="paper",
    scales=ALL,
)
def het_quadratic_order(tab_quadratics: pd.DataFrame) -> Iterator[Finding]:
    for worse, better, ratio in (("SGD", "Signum", 100), ("Signum", "Adam", 3), ("SGD", "Adam", 1000)):
        for name, gap in _decades(tab_quadratics, "het", worse, better):
            yield at_least(name, gap, np.log10(ratio))
    for name, gap in _decades(tab_quadratics, "hom", "SGD", "Adam"):
        yield at_most(name, gap, np.log10(20))
    yield note("best learning rates at a grid's edge", int((tab_quadratics.edge != "inside").sum()))


@claim(
    "fixed-mollifier-no-gain",
    "No constant in place of the variance brings Signum to Adam on blocks of different scale.",
    kind="paper",
    scales=ALL,
)
def fixed_mollifier_no_gain(tab_mollifier: pd.DataFrame) -> Iterator[Finding]:
    het = tab_mollifier[tab_mollifier.landscape == "het"]
    best = het.groupby("draw").agg(median=("median", "min"), adam=("adam_median", "first"))
    gap = mean_of(np.log10(best["median"] / best.adam))
    yield at_least("decades of the best constant over Adam", gap, np.log10(3))


@claim(
    "variance-differs-by-block",
    "sigma2 grows with a block's eigenvalues where blocks differ, and is alike where they are alike.",
    kind="paper",
    scales=ALL,
)
def variance_differs_by_block(tab_variance: pd.DataFrame) -> Iterator[Finding]:
    decades = np.log10(tab_variance.pivot(index=["landscape", "draw"], columns="block", values="sigma2"))
    span = decades.max(axis=1) - decades.min(axis=1)
    rise = decades.diff(axis=1).min(axis=1)  # from one block to the next, least
    yield at_least("het, decades between blocks", mean_of(span["het"]), 5)
    yield greater("het, decades from a block to the next, least", mean_of(rise["het"]), 0)
    yield less("hom, decades between blocks", mean_of(span["hom"]), 4)

"""Adam's (beta1, beta2) cells in the main study. What rests on cells of one seed is within noise."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from papers.signed_adam.claims import GRID, SWEPT
from shared.artifacts.claims import Finding, at_least, at_most, claim, greater, note, untestable
from shared.artifacts.config import Settings
from shared.artifacts.estimates import UNKNOWN, Estimate
from shared.base.seeding import numpy_generator


def _grid(tab_betas: pd.DataFrame) -> pd.DataFrame:
    """Our cells of the main study."""
    return tab_betas[tab_betas.study == "main"].dropna(subset="val_loss").reset_index(drop=True)


def _diagonal(cells: pd.DataFrame) -> pd.Series:
    """Loss at beta2 = beta1, by beta1."""
    found = cells[cells.beta1 == cells.beta2].set_index("beta1").val_loss
    missing = sorted(set(cells.beta1) - set(found.index))
    if missing:
        raise ValueError(f"the grid has no cell with beta2 = beta1 for beta1 = {missing}; add it to the main study")
    return found


def _of_cells(cells: pd.DataFrame, statistic: Callable[[pd.DataFrame], float], num_draws: int = 200) -> Estimate:
    """`statistic` of the cells, and its spread when every loss is redrawn within its standard error over seeds.

    A cell whose seeds all diverged stays there; the spread is unknown if any other cell has one seed.
    """
    error = (cells.two_sigma / 2 / np.sqrt(cells.num_seeds)).where(np.isfinite(cells.val_loss), 0.0)
    if error.isna().any():
        return Estimate(float(statistic(cells)), UNKNOWN)
    draw = numpy_generator(0, "cells")
    redrawn = (cells.assign(val_loss=draw.normal(cells.val_loss, error)) for _ in range(num_draws))
    spread = float(np.std([statistic(each) for each in redrawn], ddof=1))
    return Estimate(float(statistic(cells)), spread, dof=cells.num_seeds.min() - 1, n=int(cells.num_seeds.min()))


def _best_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """The best cell of each beta1."""
    return cells.loc[cells.groupby("beta1").val_loss.idxmin()]


def _steps_apart(cells: pd.DataFrame) -> pd.Series:
    """Grid steps between the best beta2 and the equal one, by beta1."""
    place = cells.groupby("beta1").beta2.rank()
    equal = cells[cells.beta1 == cells.beta2].index
    best = _best_rows(cells)
    apart = place[best.index].to_numpy() - place[equal].set_axis(cells.beta1[equal]).reindex(best.beta1).to_numpy()
    return pd.Series(np.abs(apart), index=best.beta1)


@claim(
    "equal-betas-near-optimal",
    "Tying beta2 to beta1 costs little, for every beta1 from 0.8 on and at the optimum.",
    kind="paper",
    reported="never more than 0.3 in perplexity; the released data have one exception, 0.355 at batch 512, 0.975",
    chosen_after=GRID,
    **SWEPT,
)
def equal_betas_near_optimal(tab_betas: pd.DataFrame, tab_equal: pd.DataFrame, settings: Settings) -> Iterator[Finding]:
    cells, allowed = _grid(tab_betas), settings.thresholds
    cells = cells[cells.beta1 >= 0.8].reset_index(drop=True)
    regret = _of_cells(cells, lambda c: (_diagonal(c) - c.groupby("beta1").val_loss.min()).max())
    yield at_most("largest regret", regret, allowed.regret)
    tied = _of_cells(cells, lambda c: _diagonal(c).min() - c.val_loss.min())
    yield at_most("best tied minus best", tied, allowed.tied)
    others = tab_equal[(tab_equal.study != "main") & (tab_equal.beta1 >= 0.8)].dropna(subset="regret")
    above = others[others.regret > allowed.regret]
    yield note("rows above the regret in other studies", f"{len(above)} of {len(others)}")


@claim(
    "betas-correlated",
    "The best beta2 moves up with beta1 and stays within two grid steps of it.",
    kind="paper",
    reported="rank correlation 0.949 in the released data, all within two steps",
    chosen_after=GRID,
    **SWEPT,
)
def betas_correlated(tab_betas: pd.DataFrame) -> Iterator[Finding]:
    cells = _grid(tab_betas)
    correlation = _of_cells(cells, lambda c: _best_rows(c)[["beta1", "beta2"]].corr("spearman").iloc[0, 1])
    yield at_least("rank correlation", correlation, 0.5)
    yield at_most("most steps apart", _of_cells(cells, lambda c: _steps_apart(c).max()), 2)
    best = _best_rows(cells)
    yield note("best beta2", ", ".join(f"{b1:g}: {b2:g}" for b1, b2 in zip(best.beta1, best.beta2, strict=True)))


@claim(
    "most-adam-cells-beat-signum",
    "Most of Adam's cells, each tuned over the learning rate, beat the best Signum.",
    kind="paper",
    scales=["gpu", "paper"],
    needs="Signum is within the noise of a run behind Adam there; tab_betas has the cells",
    reported="26 of 40 cells in the released data",
)
def most_adam_cells_beat_signum(tab_betas: pd.DataFrame, tab_methods: pd.DataFrame) -> Iterator[Finding]:
    cells, signum = _grid(tab_betas), tab_methods.set_index("method").val_loss["Signum"]
    yield greater("share of cells", _of_cells(cells, lambda c: (c.val_loss < signum).mean()), 0.5)
    yield note("cells", len(cells))


@claim(
    "momentum-ratio-instability",
    "Where beta1 is far above beta2, (1 - beta2) / (1 - beta1) >= 4, Adam is worse than with equal betas.",
    kind="ours",
    reported="all such cells in the released data; several diverge",
    chosen_after=GRID,
    **SWEPT,
)
def momentum_ratio_instability(tab_betas: pd.DataFrame) -> Iterator[Finding]:
    cells = _grid(tab_betas)
    if not (cells.ratio >= 4 - 1e-9).any():
        yield untestable("the grid has no cell with so large a ratio")
        return

    def gaps(c: pd.DataFrame) -> pd.Series:
        return (c.val_loss - c.beta1.map(_diagonal(c)))[c.ratio >= 4 - 1e-9]

    yield greater("smallest gap to equal betas", _of_cells(cells, lambda c: gaps(c).min()), 0)
    yield note("worse cells", f"{(gaps(cells) > 0).sum()} of {len(gaps(cells))}")

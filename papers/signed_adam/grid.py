"""Adam's (beta1, beta2) cells: losses tuned over the learning rate, and statistics over them with their noise.

Losses are nats per token. No torch here.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from papers.signed_adam.comparing import tuned_over_lr
from papers.signed_adam.runs import common_seeds
from shared.artifacts.estimates import UNKNOWN, Estimate
from shared.artifacts.sweeps import edge_of, with_regret
from shared.base.seeding import numpy_generator

SCORE_SCALE = 0.25 / 22  # of Figure 3: 0.25 in perplexity at the paper's perplexity of about 22, as a relative change


def tuned_cells(runs: pd.DataFrame, spread: float = np.nan) -> pd.DataFrame:
    """Adam's cells, tuned over the learning rate on the seeds that all settings of a study share; `regret` by row.

    Of every study with a grid: one that varies beta2 for some beta1. beta2 = 0 is left out, as v is then g^2 itself.
    `score` is Figure 3's: 1 at the best beta2 of a row.

    Args:
        spread: standard deviation of a run's loss where a cell has one seed; unknown if omitted.
    Returns:
        as `tuned_over_lr`, with regret (of fresh seeds where there are any, with the best cell of the row on the same),
        regret_error (its standard error; 0 at the best) and score.
    """
    adam = runs[(runs.method == "Adam") & (runs.beta2 > 0)]
    counts = adam.groupby(["study", "beta1"]).beta2.nunique()
    adam = adam[adam.study.isin(counts[counts > 1].reset_index().study.unique())]
    tuning = common_seeds(adam[~adam.fresh], ["study"], ["lr", "beta1", "beta2", "weight_decay", "clip_norm"])
    cells = tuned_over_lr(pd.concat([tuning, adam[adam.fresh]]), ["study", "beta1", "beta2"])
    cells = with_regret(cells, ["study", "beta1"])
    error = np.hypot(cells["std"].fillna(spread) / np.sqrt(cells.num_seeds), cells.choice_error)
    error = error.where(np.isfinite(cells.val_loss))
    best = error.where(cells.regret == 0).groupby([cells.study, cells.beta1]).transform("max")
    cells = cells.assign(regret_error=np.hypot(error, best).where(cells.regret > 0, 0.0))
    return cells.assign(score=np.exp(-np.expm1(cells.regret) / SCORE_SCALE))


def best_betas(cells: pd.DataFrame) -> pd.DataFrame:
    """Of each study and beta1 the best beta2, and what beta2 = beta1 loses to it; empty where that was not run.

    Returns:
        row ("<study> <beta1>"), best_beta2, best_loss, equal_loss, regret with its standard error, regret_ppl,
        steps_apart (on the row's grid), edge_beta2 (where the best beta2 lies on it).
    """
    rows = []
    for (study, beta1), row in cells.groupby(["study", "beta1"]):
        row = row.sort_values("beta2").reset_index(drop=True)
        best = row.loc[row.val_loss.idxmin()]
        diagonal = row[row.beta2 == beta1]
        equal = diagonal.val_loss.iloc[0] if len(diagonal) else np.nan
        apart = abs(best.name - diagonal.index[0]) if len(diagonal) else np.nan
        error = diagonal.regret_error.iloc[0] if len(diagonal) else np.nan
        edge = edge_of(best.beta2, row.beta2.to_numpy())
        label = f"{study} {beta1:g}"
        rows.append([label, best.beta2, best.val_loss, equal, equal - best.val_loss, error, apart, edge])
    columns = ["row", "best_beta2", "best_loss", "equal_loss", "regret", "regret_error", "steps_apart", "edge_beta2"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(regret_ppl=np.exp(found.equal_loss) - np.exp(found.best_loss))


def main_cells(tab_betas: pd.DataFrame, from_beta1: float = 0.0) -> pd.DataFrame:
    """Our cells of the main study, from a beta1 on."""
    ours = tab_betas[(tab_betas.study == "main") & (tab_betas.beta1 >= from_beta1)]
    return ours.dropna(subset="val_loss").reset_index(drop=True)


def estimate(
    cells: pd.DataFrame, statistic: Callable[[pd.DataFrame], float], edges: str = "none", num_draws: int = 2000
) -> Estimate:
    """`statistic` of the cells, and its spread when every loss is redrawn: its seeds, and the choice of its rate.

    A cell whose seeds all diverged stays there; the spread is unknown if any other cell has one seed, and if one of the
    best cells that the statistic rests on lies at an end of its grid: `edges` says which, or "none".
    """
    error = np.hypot(cells.two_sigma / 2 / np.sqrt(cells.num_seeds), cells.choice_error)
    error = error.where(np.isfinite(cells.val_loss), 0.0)
    fewest = fewest_seeds(cells)
    if error.isna().any() or edges != "none":
        return Estimate(float(statistic(cells)), UNKNOWN, dof=0, n=fewest)
    draw = numpy_generator(0, "cells")
    redrawn = (cells.assign(val_loss=draw.normal(cells.val_loss, error)) for _ in range(num_draws))
    spread = float(np.std([statistic(each) for each in redrawn], ddof=1))
    return Estimate(float(statistic(cells)), spread, dof=fewest - 1, n=fewest)


def fewest_seeds(cells: pd.DataFrame) -> int | None:
    """Seeds of the cell that has the fewest; None where no cell tells."""
    fewest = cells.num_seeds.min()
    return None if np.isnan(fewest) else int(fewest)


def share_below(cells: pd.DataFrame, other: pd.Series) -> Estimate:
    """Share of cells whose loss is below that of `other` (a row with val_loss, two_sigma, num_seeds), both redrawn."""
    both = pd.concat([cells, other.to_frame().T.assign(beta1=np.nan)], ignore_index=True)
    both = both.astype({"val_loss": float, "two_sigma": float, "choice_error": float, "num_seeds": int})

    def share(rows: pd.DataFrame) -> float:
        own = rows.beta1.notna()
        return float((rows.val_loss[own] < rows.val_loss[~own].iloc[0]).mean())

    return estimate(both, share)


def edges(tab_equal: pd.DataFrame, from_beta1: float = 0.0) -> str:
    """The rows of the main study, from a beta1 on, whose best beta2 lies at an end of its grid."""
    rows = tab_equal[(tab_equal.study == "main") & (tab_equal.beta1 >= from_beta1)]
    rows = rows[rows.edge_beta2.isin(["low", "high"])]
    return ", ".join(f"{row.beta1:g}: {row.best_beta2:g} ({row.edge_beta2})" for row in rows.itertuples()) or "none"


def edge_of_pair(cells: pd.DataFrame) -> str:
    """Where the best cell lies at an end of beta1's grid, or of its row: what others lose to it is a lower bound."""
    best = cells.loc[cells.val_loss.idxmin()]
    row = cells.beta2[cells.beta1 == best.beta1]
    ends = {"beta1": edge_of(best.beta1, cells.beta1.unique()), "beta2": edge_of(best.beta2, row.to_numpy())}
    return ", ".join(f"{name} {end}" for name, end in ends.items() if end in ("low", "high")) or "none"


def diagonal(cells: pd.DataFrame) -> pd.Series:
    """Loss at beta2 = beta1, by beta1.

    Raises:
        ValueError: a row of the grid has no such cell.
    """
    found = cells[cells.beta1 == cells.beta2].set_index("beta1").val_loss
    missing = sorted(set(cells.beta1) - set(found.index))
    if missing:
        raise ValueError(f"the grid has no cell with beta2 = beta1 for beta1 = {missing}; add it to the main study")
    return found


def best_of_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """The best cell of each beta1."""
    return cells.loc[cells.groupby("beta1").val_loss.idxmin()]


def listed(cells: pd.DataFrame) -> str:
    """beta1: beta2 of each cell."""
    return ", ".join(f"{beta1:g}: {beta2:g}" for beta1, beta2 in zip(cells.beta1, cells.beta2, strict=True))


def rows_above(tab_equal: pd.DataFrame, lost_ppl: float) -> str:
    """How many rows of all studies lose more perplexity than that by equal betas, and which."""
    rows = tab_equal.dropna(subset="regret_ppl")
    above = rows[rows.regret_ppl > lost_ppl].sort_values("regret_ppl", ascending=False)
    which = ", ".join(f"{row.study} {row.beta1:g} ({row.regret_ppl:.3f})" for row in above.itertuples())
    return f"{len(above)} of {len(rows)}" + (f": {which}" if which else "")


def largest_loss_of_perplexity(tab_equal: pd.DataFrame, tab_betas: pd.DataFrame) -> Estimate:
    """Over all studies and beta1, with the noise and the seeds of that row; behind a printed spread are three."""
    rows = tab_equal.dropna(subset="regret_ppl")
    worst = rows.loc[rows.regret_ppl.idxmax()]
    cells = tab_betas[(tab_betas.study == worst.study) & (tab_betas.beta1 == worst.beta1)]
    n = fewest_seeds(cells)
    noise = float(worst.regret_error * np.exp(worst.best_loss))
    return Estimate(float(worst.regret_ppl), noise, dof=n - 1 if n is not None and n > 1 else 2, n=n)


def regret_text(cells: pd.DataFrame) -> pd.Series:
    """The regret of each cell in three digits, with a dot where two standard errors of it reach the row's best."""
    near = np.where((cells.regret > 0) & (cells.regret <= 2 * cells.regret_error), " \u2022", "")
    text = cells.regret.map(lambda nats: f"{nats:.3f}".lstrip("0")).where(cells.regret <= 1, ">1")
    return text.where(np.isfinite(cells.regret), "div.") + near


def largest_regret(cells: pd.DataFrame) -> float:
    """What beta2 = beta1 loses to the best beta2 of its row, at most."""
    return (diagonal(cells) - cells.groupby("beta1").val_loss.min()).max()


def tied_regret(cells: pd.DataFrame) -> float:
    """What the best equal pair loses to the best pair."""
    return diagonal(cells).min() - cells.val_loss.min()


def rank_correlation(cells: pd.DataFrame) -> float:
    """Spearman's correlation of beta1 and its best beta2; 0 where the best beta2 is the same for every beta1."""
    best = best_of_rows(cells)
    return best[["beta1", "beta2"]].corr("spearman").iloc[0, 1] if best.beta2.nunique() > 1 else 0.0


def most_steps_apart(cells: pd.DataFrame) -> float:
    """Grid steps between the best beta2 and the equal one, the most over beta1."""
    place = cells.groupby("beta1").beta2.rank()
    equal = cells[cells.beta1 == cells.beta2].index
    best = best_of_rows(cells)
    apart = place[best.index].to_numpy() - place[equal].set_axis(cells.beta1[equal]).reindex(best.beta1).to_numpy()
    return np.abs(apart).max()


def gaps_to_diagonal(cells: pd.DataFrame, least_ratio: float) -> pd.Series:
    """Loss over that of equal betas, of the cells whose (1 - beta2) / (1 - beta1) is `least_ratio` or more."""
    return (cells.val_loss - cells.beta1.map(diagonal(cells)))[cells.ratio >= least_ratio - 1e-9]

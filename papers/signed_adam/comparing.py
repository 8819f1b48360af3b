"""How methods are compared: best settings, seed means over a learning rate, losses with their noise. No torch here."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from papers.signed_adam.runs import TUNED, equal_betas, most_seeds, of_studies
from shared.artifacts.estimates import Estimate, difference, from_spread
from shared.artifacts.sweeps import over_seeds, tuned
from shared.base.seeding import numpy_generator

CHOICES = 2000  # redrawn choices of a setting


def measured(runs: pd.DataFrame, cell: list[str], over: list[str]) -> pd.DataFrame:
    """The best setting of each cell by the runs that tuned it, and what it is worth on fresh seeds, where it has any.

    Returns:
        as `tuned`: num_settings, num_diverged and the edges are of the tuning; val_loss, std and num_seeds of the runs
        on fresh seeds, whose setting was not chosen for its luck on them. Then choice_error (see `choice_errors`); 0
        where the seeds that chose measure too.
    """
    table = tuned(runs[~runs.fresh], cell, over=over)
    again = over_seeds(runs[runs.fresh], [*cell, *over])
    if not len(again):
        return table.assign(choice_error=0.0)
    both = table.merge(again, on=[*cell, *over], how="left", suffixes=("", "_again"))
    has = both.num_seeds_again.notna()
    for column in ("val_loss", "std", "num_seeds"):
        both[column] = both[column].mask(has, both[f"{column}_again"])
    errors = choice_errors(over_seeds(runs[~runs.fresh], [*cell, *over]), cell, again["std"].median())
    both = both[table.columns].astype({"num_seeds": int}).merge(errors, on=cell, how="left")
    return both.assign(choice_error=both.choice_error.where(has, 0.0))


def choice_errors(means: pd.DataFrame, cell: list[str], std: float) -> pd.DataFrame:
    """What other tuning seeds might have chosen: the standard deviation, in each cell, of the chosen setting's loss.

    Every seed mean is redrawn with the standard error that runs of spread `std` give it, and the best one chosen again;
    what the mean says of a setting stands for its worth. A diverged setting stays out.

    Args:
        means: of `over_seeds`, on the seeds that tune; `cell` names groups of settings.
    Returns:
        `cell` and choice_error, which is 0 for a single setting.
    """
    groups = means.groupby(cell, dropna=False)
    return pd.DataFrame([(*key, _choice_error(rows, std)) for key, rows in groups], columns=[*cell, "choice_error"])


def _choice_error(means: pd.DataFrame, std: float) -> float:
    rows = means[np.isfinite(means.val_loss)]
    if len(rows) < 2:
        return 0.0
    loss = rows.val_loss.to_numpy(float)
    spread = std / np.sqrt(rows.num_seeds.to_numpy(float))
    redrawn = numpy_generator(0, "choices").normal(loss, spread, (CHOICES, len(loss)))
    return float(np.std(loss[redrawn.argmin(axis=1)], ddof=1))


def best_settings(runs: pd.DataFrame) -> pd.DataFrame:
    """The best setting of each method, Adam's at equal betas; `num_settings` is what its tuning was given.

    Where no run has a fresh seed, it is the best seed mean among the settings with the most seeds.
    """
    runs = equal_betas(runs)
    number = runs[~runs.fresh].groupby("method").apply(lambda own: len(own[TUNED].drop_duplicates()))
    chosen = pd.concat([most_seeds(runs[~runs.fresh], ["method"], TUNED), runs[runs.fresh]])
    table = measured(chosen, ["method"], TUNED)
    table = table.assign(
        num_settings=table.method.map(number), num_runs=table.method.map(runs.groupby("method").size())
    )
    return _with_spread(table.sort_values("val_loss", ignore_index=True))


def tuned_over_lr(runs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Seed means of each setting `by` at its best learning rate."""
    return _with_spread(measured(runs, by, ["lr"]))


def _with_spread(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(two_sigma=2 * table["std"], ppl=np.exp(table.val_loss.astype(float)))


def row_of_table_3(table: pd.DataFrame) -> pd.Series:
    """Its label: method, GI or ZI (averages from the first gradient or zero), for Adam +BC or -BC (bias correction)."""
    start = table.gradient_init.map({1.0: " GI", 0.0: " ZI"})
    corrected = table.bias_correction.map({1.0: "+BC", 0.0: "-BC"}).where(table.method == "Adam", "")
    return table.method + start + corrected


def described_by_row(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with what its label `row` says of method, start and correction, where they are missing."""
    start = table.row.str.contains("GI").astype(float)
    corrected = table.row.str[-3:].map({"+BC": 1.0, "-BC": 0.0})  # missing for Signum, which has none
    said = {"method": table.row.str.split().str[0], "gradient_init": start, "bias_correction": corrected}
    return table.fillna(said)


def loss_over_lr(runs: pd.DataFrame, studies: Iterable[str], methods: Iterable[str], by: list[str]) -> pd.DataFrame:
    """Seed means of each setting `by` and learning rate, infinite where a seed diverged; those on fresh seeds apart.

    `point` names a row of a setting by its rate, or as that of the fresh seeds. `clipped` tells whether the gradient's
    norm is; averages start at zero where a run does not say; eps 0 is Signum itself (Figure 4). If `study` is in `by`,
    `best_signum` is the loss of the study's best Signum.
    """
    found = of_studies(runs, studies, methods)
    found = found.assign(clipped=np.isfinite(found.clip_norm), eps=found.eps.where(found.method != "Signum", 0.0))
    curves = over_seeds(found.fillna({"gradient_init": 0.0}), [*by, "lr", "fresh"])
    point = np.where(curves.fresh, "fresh seeds", curves.lr.map("{:g}".format))  # which rate those have is chosen
    curves = curves.assign(point=point, standard_error=curves["std"] / np.sqrt(curves.num_seeds))
    signum = measured(runs[runs.method == "Signum"], ["study"], TUNED).set_index("study").val_loss
    return curves.assign(best_signum=curves.study.map(signum)) if "study" in by else curves


def loss_above(logged: pd.DataFrame, base: Mapping[str, float]) -> pd.DataFrame:
    """Training loss over tokens above that of the setting `base`, seed by seed: these share their data and their start.

    Returns:
        the columns of `base`, tokens, more (the mean over seeds), two_standard_errors and num_seeds; on fresh seeds
        where there are any.
    """
    rows = logged[logged.fresh] if logged.fresh.any() else logged
    rows, pair = rows[rows.phase == "train"], ["seed", "tokens"]
    is_base = (rows[list(base)] == pd.Series(base)).all(axis=1)
    rows = rows.merge(rows.loc[is_base, [*pair, "loss"]], on=pair, suffixes=("", "_base"))
    more = rows.assign(more=rows.loss - rows.loss_base).groupby([*base, "tokens"]).more
    found = more.agg(more="mean", two_standard_errors="sem", num_seeds="size").reset_index()
    return found.assign(two_standard_errors=2 * found.two_standard_errors)


def perplexity_over_tokens(logged: pd.DataFrame) -> pd.DataFrame:
    """Validation perplexity of each method over tokens, on fresh seeds where there are any.

    Where runs were evaluated at their end alone (the released ones), also the perplexity of training.
    Returns:
        method, kind (validation or training), tokens, ppl = exp(seed mean of the loss), low and high (one standard
        error, missing for one seed), num_seeds.
    """
    rows = logged[logged.fresh] if logged.fresh.any() else logged
    rows = rows.assign(loss=rows.loss.where(rows.phase == "train", rows.val_loss))
    rows = rows.assign(kind=rows.phase.map({"train": "training", "eval": "validation"})).dropna(subset="kind")
    evaluations = rows[rows.kind == "validation"].groupby("run").size()
    if (evaluations > 1).any():
        rows = rows[rows.kind == "validation"]
    found = rows.groupby(["method", "kind", "tokens"]).loss.agg(["mean", "sem", "size"]).reset_index()
    ends = {name: np.exp(found["mean"] + sign * found["sem"]) for name, sign in (("low", -1), ("high", 1))}
    return found.assign(ppl=np.exp(found["mean"]), num_seeds=found["size"], **ends)


def method_losses(tab_methods: pd.DataFrame, reported_spread: bool) -> dict[str, Estimate]:
    """Method -> seed mean of its best loss; a single run has the spread that Table 1 prints, if `reported_spread`."""
    found = {}
    for row in tab_methods.itertuples():
        if row.num_seeds == 1 and reported_spread:
            found[row.method] = Estimate(row.val_loss, row.reported_two_sigma / 2 / row.reported_ppl, dof=2, n=1)
        else:
            found[row.method] = row_loss(row)
    return found


def row_loss(row) -> Estimate:
    """Loss of a table's row, with the noise of its seeds (two_sigma, num_seeds) and of its choice (choice_error)."""
    return difference(from_spread(row.val_loss, row.two_sigma / 2, row.num_seeds), Estimate(0.0, row.choice_error))


def best_row(rows: pd.DataFrame) -> pd.Series:
    return rows.loc[rows.val_loss.idxmin()]


def range_of(rows: pd.DataFrame) -> Estimate:
    """Largest less smallest loss of the rows."""
    return difference(row_loss(rows.loc[rows.val_loss.idxmax()]), row_loss(best_row(rows)))


def closed_beyond(loss: dict[str, Estimate], share: float) -> Estimate:
    """Nats of the gap between SGD and Adam that Signum closes beyond a share of it."""
    left = difference(loss["SGD"].scaled(1 - share), loss["Signum"])  # SGD - Signum - share (SGD - Adam), each once
    return difference(left, loss["Adam"].scaled(-share))


def share_closed(tab_methods: pd.DataFrame, column: str, other: str) -> float:
    """Share of the gap between `other` and Adam that Signum closes, in the unit of `column`."""
    value = tab_methods.set_index("method")[column]
    return (value[other] - value["Signum"]) / (value[other] - value["Adam"])


def at_grid_edge(tab_methods: pd.DataFrame, methods: list[str]) -> str:
    """Those of `methods` whose best learning rate or averaging factor is at an end of its grid: upper bounds."""
    rows = tab_methods[tab_methods.method.isin(methods)]
    ends = [
        f"{row.method} ({name} {edge})"
        for row in rows.itertuples()
        for name, edge in (("lr", row.edge), ("averaging", row.edge_averaging))
        if edge in ("low", "high")
    ]
    return ", ".join(ends) or "none"


def budgets(tab_methods: pd.DataFrame, methods: list[str]) -> str:
    """Settings that the tuning of each method was given, widened grids included."""
    number = tab_methods.set_index("method").num_settings
    return ", ".join(f"{method} {number[method]:g}" for method in methods)

"""Summaries of records and tables: means over seeds, shares of texts, training in forty steps, gains at equal rise."""

import numpy as np
import pandas as pd

EDGES = np.round(np.linspace(0, 2, 51), 2)  # of the bins of a score; what lies beyond counts in the last


def with_columns(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with columns that no row has a value of: too few texts for them."""
    return frame.assign(**{name: np.nan for name in columns if name not in frame})


def over_seeds(frame: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """Means over seeds, <value>_error beside them, and num_seeds; in the order of the rows."""
    grouped = frame.groupby(keys, sort=False, dropna=False)[values]
    means, errors = grouped.mean(), grouped.std() / np.sqrt(grouped.count())
    table = means.join(errors.add_suffix("_error"))
    return table.join(grouped.size().rename("num_seeds")).reset_index()


def means_over_seeds(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """`over_seeds` of every number that is neither a key nor the seed; errors of single rows are left out."""
    values = [c for c in frame.select_dtypes("number") if c not in (*keys, "seed") and not c.endswith("_error")]
    return over_seeds(frame[[*keys, "seed", *values]], keys, values)


def shares_of_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Share of texts by variant, texts and score (lower end of a bin), and mean_score: means and errors over seeds.

    Args:
        table: variant, texts, seed, score; a row per text.
    """
    keys, bins = ["variant", "texts"], EDGES[:-1]
    place = np.clip(np.searchsorted(EDGES, table.score, "right") - 1, 0, len(bins) - 1)
    counts = pd.crosstab([table.variant, table.texts, table.seed], bins[place]).reindex(columns=bins, fill_value=0)
    share = counts.div(counts.sum(axis=1), axis=0).rename_axis(columns="score").stack().rename("share").reset_index()
    share = over_seeds(share, [*keys, "score"], ["share"])
    means = table.groupby([*keys, "seed"]).score.mean().rename("mean_score").reset_index()
    means = over_seeds(means, keys, ["mean_score"])[[*keys, "mean_score", "mean_score_error"]]
    return share.merge(means, on=keys)


def in_forty_steps(table: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Means of `values` by world, variant, seed and fortieth of a world's training, named by its last step."""
    last = table.groupby("world").step.transform("max") / 40
    table = table.assign(step=(-(-table.step // last) * last).round(2))
    return table.groupby(["world", "variant", "step", "seed"], sort=False)[values].mean().reset_index()


def gain_at_equal_rise(rows: pd.DataFrame) -> float:
    """Mean over performer-only runs of the pair's AUC at their rise (interpolated) minus theirs; one seed."""
    pair = rows[rows.roles == "pair"].sort_values("rise_performer")
    alone = rows[rows.roles == "performer only"]
    alone = alone[alone.rise_performer.between(pair.rise_performer.min(), pair.rise_performer.max())]
    return float((np.interp(alone.rise_performer, pair.rise_performer, pair.auc) - alone.auc).mean())


def pairs_by_variant(table: pd.DataFrame, start: str = "dual") -> dict[str, pd.DataFrame]:
    """Variant -> rows in the order of seeds, of the pairs whose names start so, on the first corpus; eps grows."""
    rows = table[(table.data == table.data[:1].squeeze()) & table.variant.str.startswith(start)]
    rows = rows.dropna(subset="seed").sort_values(["eps", "seed"])
    return dict(list(rows.groupby("variant", sort=False)))

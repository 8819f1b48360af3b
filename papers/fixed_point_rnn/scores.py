"""Scores that the paper reports, from the rows of records and tables: solved lengths, scaled accuracy, cosines.

No torch here: tables are built without it.
"""

import re

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records

SOLVED = 0.9  # a length is solved from this share of words on
KEY = ["study", "task", "model", "l_max", "seed"]
OTHERS = ["repeat", "copy", "text", "arithmetic"]  # tasks that are no word problem


def by_length(tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Every model at every test length: means over seeds, the standard error of seq_acc, median of the iterations."""
    groups = tab_seeds.groupby([*KEY[:-1], "train_len", "test_len"], sort=False)
    return groups.agg(
        seq_acc=("seq_acc", "mean"),
        standard_error=("seq_acc", "sem"),
        token_acc=("token_acc", "mean"),
        iterations=("iterations", "median"),
        met=("met", "mean"),
        num_seeds=("seed", "size"),
    ).reset_index()


def longest(tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Per seed: the longest test length up to which every length tested is solved; 0 for none. Word problems alone."""
    rows = tab_seeds[~tab_seeds.task.isin(OTHERS)].sort_values("test_len", kind="stable")
    unbroken = (rows.seq_acc >= SOLVED).groupby([rows[k] for k in KEY]).cummin()
    found = rows.assign(longest=rows.test_len.where(unbroken, 0))
    return found.groupby(KEY, sort=False).longest.max().reset_index()


def longest_by_model(tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Longest solved length of every model, group and training length: mean, smallest and largest over seeds."""
    order = tab_seeds[["study", "task", "train_len", "model", "l_max"]].drop_duplicates()
    groups = longest(tab_seeds).groupby(["study", "task", "model", "l_max"], sort=False).longest
    found = groups.agg(longest="mean", low="min", high="max", num_seeds="size").reset_index()
    return order.merge(found)


def relative_size(table: pd.DataFrame, references: dict[str, str | None]) -> pd.Series:
    """Parameters of every model over those of its study's reference; missing in a study without one."""
    names = table.model.str.split(", l_max").str[0]
    of_reference = table[names == table.study.map(references)].groupby("study").num_params.first()
    return table.num_params / table.study.map(of_reference)


def kind_of(model: str) -> str:
    """What kind of sequence model a name stands for, for figures with too many of them."""
    kinds = {
        "no mixer": ", no mixer|^diagonal",
        "FP, Q of the input": "^FP.*no hidden",
        "FP, Kronecker": "^FP.*-K",
        "FP, reflections": "^FP",
        "Mamba": "^Mamba",
        "delta rule": "^(Gated)?Delta",
        "LSTM": "^LSTM",
        "Transformer": "^Transformer",
    }
    return next(kind for kind, pattern in kinds.items() if re.search(pattern, model))


def cost_of_accuracy(tab_models: pd.DataFrame, tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Per seed on word problems: share right at twice the training length, scans of an update, seconds of training."""
    rows = tab_seeds[~tab_seeds.task.isin(OTHERS) & (tab_seeds.test_len == 2 * tab_seeds.train_len)]
    rows = rows.merge(tab_models[[*KEY[:-1], "scans", "update_ms", "num_steps"]], on=KEY[:-1])
    return rows.assign(kind=rows.model.map(kind_of), seconds=rows.update_ms * rows.num_steps / 1000)


def copied(tab_seeds: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every seed on strings of every length; chance: the share of letters that guessing gets right."""
    rows = tab_seeds[tab_seeds.task == "copy"]
    return rows.assign(chance=1 / settings.studies["copy"].task.alphabet)


def rates_tried(records: Records) -> pd.DataFrame:
    """Every model at every learning rate tried: mean loss and its standard error over the tuning seeds.

    A rate with a diverged run has no loss. chosen: the smallest mean; edge: the end of the rates at which that lies.
    """
    rows, of_model = records("train", "tuning"), ["study", "model", "l_max"]
    groups = rows.assign(loss=rows.train_loss.mask(rows.diverged.astype(bool))).groupby([*of_model, "lr"], sort=False)
    table = groups.agg(
        loss=("loss", lambda losses: losses.mean(skipna=False)),
        standard_error=("loss", "sem"),
        num_diverged=("diverged", lambda gone: int(gone.sum())),
        num_seeds=("seed", "size"),
    )
    table = table.reset_index().sort_values("lr", kind="stable")
    models = table.groupby(of_model, sort=False)
    table["chosen"] = table.loss == models.loss.transform("min")
    ends = {"low": models.lr.transform("min"), "high": models.lr.transform("max")}
    table["edge"] = ""
    for name, end in ends.items():
        table.loc[table.chosen & (table.lr == end), "edge"] = name
    return table


def scaled_accuracy(accuracy: pd.Series, modulus: int) -> pd.Series:
    """0 at chance, 1 where all is right (Grazzi et al. 2024): (accuracy - 1 / modulus) / (1 - 1 / modulus)."""
    return (accuracy - 1 / modulus) / (1 - 1 / modulus)


def perplexities(tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Validation perplexity of every language model and seed; loss in nats per token."""
    rows = tab_seeds[tab_seeds.task == "text"]
    return rows.assign(perplexity=np.exp(rows.loss))


def _cosines(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    groups = rows.assign(positive=rows.cosine > 0).groupby(by)
    table = groups.cosine.agg(smallest="min", median="median", num_draws="size")
    return table.assign(share_positive=groups.positive.mean()).reset_index()


def truncated_gradients(records: Records) -> pd.DataFrame:
    """Cosines of truncated and exact gradients over random layers; share of layers whose cosine never falls with k."""
    rows = records("verify", "gradients")
    rows = rows[rows.converged.astype(bool)].sort_values("num_backward", kind="stable")
    layer = [rows[k] for k in ("scale", "argument", "draw")]
    falls = rows.groupby(["scale", "argument", "draw"]).cosine.diff().lt(-1e-12).groupby(layer).any()
    monotone = 1 - falls.groupby(level=["scale", "argument"]).mean()
    table = _cosines(rows, ["scale", "argument", "num_backward"])
    return table.merge(monotone.rename("share_monotone").reset_index(), on=["scale", "argument"])


def random_jacobians(records: Records) -> pd.DataFrame:
    """Theorem 3.2 on random Jacobians: cosines of the one-step and the exact gradient step, by the Jacobian's norm."""
    return _cosines(records("verify", "theorem"), ["norm"])


def at_length(table: pd.DataFrame, study: str, model: str, times: float = 1, column: str = "seq_acc") -> pd.Series:
    """Values by seed of a model at `times` the training's length; of a swept model, those of its largest l_max."""
    own = table[(table.study == study) & ((table.model == model) | table.model.str.startswith(f"{model}, l_max "))]
    own = own[(own.test_len == times * own.train_len) & (own.l_max == own.l_max.max())]
    return own.set_index("seed")[column].sort_index()


def growth(table: pd.DataFrame, study: str, model: str) -> pd.Series:
    """Iterations at three times the training length over those at it, by seed."""
    return at_length(table, study, model, 3, "iterations") / at_length(table, study, model, 1, "iterations")


def swept_model(table: pd.DataFrame, l_max: int | None = None) -> str:
    """The name of the model of the study `dial` with that training l_max, the largest if omitted."""
    own = table[(table.study == "dial") & table.model.str.contains("l_max")]
    return own.model[own.l_max == (l_max or own.l_max.max())].iloc[0]

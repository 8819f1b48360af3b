"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported

SOLVED = 0.9  # a length is solved from this share of words on
KEY = ["study", "task", "model", "l_max", "seed"]


def _part(records: Records, settings: Settings, part: str) -> pd.DataFrame:
    """Rows of a part of all studies, with the task's name and training length."""
    rows = records("train", part)
    tasks = {name: study.task for name, study in settings.studies.items() if study is not None}
    groups = {name: t.group if t.kind == "word" else t.kind for name, t in tasks.items()}
    lengths = {name: t.train_len for name, t in tasks.items()}
    return rows.assign(task=rows.study.map(groups), train_len=rows.study.map(lengths))


def tab_seeds(records: Records, settings: Settings) -> pd.DataFrame:
    """Every seed of every model at every test length."""
    return _part(records, settings, "lengths")


def tab_tracking(tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds with its standard error."""
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
    rows = tab_seeds[~tab_seeds.task.isin(["repeat", "copy", "text", "arithmetic"])].sort_values("test_len")
    solved = rows.assign(unbroken=(rows.seq_acc >= SOLVED).groupby([rows[k] for k in KEY]).cummin())
    found = solved.assign(longest=solved.test_len.where(solved.unbroken, 0))
    return found.groupby(KEY, sort=False).longest.max().reset_index()


def tab_models(records: Records, settings: Settings, longest: pd.DataFrame) -> pd.DataFrame:
    """Size, budget, cost of an update and longest solved length of every model."""
    runs = _part(records, settings, "runs").merge(longest, on=KEY, how="left")
    groups = runs.groupby(KEY[:-1], sort=False)
    table = groups.agg(
        num_layers=("num_layers", "first"),
        num_params=("num_params", "first"),
        train_loss=("train_loss", "mean"),
        standard_error=("train_loss", "sem"),
        scans=("scans", "mean"),
        update_ms=("update_seconds", lambda s: 1000 * s.mean()),
        longest=("longest", "mean"),
        num_diverged=("diverged", "sum"),
        num_seeds=("seed", "size"),
    ).reset_index()
    budget = {name: study for name, study in settings.studies.items() if study is not None}
    return table.assign(
        num_steps=table.study.map({n: s.num_steps for n, s in budget.items()}),
        lr=table.study.map({n: s.lr for n, s in budget.items()}),
    )


def tab_caps(records: Records, settings: Settings) -> pd.DataFrame:
    """Accuracy of every seed under caps on the iterations in evaluation."""
    return _part(records, settings, "caps")


def fig_7(records: Records, settings: Settings) -> pd.DataFrame:
    """Iterations of each layer along the training on text."""
    rows = _part(records, settings, "curves")
    return rows[rows.study == "text"]


def fig_12(records: Records, settings: Settings) -> pd.DataFrame:
    """Difference of parallel and sequential fixed points per seed and length."""
    return _part(records, settings, "sequential")


def tab_gradients(records: Records) -> pd.DataFrame:
    """Cosines of truncated and exact gradients over random layers."""
    rows = records("verify", "gradients")
    rows = rows[rows.converged.astype(bool)]
    order = rows.sort_values("num_backward").groupby(["scale", "argument", "draw"]).cosine
    falls = order.diff().lt(-1e-12).groupby([rows["scale"], rows["argument"], rows["draw"]]).any()
    monotone = 1 - falls.groupby(level=["scale", "argument"]).mean()
    groups = rows.groupby(["scale", "argument", "num_backward"])
    table = groups.cosine.agg(
        smallest="min", median="median", share_positive=lambda c: (c > 0).mean(), num_draws="size"
    ).reset_index()
    return table.merge(monotone.rename("share_monotone").reset_index(), on=["scale", "argument"])


def tab_theorem(records: Records) -> pd.DataFrame:
    """Theorem 3.2 on random Jacobians."""
    groups = records("verify", "theorem").groupby("norm").cosine
    return groups.agg(
        smallest="min", median="median", share_positive=lambda c: (c > 0).mean(), num_draws="size"
    ).reset_index()


def tab_1(tab_seeds: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Copying at twice the training length by what depends on y_{t-1}, beside the paper's Table 1."""
    rows = tab_seeds[(tab_seeds.task == "copy") & (tab_seeds.test_len == 2 * tab_seeds.train_len)]
    rows = rows[rows.model.str.startswith("bc")]
    groups = rows.groupby("model", sort=False)
    table = groups.agg(
        token_acc=("token_acc", "mean"),
        standard_error=("token_acc", "sem"),
        loss=("loss", "mean"),
        num_seeds=("seed", "size"),
    ).reset_index()
    return reported.beside(table, "Table 1", rows="model", columns={"accuracy": "reported", "std": "reported_std"})


def tab_3(reported: Reported) -> pd.DataFrame:
    """The paper's Table 3, catbAbI: not rebuilt."""
    rows = reported.table("Table 3")
    return rows.assign(layers=rows.row.astype(int), model=rows.column, reported=rows.value)


def tab_4(tab_seeds: pd.DataFrame, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Scaled accuracy of modular arithmetic beside the paper's Table 4; mean over the lengths above the training's."""
    rows = tab_seeds[(tab_seeds.task == "arithmetic") & (tab_seeds.test_len >= tab_seeds.train_len)]
    study = settings.studies["arithmetic"]
    chance = 1 / (5 if study is None else study.task.modulus)
    rows = (
        rows.assign(scaled=(rows.seq_acc - chance) / (1 - chance))
        .groupby(["model", "seed"])
        .scaled.mean()
        .reset_index()
    )
    table = (
        rows.groupby("model", sort=False)
        .scaled.agg(scaled="mean", standard_error="sem", num_seeds="size")
        .reset_index()
    )
    return reported.beside(table, "Table 4", rows="model", columns={"scaled accuracy": "reported"})


def tab_8(tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Validation perplexity of every language model and seed."""
    rows = tab_seeds[tab_seeds.task == "text"]
    return rows.assign(perplexity=np.exp(rows.loss))


def fig_3b(longest: pd.DataFrame) -> pd.DataFrame:
    """Longest solved length of every model and group, mean over seeds."""
    groups = longest.groupby(["study", "task", "model"], sort=False).longest
    return groups.agg(longest="mean", low="min", high="max", num_seeds="size").reset_index()

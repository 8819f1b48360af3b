"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import pandas as pd

from papers.fixed_point_rnn.scores import KEY, longest, scaled_accuracy
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported


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


def tab_models(records: Records, settings: Settings, tab_seeds: pd.DataFrame) -> pd.DataFrame:
    """Size, budget, cost of an update and longest solved length of every model."""
    runs = _part(records, settings, "runs").merge(longest(tab_seeds), on=KEY, how="left")
    groups = runs.groupby(KEY[:-1], sort=False)
    table = groups.agg(
        num_layers=("num_layers", "first"),
        num_params=("num_params", "first"),
        lr=("lr", "first"),
        train_loss=("train_loss", "mean"),
        standard_error=("train_loss", "sem"),
        scans=("scans", "mean"),
        update_ms=("update_seconds", lambda s: 1000 * s.mean()),
        longest=("longest", "mean"),
        num_diverged=("diverged", "sum"),
        num_seeds=("seed", "size"),
    ).reset_index()
    steps = {name: study.num_steps for name, study in settings.studies.items() if study is not None}
    return table.assign(num_steps=table.study.map(steps))


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


def tab_1(tab_seeds: pd.DataFrame, reported: Reported) -> pd.DataFrame:
    """Copying at twice the training length by what depends on y_{t-1}, beside the paper's Table 1."""
    rows = tab_seeds[(tab_seeds.task == "copy") & (tab_seeds.test_len == 2 * tab_seeds.train_len)]
    groups = rows[rows.model.str.startswith("bc")].groupby("model", sort=False)
    means = {"token_acc": ("token_acc", "mean"), "standard_error": ("token_acc", "sem"), "loss": ("loss", "mean")}
    table = groups.agg(**means, num_seeds=("seed", "size")).reset_index()
    columns = {"accuracy": "reported", "std": "reported_std"}
    return reported.beside(table, "Table 1", rows="model", columns=columns)


def tab_3(reported: Reported) -> pd.DataFrame:
    """The paper's Table 3, catbAbI: not rebuilt."""
    return reported.table("Table 3").eval("layers = row\nmodel = column\nreported = value").astype({"layers": int})


def tab_4(tab_seeds: pd.DataFrame, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Scaled accuracy of modular arithmetic beside the paper's Table 4; mean over the lengths above the training's."""
    rows = tab_seeds[(tab_seeds.task == "arithmetic") & (tab_seeds.test_len > tab_seeds.train_len)]
    study = settings.studies["arithmetic"]
    rows = rows.assign(scaled=scaled_accuracy(rows.seq_acc, 5 if study is None else study.task.modulus))
    means = rows.groupby(["model", "seed"], sort=False).scaled.mean().groupby("model", sort=False)
    table = means.agg(scaled="mean", standard_error="sem", num_seeds="size").reset_index()
    return reported.beside(table, "Table 4", rows="model", columns={"scaled accuracy": "reported"})

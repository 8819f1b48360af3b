"""Merges -> which of them count, and their means over seeds. No torch here."""

from collections.abc import Mapping

import pandas as pd

from papers.merging_noise.settings import Study

SETTING = ["study", "batch_size", "lr", "lr_after", "momentum", "weight_decay", "fork", "num_merged", "statistics"]
MEASURED = ["accuracy", "accuracy_merged", "acc_gain", "loss", "loss_gain", "train_loss", "distance", "cka"]
GAINS = ("acc_gain", "loss_gain")


def judged(table: pd.DataFrame, studies: Mapping[str, Study | None], thresholds) -> pd.DataFrame:
    """The merges with title, `kept` and `main`.

    kept: none of the setting's runs diverged, and their accuracy is near the study's best; of language models the loss.
    main: of a network with BatchNorm, the row whose statistics were reset.
    """
    gone = table.groupby(SETTING, dropna=False).diverged.transform("any").astype(bool)
    means = table.groupby(SETTING)[["accuracy", "loss"]].transform("mean")
    best = means.groupby(table.study).accuracy.transform("max") - thresholds.comparable
    lowest = means.groupby(table.study).loss.transform("min") + thresholds.comparable_nats
    near = (means.accuracy >= best).where(means.accuracy.notna(), means.loss <= lowest)
    titles = {study.role or name: study.title for name, study in studies.items() if study is not None}
    reset = table.study.isin(table.study[table.statistics == "reset"])  # averaged ones stand beside them, no more
    main = ~reset | (table.statistics == "reset")
    return table.assign(kept=near.astype(bool) & ~gone, main=main, title=table.study.map(titles))


def over_seeds(merges: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with standard errors."""
    groups = merges.groupby([*SETTING, "title", "augmentation", "kept", "main"], sort=False)
    found = {name: (name, "mean") for name in [*MEASURED, "noise"]}
    found |= {f"{name}_error": (name, "sem") for name in GAINS}
    found |= {"num_seeds": ("seed", "size"), "num_diverged": ("diverged", "sum")}
    return groups.agg(**found).reset_index()

"""Records of step `sweep` (or of the released results) -> one row per run, with the method's name and tidy settings."""

import math

import numpy as np
import pandas as pd

from shared.artifacts.records import Records
from shared.artifacts.sweeps import final_rows, over_seeds

# Every setting that a method of the paper may have; absent ones are missing values.
SETTINGS = ["beta1", "beta2", "momentum", "lr", "weight_decay", "clip_norm", "eps", "gamma", "tau"]
SETTINGS += ["bias_correction", "gradient_init"]
TUNED = ["lr", "beta1", "beta2", "weight_decay", "clip_norm"]  # what a method is tuned over; beta1 is any momentum
METHODS = ["Adam", "Signum", "RMSprop", "SGD + Cclip", "SignSGD", "SGD + Gclip", "SGD", "EMASign"]  # Table 1's order
_NONE = -1.0  # stands for a setting that a method has not, since a missing value equals nothing


def method_of(row: dict) -> str:
    """Name of the paper for a run's optimiser and settings; RMSprop is Adam without momentum (section 3)."""
    optimizer, clipped = row["optimizer"], math.isfinite(row["clip_norm"])
    if optimizer in ("adam", "adamw"):
        if row["beta1"] > 0:
            return "Adam"
        return "RMSprop" if row["beta2"] > 0 else "SignSGD"
    if optimizer == "signum":
        return "Signum" if row["beta"] > 0 else "SignSGD"
    if optimizer == "sgd":
        if math.isfinite(row["clip_value"]):
            return "SGD + Cclip"
        return "SGD + Gclip" if clipped else "SGD"
    names = {"emasign": "EMASign", "soft_signum": "Signum + eps", "adavar": "AdaVar"}
    if optimizer not in names:
        raise ValueError(
            f"no method of the paper is the optimiser '{optimizer}'; known are adamw, signum, sgd, {names}"
        )
    return names[optimizer]


def all_rows(records: Records) -> pd.DataFrame:
    """Every logged row, with `method` and SETTINGS."""
    frame = records("sweep")
    for column in ("beta", "beta1", "beta2", "momentum", "clip_value", "eps_inside", *SETTINGS):
        if column not in frame:
            frame[column] = np.nan
    described = frame.drop_duplicates("run").set_index("run")
    columns = ["optimizer", "clip_norm", "beta", "beta1", "beta2", "clip_value"]
    names = {run: method_of(row) for run, row in described[columns].to_dict("index").items()}
    frame["method"] = frame.run.map(names)
    frame["beta1"] = frame.beta1.fillna(frame.beta).fillna(frame.momentum)
    is_mollified = frame.method == "Signum + eps"
    frame["eps"] = frame.eps_inside.where(is_mollified, frame.eps)
    return frame


def all_runs(records: Records) -> pd.DataFrame:
    """One row per run: study, method, SETTINGS, seed, val_loss, diverged."""
    final = final_rows(all_rows(records))
    return final[["study", "method", *SETTINGS, "seed", "num_tokens", "val_loss", "diverged"]]


def part(runs: pd.DataFrame, study: str, *methods: str) -> pd.DataFrame:
    """Runs of some methods in one study."""
    return runs[(runs.study == study) & runs.method.isin(methods)]


def filled(runs: pd.DataFrame) -> pd.DataFrame:
    """Settings without missing values, so that equal settings compare equal; `unfilled` takes it back."""
    return runs.fillna(dict.fromkeys(SETTINGS, _NONE))


def unfilled(table: pd.DataFrame) -> pd.DataFrame:
    shown = [column for column in SETTINGS if column in table]
    return table.assign(**{column: table[column].where(table[column] != _NONE) for column in shown})


def most_seeds(runs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Of each group `by`, the settings that were run with the most seeds: a mean of few may be low by luck."""
    counts = runs.groupby([*by, *TUNED], dropna=False).seed.transform("nunique")
    best = counts.groupby([runs[column] for column in by], dropna=False).transform("max")
    return runs[counts == best]


def common_seeds(runs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Of each group `by`, the seeds that all of its settings share, so that no cell is compared by luck of the draw."""
    settings = runs.groupby([*by, *TUNED], dropna=False).ngroup()
    number = settings.groupby([runs[column] for column in by], dropna=False).transform("nunique")
    having = settings.groupby([*(runs[column] for column in by), runs.seed], dropna=False).transform("nunique")
    return runs[having == number]


def lr_curves(runs: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Seed means over `by` and lr; infinite where a seed diverged."""
    table = over_seeds(filled(runs), [*by, "lr"])
    return unfilled(table)[[*by, "lr", "val_loss", "num_seeds", "num_diverged"]]

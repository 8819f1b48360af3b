"""Logged rows of sweeps, ours or released -> runs with the paper's names of methods. No torch here."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from papers.signed_adam.settings import NAMES, OPTIMIZERS
from shared.artifacts.sweeps import final_rows

# Every setting that a method of the paper may have; absent ones are missing values.
SETTINGS = ["beta1", "beta2", "momentum", "lr", "weight_decay", "clip_norm", "eps", "gamma", "tau"]
SETTINGS += ["bias_correction", "gradient_init"]
# What a method is tuned over. `averaging` is its one averaging factor: a momentum, RMSprop's beta2, 0 for SignSGD.
TUNED = ["lr", "averaging", "weight_decay", "clip_norm"]
TABLE_1 = ["Adam", "Signum", "RMSprop", "SGD + Cclip", "SignSGD", "SGD + Gclip", "SGD"]  # in its order
METHODS = [*TABLE_1, "EMASign"]


def described(frame: pd.DataFrame) -> pd.DataFrame:
    """Every logged row of the sweeps: `method`, SETTINGS, `averaging`, `tokens` so far, `fresh` (see `measured`)."""
    frame = frame.assign(fresh=frame.fresh.eq(True) if "fresh" in frame else False)
    for column in ("alpha", "beta", "beta1", "beta2", "momentum", "clip_value", "eps_inside", *SETTINGS):
        if column not in frame:
            frame[column] = np.nan
    described = frame.drop_duplicates("run").set_index("run")
    columns = ["optimizer", "clip_norm", "beta", "beta1", "beta2", "clip_value"]
    frame["method"] = frame.run.map({run: _method(row) for run, row in described[columns].to_dict("index").items()})
    frame["beta1"] = frame.beta1.fillna(frame.beta).fillna(frame.momentum).mask(frame.method == "RMSprop", 0.0)
    frame["beta2"] = frame.beta2.fillna(frame.alpha).mask(frame.method == "SignSGD", 0.0)
    frame["averaging"] = frame.beta2.where(frame.method == "RMSprop", frame.beta1).mask(frame.method == "SignSGD", 0.0)
    frame["eps"] = frame.eps_inside.where(frame.method == "Signum + eps", frame.eps)
    frame["tokens"] = (frame.step * (frame.num_tokens / frame.num_steps)).astype(int)
    return frame


def ended(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per run of `described`: its names, SETTINGS and seed, its last validation loss, whether it diverged."""
    names = ["study", "method", *SETTINGS, "averaging", "seed", "fresh", "num_tokens", "val_loss", "diverged"]
    return final_rows(frame)[names]


def _method(row: dict) -> str:
    """Name of the paper for a run's optimiser and settings; RMSprop is Adam without momentum (section 3)."""
    optimizer = row["optimizer"]
    if optimizer in ("adam", "adamw"):
        if row["beta1"] > 0:
            return "Adam"
        return "RMSprop" if row["beta2"] > 0 else "SignSGD"
    if optimizer == "signum":
        return "Signum" if row["beta"] > 0 else "SignSGD"
    if optimizer in ("sgd", "heavy_ball"):
        if math.isfinite(row["clip_value"]):
            return "SGD + Cclip"
        return "SGD + Gclip" if math.isfinite(row["clip_norm"]) else "SGD"
    if optimizer not in NAMES:
        raise ValueError(f"no method of the paper is the optimiser '{optimizer}'; known are {', '.join(OPTIMIZERS)}")
    return NAMES[optimizer]


def of_studies(runs: pd.DataFrame, studies: Iterable[str], methods: Iterable[str]) -> pd.DataFrame:
    """Runs of some methods in some studies."""
    return runs[runs.study.isin(list(studies)) & runs.method.isin(list(methods))]


def equal_betas(runs: pd.DataFrame) -> pd.DataFrame:
    """Without Adam's runs at unequal betas: then every method has one averaging factor, and one size of grid."""
    return runs[(runs.method != "Adam") | (runs.beta1 == runs.beta2)]


def most_seeds(runs: pd.DataFrame, by: list[str], over: list[str]) -> pd.DataFrame:
    """Of each group `by`, the settings `over` that were run with the most seeds: a mean of few may be low by luck."""
    counts = runs.groupby([*by, *over], dropna=False).seed.transform("nunique")
    best = counts.groupby([runs[column] for column in by], dropna=False).transform("max")
    return runs[counts == best]


def common_seeds(runs: pd.DataFrame, by: list[str], over: list[str]) -> pd.DataFrame:
    """Of each group `by`, the seeds that all of its settings share, so that no cell is compared by luck of the draw."""
    settings = runs.groupby([*by, *over], dropna=False).ngroup()
    number = settings.groupby([runs[column] for column in by], dropna=False).transform("nunique")
    having = settings.groupby([*(runs[column] for column in by), runs.seed], dropna=False).transform("nunique")
    return runs[having == number]

"""Records of paths, task vectors and norms, and merges of some studies -> means over seeds. No torch here."""

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records


def averaged(rows: pd.DataFrame, keys: list[str], values: list[str], over: str = "seed") -> pd.DataFrame:
    """Means with standard errors, <value> and <value>_error, and the number of rows of each group, num_<over>s."""
    found = {name: (name, "mean") for name in values} | {f"{name}_error": (name, "sem") for name in values}
    return rows.groupby(keys).agg(**found, **{f"num_{over}s": (over, "size")}).reset_index()


def rebasin_lines(records: Records) -> pd.DataFrame:
    """Loss along the lines between independent models, mean over pairs."""
    return averaged(records("align", "lines"), ["lr", "noise", "aligned", "alpha"], ["loss"], over="pair")


def branch_paths(records: Records) -> pd.DataFrame:
    """Loss along the line between two branches, mean over seeds."""
    return averaged(records("branch", "path"), ["study", "lr", "alpha"], ["loss"])


def arithmetic_curves(records: Records) -> pd.DataFrame:
    """Loss and accuracy over the scale of task vectors, mean over seeds."""
    return averaged(records("branch", "arithmetic"), ["study", "method", "lr", "scale"], ["loss", "accuracy"])


def arithmetic_rises(records: Records) -> pd.DataFrame:
    """How far the loss at the largest scale of task vectors lies above its minimum over the scales, for each seed."""
    rows, keys = [], ["study", "method", "lr", "seed"]
    for key, own in records("branch", "arithmetic").groupby(keys):
        own = own.sort_values("scale")
        best = own.loc[own.loss.idxmin()]
        row = {"best_scale": best["scale"], "lowest": best.loss, "rise": own.loss.iloc[-1] - best.loss}
        rows.append(dict(zip(keys, key, strict=True)) | row)
    return pd.DataFrame(rows)


def layer_norms(records: Records) -> pd.DataFrame:
    """Squared norms of weights at the end and learning rates of their directions, geometric means over seeds."""
    rows, measured = records("branch", "layers"), ["squared_norm", "eta_eff"]
    rows["layer"] = rows.layer.str.removeprefix("1.").str.removesuffix(".weight")
    rows[measured] = np.log(rows[measured])
    table = averaged(rows, ["study", "lr", "weight_decay", "layer"], measured)
    return table.assign(**{name: np.exp(table[name]) for name in measured})


def best_merges(records: Records, settings: Settings) -> pd.DataFrame:
    """Two tasks: both learning rates and methods at the scale with the best normalised accuracy over seeds.

    kept: the fine-tuned models of both are near the best of their own task. Normalised accuracy says nothing of others:
    what has not learned its task is easily matched.
    """
    keys, single = ["method", "lr_1", "lr_2"], ["single_1", "single_2"]
    means = averaged(records("cross", "merged"), [*keys, "scale"], ["normalised", "accuracy", *single])
    kept = (means[single] >= means[single].max() - settings.thresholds.comparable).all(axis=1)
    return means.assign(kept=kept).loc[means.groupby(keys).normalised.idxmax()].reset_index(drop=True)


def best_merges_of_seeds(records: Records, tab_cross: pd.DataFrame) -> pd.DataFrame:
    """Two tasks at equal learning rates, each seed at the scale chosen for all."""
    rows = records("cross", "merged").merge(tab_cross[["method", "lr_1", "lr_2", "scale", "kept"]])
    return rows[rows.lr_1 == rows.lr_2].rename(columns={"lr_1": "lr"})


def merged_accuracies(tab_cross: pd.DataFrame) -> pd.DataFrame:
    """Two tasks: accuracy of every merge, and over what the fine-tuned models have of those that count."""
    found = {"normalised": tab_cross.normalised.where(tab_cross.kept), "absolute": tab_cross.accuracy}
    keys = tab_cross[["method", "lr_1", "lr_2"]]
    return pd.concat([keys.assign(measure=name, value=column) for name, column in found.items()], ignore_index=True)


def methods_of(records: Records) -> pd.DataFrame:
    """Ways of merging, and the average of one run over its past, beside the mean of the branches of the same seed."""
    rows, past = records("branch", "methods"), records("trajectory").rename(columns={"num_averaged": "chosen"})
    past["method"] = "SWA: " + past.method
    branches = rows[rows.method == "mean of the branches"].set_index(["lr", "seed"])
    beside = branches.reindex(pd.MultiIndex.from_frame(past[["lr", "seed"]]))
    past["acc_gain"] = past.accuracy.to_numpy() - beside.accuracy.to_numpy()
    past["loss_gain"] = beside.loss.to_numpy() - past.loss.to_numpy()
    measured = ["chosen", "accuracy", "loss", "acc_gain", "loss_gain"]
    return averaged(pd.concat([rows, past[past.lr.isin(rows.lr)]]), ["method", "lr"], measured)


def noise_of_augmentation(merges: pd.DataFrame) -> pd.DataFrame:
    """Gain and tr Sigma over the learning rate with augmentation, and of like merges of the grid without."""
    own, plain = merges[merges.study.isin(["gaussian", "shift", "unaugmented"])], merges[merges.study == "grid"]
    rows = pd.concat([plain[plain.batch_size.isin(own.batch_size) & plain.lr.isin(own.lr)], own])
    rows = rows[rows.main].assign(ratio=lambda t: t.trace / t.trace_plain)
    return averaged(rows, ["augmentation", "lr"], ["acc_gain", "loss_gain", "accuracy", "trace", "ratio"])


def decay_and_lr(tab_gains: pd.DataFrame, tab_layers: pd.DataFrame) -> pd.DataFrame:
    """Gain over weight decay; eta_eff is that of the first layer."""
    first = tab_layers[tab_layers.layer == "layers.0"][["study", "weight_decay", "eta_eff"]]
    own = tab_gains[tab_gains.study.isin(["decay_normalised", "decay_plain"])]
    return own.merge(first, on=["study", "weight_decay"], how="left")


def equal_noise(tab_gains: pd.DataFrame) -> pd.DataFrame:
    """Settings of the momentum study, with the noise scale of power 2."""
    rows = tab_gains[tab_gains.study == "momentum"]
    return rows.assign(noise_2=rows.lr / rows.batch_size / (1 - rows.momentum) ** 2)


def of_optimizers(means: pd.DataFrame) -> pd.DataFrame:
    """AdamW beside SGD at the same batch size, and a network with BatchNorm."""
    rows = means[means.study.isin(["adamw", "batchnorm", "grid"])]
    return rows[(rows.study != "grid") | rows.batch_size.isin(rows[rows.study == "adamw"].batch_size)]


def of_published(means: pd.DataFrame) -> pd.DataFrame:
    """Branches of published encoders, on each data set."""
    return means[means.study.isin(["transfer", "resisc45", "convnext"])]

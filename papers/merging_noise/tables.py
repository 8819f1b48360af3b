"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from papers.merging_noise.collapse import compared, half_decades
from papers.merging_noise.rows import GAINS, judged, over_seeds
from papers.merging_noise.stand_ins import stand_ins
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported

GRIDS = ("grid", "constant")


def merges(records: Records, settings: Settings) -> pd.DataFrame:
    """One row per merge."""
    return judged(records("branch", "pairs"), settings.studies, settings.thresholds)


def tab_pairs(merges: pd.DataFrame) -> pd.DataFrame:
    """One row per merge."""
    return merges


def tab_gains(means: pd.DataFrame) -> pd.DataFrame:
    """One row per setting."""
    return means


def means(merges: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with standard errors."""
    return over_seeds(merges)


def kept_rows(merges: pd.DataFrame) -> pd.DataFrame:
    """Rows of the two grids that count, with the bin of their noise."""
    rows = merges[merges.study.isin(GRIDS) & merges.kept & merges.main]
    return rows.assign(bin=half_decades(rows.noise))


def tab_bins(kept_rows: pd.DataFrame) -> pd.DataFrame:
    """Mean gains over half-decades of the noise scale: each seed's mean first, then over seeds."""
    columns = ["noise", *GAINS]
    seeds = kept_rows.groupby(["study", "bin", "seed"])[columns].mean().reset_index()
    found = {name: (name, "mean") for name in GAINS} | {f"{name}_error": (name, "sem") for name in GAINS}
    table = seeds.groupby(["study", "bin"]).agg(num_seeds=("seed", "size"), **found).reset_index()
    sizes = kept_rows.groupby(["study", "bin"]).agg(
        num_merges=("seed", "size"), noise=("noise", lambda x: np.exp(np.log(x).mean()))
    )
    return table.merge(sizes.reset_index(), on=["study", "bin"])


def tab_bin_seeds(kept_rows: pd.DataFrame) -> pd.DataFrame:
    """Each seed's mean gains in each bin."""
    return kept_rows.groupby(["study", "bin", "seed"])[list(GAINS)].mean().reset_index()


def tab_collapse(kept_rows: pd.DataFrame) -> pd.DataFrame:
    """R^2 of the gain on noise, learning rate and batch size; differences with bootstrap errors over seeds."""
    groups = [(study, own) for study, own in kept_rows.groupby("study")]
    return pd.DataFrame([{"study": study} | compared(own, name) for study, own in groups for name in GAINS])


def fig_rebasin(records: Records) -> pd.DataFrame:
    """Loss along the lines, mean over pairs."""
    groups = records("align", "lines").groupby(["lr", "noise", "aligned", "alpha"])
    return groups.agg(loss=("loss", "mean"), loss_error=("loss", "sem"), num_pairs=("pair", "size")).reset_index()


def fig_path(records: Records) -> pd.DataFrame:
    """Loss along the line between two branches, mean over seeds."""
    groups = records("branch", "path").groupby(["study", "lr", "alpha"])
    return groups.agg(loss=("loss", "mean"), loss_error=("loss", "sem"), num_seeds=("seed", "size")).reset_index()


def fig_1(means: pd.DataFrame) -> pd.DataFrame:
    """The grid of learning rates and batch sizes; the median over checkpoints where there are several."""
    own = _of(means, "grid")
    found = {name: (name, "median") for name in ["noise", *GAINS, *(f"{name}_error" for name in GAINS)]}
    return own[own.main].groupby(["batch_size", "lr"]).agg(kept=("kept", "all"), **found).reset_index()


def fig_schedules(tab_bins: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Settings that count of both schedules; means over half-decades stand beside them, under `num_merges`."""
    single = _of(means, *GRIDS)
    single = single[single.kept & single.main].assign(what="setting")
    return pd.concat([single, tab_bins.assign(what="half-decade")], ignore_index=True)


def fig_2(tab_pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per checkpoint and seed."""
    return _of(tab_pairs, "forks")


def fig_momentum(tab_gains: pd.DataFrame) -> pd.DataFrame:
    """Settings of the momentum study, with the noise scale of power 2."""
    rows = _of(tab_gains, "momentum")
    return rows.assign(noise_2=rows.lr / rows.batch_size / (1 - rows.momentum) ** 2)


def fig_decay(tab_gains: pd.DataFrame, tab_layers: pd.DataFrame) -> pd.DataFrame:
    """Gain over weight decay; eta_eff is that of the first layer."""
    first = tab_layers[tab_layers.layer == "layers.0"][["study", "weight_decay", "eta_eff"]]
    return _of(tab_gains, "decay_normalised", "decay_plain").merge(first, on=["study", "weight_decay"], how="left")


def fig_augmentation(merges: pd.DataFrame) -> pd.DataFrame:
    """Gain and tr Sigma over the learning rate at one batch size, with augmentation and without."""
    own, plain = _of(merges, "gaussian", "shift", "unaugmented"), _of(merges, "grid")
    rows = pd.concat([plain[plain.batch_size.isin(own.batch_size) & plain.lr.isin(own.lr)], own])
    rows = rows[rows.main]
    rows["ratio"] = rows.trace / rows.trace_plain
    found = {name: (name, "mean") for name in ("acc_gain", "loss_gain", "accuracy", "trace", "ratio")}
    found |= {f"{name}_error": (name, "sem") for name in ("acc_gain", "loss_gain", "ratio")}
    return rows.groupby(["augmentation", "lr"]).agg(num_seeds=("seed", "size"), **found).reset_index()


def fig_cka(means: pd.DataFrame) -> pd.DataFrame:
    """Settings of the grid that count."""
    rows = _of(means, "grid")
    return rows[rows.kept & rows.main]


def fig_optimizers(means: pd.DataFrame) -> pd.DataFrame:
    """AdamW beside SGD at the same batch size, and a network with BatchNorm."""
    rows = _of(means, "adamw", "batchnorm", "grid")
    return rows[(rows.study != "grid") | rows.batch_size.isin(rows[rows.study == "adamw"].batch_size)]


def _single(study: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda means: _of(means, study)


fig_language, fig_transfer, fig_split, fig_many = map(_single, ("language", "transfer", "split", "many"))


def _of(table: pd.DataFrame, *studies: str) -> pd.DataFrame:
    return table[table.study.isin(studies)].reset_index(drop=True)


def arithmetic(records: Records) -> pd.DataFrame:
    """Losses over the scale of task vectors."""
    return records("branch", "arithmetic")


def fig_7(arithmetic: pd.DataFrame) -> pd.DataFrame:
    """Loss and accuracy over the scale, mean over seeds."""
    groups = arithmetic.groupby(["study", "method", "lr", "scale"])
    found = {"loss": ("loss", "mean"), "loss_error": ("loss", "sem"), "accuracy": ("accuracy", "mean")}
    return groups.agg(**found, num_seeds=("seed", "size")).reset_index()


def tab_arithmetic(arithmetic: pd.DataFrame) -> pd.DataFrame:
    """How far the loss at the largest scale lies above its minimum over the scales, for each seed."""
    rows = []
    for key, own in arithmetic.groupby(["study", "method", "lr", "seed"]):
        own = own.sort_values("scale")
        best = own.loc[own.loss.idxmin()]
        row = dict(zip(["study", "method", "lr", "seed"], key, strict=True))
        rows.append(row | {"best_scale": best["scale"], "lowest": best.loss, "rise": own.loss.iloc[-1] - best.loss})
    return pd.DataFrame(rows)


def tab_cross(records: Records) -> pd.DataFrame:
    """Both learning rates and methods at the scale with the best normalised accuracy in the mean over seeds."""
    keys = ["method", "lr_1", "lr_2"]
    found = {name: (name, "mean") for name in ("normalised", "accuracy", "single")}
    found |= {"normalised_error": ("normalised", "sem"), "num_seeds": ("seed", "size")}
    means = records("cross", "merged").groupby([*keys, "scale"]).agg(**found).reset_index()
    return means.loc[means.groupby(keys).normalised.idxmax()].reset_index(drop=True)


def tab_cross_seeds(records: Records, tab_cross: pd.DataFrame) -> pd.DataFrame:
    """Equal learning rates on both tasks, each seed at the scale chosen for all."""
    keys = ["method", "lr_1", "lr_2", "scale"]
    rows = records("cross", "merged").merge(tab_cross[keys], on=keys)
    return rows[rows.lr_1 == rows.lr_2].rename(columns={"lr_1": "lr"})


def tab_layers(records: Records) -> pd.DataFrame:
    """Squared norms of weights at the end and learning rates of their directions, geometric means over seeds."""
    rows = records("branch", "layers").assign(
        layer=lambda t: t.layer.str.removeprefix("1.").str.removesuffix(".weight")
    )
    logs = rows.assign(**{name: np.log(rows[name]) for name in ("squared_norm", "eta_eff")})
    groups = logs.groupby(["study", "lr", "weight_decay", "layer"])
    table = groups.agg(squared_norm=("squared_norm", "mean"), eta_eff=("eta_eff", "mean"), num_seeds=("seed", "size"))
    return table.assign(**{name: np.exp(table[name]) for name in ("squared_norm", "eta_eff")}).reset_index()


def tab_reported(reported: Reported, tab_gains: pd.DataFrame, tab_cross: pd.DataFrame) -> pd.DataFrame:
    """The paper's numbers beside ours of the study that stands for them; empty where there is none."""
    rows = pd.DataFrame(stand_ins(tab_gains, tab_cross), columns=["item", "quantity", "stands_for", "ours"])
    table = reported.beside(rows, "Gains", rows="item", columns={"value": "reported"})
    return table.fillna({"quantity": "", "stands_for": "not rebuilt"})

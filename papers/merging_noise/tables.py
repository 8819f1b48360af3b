"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from papers.merging_noise.collapse import explained, half_decades, optimum
from shared.artifacts.config import Settings
from shared.artifacts.estimates import bootstrap
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported

SETTING = ["study", "batch_size", "lr", "lr_after", "momentum", "weight_decay", "fork", "num_merged", "statistics"]
MEASURED = ["accuracy", "accuracy_merged", "acc_gain", "loss", "loss_gain", "train_loss", "distance", "cka"]
GRIDS = ("grid", "constant")
GAINS = ("acc_gain", "loss_gain")


def merges(records: Records, settings: Settings) -> pd.DataFrame:
    """One row per merge; kept: none of the setting's runs diverged, and their accuracy is near the study's best.

    Language models are kept where their loss is.
    """
    table = records("branch", "pairs")
    gone = table.groupby(SETTING, dropna=False).diverged.transform("any").astype(bool)
    means = table.groupby(SETTING)[["accuracy", "loss"]].transform("mean")
    best = means.groupby(table.study).accuracy.transform("max") - settings.thresholds.comparable
    lowest = means.groupby(table.study).loss.transform("min") + settings.thresholds.comparable_nats
    near = (means.accuracy >= best).where(means.accuracy.notna(), means.loss <= lowest)
    titles = {study.role or name: study.title for name, study in settings.studies.items() if study is not None}
    reset = table.study.isin(table.study[table.statistics == "reset"])  # averaged ones stand beside them, no more
    main = ~reset | (table.statistics == "reset")
    return table.assign(kept=near.astype(bool) & ~gone, main=main, title=table.study.map(titles))


def tab_pairs(merges: pd.DataFrame) -> pd.DataFrame:
    """One row per merge."""
    return merges


def tab_gains(means: pd.DataFrame) -> pd.DataFrame:
    """One row per setting."""
    return means


def means(merges: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with standard errors."""
    groups = merges.groupby([*SETTING, "title", "augmentation", "kept", "main"], sort=False)
    found = {name: (name, "mean") for name in [*MEASURED, "noise"]}
    found |= {f"{name}_error": (name, "sem") for name in GAINS}
    found |= {"num_seeds": ("seed", "size"), "num_diverged": ("diverged", "sum")}
    return groups.agg(**found).reset_index()


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
    rows = []
    for (study, own), measure in ((pair, name) for pair in kept_rows.groupby("study") for name in GAINS):
        by_seed = [part for _, part in own.groupby("seed")]

        def fits(parts: list[pd.DataFrame], measure: str = measure) -> dict[str, float]:
            part = pd.concat(parts)
            found = {f"r2_{x}": explained(part[x], part[measure], degree)
                     for x, degree in (("noise", 3), ("lr", 3), ("batch_size", 2))}  # fmt: skip
            return found | {"optimum": optimum(part.noise, part[measure])}

        found = fits(by_seed)
        row = {"study": study, "measure": measure, "num_merges": len(own), "num_seeds": len(by_seed)} | found
        for other in ("lr", "batch_size"):
            spread = bootstrap(by_seed, lambda p, o=other, f=fits: f(p)["r2_noise"] - f(p)[f"r2_{o}"], num_draws=200)
            row |= {f"over_{other}": found["r2_noise"] - found[f"r2_{other}"], f"over_{other}_error": spread.noise}
        logs = bootstrap(by_seed, lambda p, f=fits: np.log10(f(p)["optimum"]), num_draws=200)
        rows.append(row | {"optimum_log10_error": logs.noise})
    return pd.DataFrame(rows)


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


def fig_language(tab_gains: pd.DataFrame) -> pd.DataFrame:
    """Language models."""
    return _of(tab_gains, "language")


def fig_transfer(tab_gains: pd.DataFrame) -> pd.DataFrame:
    """Fine-tuned from a base."""
    return _of(tab_gains, "transfer")


def fig_cka(means: pd.DataFrame) -> pd.DataFrame:
    """Settings of the grid that count."""
    rows = _of(means, "grid")
    return rows[rows.kept & rows.main]


def fig_split(tab_gains: pd.DataFrame) -> pd.DataFrame:
    """Noise before and after the fork."""
    return _of(tab_gains, "split")


def fig_many(tab_gains: pd.DataFrame) -> pd.DataFrame:
    """Number of branches in a merge."""
    return _of(tab_gains, "many")


def fig_optimizers(means: pd.DataFrame) -> pd.DataFrame:
    """AdamW beside SGD at the same batch size, and a network with BatchNorm."""
    rows = _of(means, "adamw", "batchnorm", "grid")
    return rows[(rows.study != "grid") | rows.batch_size.isin(rows[rows.study == "adamw"].batch_size)]


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


def stand_ins(gains: pd.DataFrame, cross: pd.DataFrame) -> Iterator[tuple[str, str, str, float]]:
    """(item of reported.csv, what is measured, our setting, our number)."""
    grid = gains[(gains.study == "grid") & gains.kept]
    own = grid[grid.batch_size == 16]
    for item, column, pick in (("eta 2e-1, CIFAR-100", "acc_gain", "idxmax"), ("eta 1e-2, CIFAR-100", "lr", "idxmin")):
        if len(own):
            row = own.loc[getattr(own[column], pick)()]
            yield item, "acc_gain, pp", f"digits MLP, B = 16, lr {row.lr:g}", row.acc_gain
    for item, size in (("B 16, CIFAR-100", 16), ("B 256, CIFAR-100", 256)):
        own = grid[(grid.batch_size == size) & np.isclose(grid.lr, 1.0)]
        if len(own):
            yield item, "acc_gain, pp", f"digits MLP, lr 1, B = {size}", own.acc_gain.iloc[0]
    momentum = gains[(gains.study == "momentum") & np.isclose(gains.lr, 0.05)]
    for item, value in (("mu 0.9, CIFAR-100", 0.9), ("low mu, CIFAR-100", 0.0)):
        own = momentum[momentum.momentum == value]
        if len(own):
            yield item, "acc_gain, pp", f"digits MLP, lr 0.05, mu {value:g}", own.acc_gain.iloc[0]
    decay = gains[(gains.study == "decay_normalised") & gains.kept]
    if len(decay):
        best, none = decay.loc[decay.acc_gain.idxmax()], decay[decay.weight_decay == 0]
        yield "lam 5e-4, TinyImageNet", "acc_gain, pp", f"digits MLP, lam {best.weight_decay:g}", best.acc_gain
        for row in none.itertuples():
            yield "smaller lam, TinyImageNet", "acc_gain, pp", "digits MLP, lam 0", row.acc_gain
    language = gains[gains.study == "language"]
    if len(language):
        yield "GPT on TinyStories, eta 1e-3", "loss, nats", "GPT on docstrings, best lr", language.loss.min()
    transfer = gains[gains.study == "transfer"]
    if len(transfer) > 2:
        r = float(np.corrcoef(transfer.acc_gain, transfer.lr)[0, 1])
        yield "Pearson r of gain and eta, CLIP on FMoW", "r", "pretrained MLP, all lr", r
    for item, method in (("best TIES, FMoW and RESISC45", "TIES"), ("best TA, FMoW and RESISC45", "task arithmetic")):
        own = cross[cross.method == method]
        if len(own):
            yield item, "normalised accuracy, %", "two tasks on digits", own.normalised.max()

"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import numpy as np
import pandas as pd

from papers.symmetry_lmc.names import FIXED, LM, NORMAL, SOFT, SOFT_WIDE, TABLE_2, WIDE
from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported


def _studies(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """With each study's title and the data set of the paper that it stands for."""
    present = {name: study for name, study in settings.studies.items() if study is not None}
    titles = {name: study.title for name, study in present.items()}
    datasets = {name: study.dataset for name, study in present.items()}
    return frame.assign(title=frame.study.map(titles), dataset=frame.study.map(datasets))


def paths(records: Records, settings: Settings) -> pd.DataFrame:
    """Loss along the line of every pair, by study and method."""
    return _studies(records("align", "paths"), settings)


def _barriers(paths: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row per path: barrier, losses of its ends (b: lam = 0) and of its middle."""
    rows = []
    for key, own in paths.groupby(keys, sort=False):
        own = own.sort_values("lam")
        lam, loss = own.lam.to_numpy(), own.loss.to_numpy()
        excess = loss - (1 - lam) * loss[0] - lam * loss[-1]
        row = dict(zip(keys, key, strict=True)) | {"barrier": max(excess.max(), 0.0)}
        rows.append(row | {"loss_a": loss[-1], "loss_b": loss[0], "middle": loss[np.isclose(lam, 0.5)].mean()})
    return pd.DataFrame(rows)


def tab_pairs(paths: pd.DataFrame) -> pd.DataFrame:
    """Barrier of every pair by every method."""
    return _barriers(paths, ["study", "method", "pair"])


def tab_2(tab_pairs: pd.DataFrame, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Barriers by method and data set, beside the paper's Table 2."""
    own = _studies(tab_pairs[tab_pairs.method.isin(TABLE_2)], settings)
    groups = own.groupby(["dataset", "study", "method"], sort=False).barrier
    table = groups.agg(barrier="mean", standard_error="sem", num_pairs="size").reset_index()
    table = reported.beside(table, "Table 2", rows="method", across="dataset", value="reported_barrier")
    table = reported.beside(table, "Table 2, error", rows="method", across="dataset", value="reported_error")
    return table.fillna({"study": "not rebuilt"})


def tab_3(records: Records, settings: Settings, reported: Reported) -> pd.DataFrame:
    """Settings and quality of the parents, beside the paper's Table 3."""
    logged = records("train")
    ends = logged[(logged.phase == "eval") & (logged.width == 0)]
    rows = []
    for study, own in ends.groupby("study", sort=False):
        described, first = settings.studies[study], own.iloc[0]
        row = {"study": study, "dataset": described.dataset, "num_params": first.num_params, "num_models": len(own)}
        row |= {"lr": first.lr, "weight_decay": first.weight_decay, "batch_size": first.batch_size}
        row |= {"num_steps": first.num_steps, "test_loss": own.val_loss.mean(), "test_loss_error": own.val_loss.sem()}
        rows.append(row | {"accuracy": own.val_accuracy.mean(), "accuracy_error": own.val_accuracy.sem()})
    names = ("lr", "weight_decay", "batch_size", "test_loss", "accuracy")
    columns = {name: f"reported_{name}" for name in names}
    return reported.beside(pd.DataFrame(rows), "Table 3", rows="dataset", columns=columns).fillna(
        {"study": "not rebuilt"}
    )


def tab_checks(records: Records) -> pd.DataFrame:
    """Largest change of a logit of B by each method that keeps functions."""
    checks = records("align", "checks")
    groups = checks.groupby(["study", "method"], sort=False).logit_error
    return groups.agg(largest_logit_change="max", num_pairs="size").reset_index()


def tab_moved(records: Records) -> pd.DataFrame:
    """Share of heads and hidden units that learned matching reassigned."""
    return records("align", "moved")


def tab_angles(fig_5: pd.DataFrame) -> pd.DataFrame:
    """Median absolute eigen-angle of both rotations, by pair."""
    median = fig_5.groupby(["study", "pair", "matrix"], sort=False)["size"].median()
    wide = median.unstack("matrix").reset_index()
    return wide.rename(columns={"O_WM": "median_wm", "O_diff": "median_diff"})


def tab_starts(records: Records, settings: Settings) -> pd.DataFrame:
    """Barriers along learned matching from both starts, by pair."""
    return _studies(records("align", "curves"), settings)


def tab_sweeps(records: Records, settings: Settings) -> pd.DataFrame:
    """Barriers after each sweep of weight matching, by pair."""
    return _studies(records("align", "sweeps"), settings)


def tab_simplex(records: Records) -> pd.DataFrame:
    """Largest deviation from the plane over the simplex of three models."""
    merged = records("merge")
    groups = merged.groupby(["study", "method", "triple"], sort=False)
    return groups.agg(largest=("deviation", "max"), smallest=("deviation", "min")).reset_index()


def tab_widths(records: Records) -> pd.DataFrame:
    """Barrier from a narrow model into a wide one, by width, pair and method."""
    found = _barriers(records("widen"), ["width", "wide", "method", "pair"])
    return found.rename(columns={"loss_b": "loss_narrow", "loss_a": "loss_wide"})


def _mean_path(paths: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean over pairs with its smallest and largest."""
    groups = paths.groupby([*keys, "method", "lam"], sort=False)
    found = groups.agg(
        loss=("loss", "mean"),
        low=("loss", "min"),
        high=("loss", "max"),
        error=("loss", "sem"),
        num_pairs=("loss", "size"),
    )
    return found.reset_index()


def fig_3(paths: pd.DataFrame) -> pd.DataFrame:
    """Loss along the paths of the main methods."""
    return _mean_path(paths[paths.method.isin(TABLE_2)], ["study", "title"])


def fig_barriers(tab_2: pd.DataFrame, tab_pairs: pd.DataFrame) -> pd.DataFrame:
    """Every pair's barrier beside the paper's mean."""
    own = tab_pairs[tab_pairs.method.isin(TABLE_2)][["study", "method", "pair", "barrier"]]
    theirs = tab_2[["study", "method", "reported_barrier"]]
    return own.merge(theirs, on=["study", "method"], how="left")


def fig_3c(records: Records) -> pd.DataFrame:
    """Loss from narrow models (lam = 0) to wide ones."""
    return _mean_path(records("widen"), ["width", "wide"])


def fig_4(records: Records) -> pd.DataFrame:
    """Deviation from the plane over the simplex, mean over triples."""
    merged = records("merge")
    groups = merged.groupby(["study", "method", "lam1", "lam2", "lam3"], sort=False).deviation
    return groups.agg(deviation="mean", error="sem", num_triples="size").reset_index()


def fig_5(records: Records) -> pd.DataFrame:
    """Eigen-angles in radians, with their sizes."""
    return records("align", "angles").assign(size=lambda table: table.angle.abs())


def fig_6(paths: pd.DataFrame) -> pd.DataFrame:
    """Loss along the path by the distribution of lam in training."""
    sampled = set(paths[paths.method.isin([FIXED, WIDE, NORMAL])].study)
    return _mean_path(
        paths[paths.method.isin([LM, FIXED, WIDE, NORMAL]) & paths.study.isin(sampled)], ["study", "title"]
    )


def fig_7(tab_sweeps: pd.DataFrame) -> pd.DataFrame:
    """Barrier over sweeps of weight matching."""
    groups = tab_sweeps.groupby(["study", "title", "group", "sweep"], sort=False).barrier
    return groups.agg(barrier="mean", error="sem", num_pairs="size").reset_index()


def fig_8(tab_starts: pd.DataFrame) -> pd.DataFrame:
    """Losses along learned matching from both starts."""
    groups = tab_starts.groupby(["study", "title", "method", "step"], sort=False)
    found = groups.agg(
        train=("train_loss", "mean"), test=("test_loss", "mean"), train_error=("train_loss", "sem"),
        test_error=("test_loss", "sem"), num_pairs=("test_loss", "size"),
    ).reset_index()  # fmt: skip
    keys, parts = ["study", "title", "method", "step", "num_pairs"], []
    for split in ("train", "test"):
        own = found[[*keys, split, f"{split}_error"]].set_axis([*keys, "loss", "error"], axis=1)
        parts.append(own.assign(split=split))
    return pd.concat(parts, ignore_index=True)


def fig_9(paths: pd.DataFrame) -> pd.DataFrame:
    """Loss along the path with hard and with soft permutations."""
    softened = set(paths[paths.method == SOFT].study)
    return _mean_path(paths[paths.method.isin([LM, SOFT, SOFT_WIDE]) & paths.study.isin(softened)], ["study", "title"])

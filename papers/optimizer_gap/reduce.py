"""Records of the sweeps -> one row per run -> the best setting of a method at each batch size. No torch here."""

import numpy as np
import pandas as pd

from shared.artifacts.records import Records
from shared.artifacts.sweeps import final_rows, tuned

BETA2 = 0.95  # the fixed column of Adam
COLUMNS = ("momentum", "beta2", "beta", "clip_share")  # settings that not every optimiser has


def runs_of(records: Records, sweep: str) -> pd.DataFrame:
    """One row per run of a sweep: its settings and its losses at the end."""
    frame = records("train")
    runs = final_rows(frame[frame.sweep == sweep])
    for column in COLUMNS:
        if column not in runs:
            runs[column] = np.nan
    return runs


def best(runs: pd.DataFrame, optimizer: str, cell: list[str], over: list[str], **fixed: float) -> pd.DataFrame:
    """The best setting of `optimizer` in each cell, among runs with the values `fixed`; see `tuned`."""
    chosen = runs[runs.optimizer == optimizer]
    for name, value in fixed.items():
        chosen = chosen[np.isclose(chosen[name], value)]
    return tuned(chosen, cell, "val_loss", over)


def best_by_batch(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Method -> its best setting per batch size, index batch_size; momentum and beta2 are tuned with the rate."""
    methods = {
        "SGD": ("sgd_ema", ["lr", "momentum"], {}),
        "Adam": ("adam", ["lr"], {"beta2": BETA2}),
        "Adam, beta2 tuned": ("adam", ["lr", "beta2"], {}),
        "Signum": ("signum", ["lr"], {}),
    }
    found = {}
    for method, (optimizer, over, fixed) in methods.items():
        if (runs.optimizer == optimizer).any():
            table = best(runs, optimizer, ["batch_size"], over, **fixed)
            found[method] = table.assign(beta2=fixed.get("beta2", table.get("beta2", np.nan))).set_index("batch_size")
    return found


def of_setting(runs: pd.DataFrame, optimizer: str, batch_size: int, setting: pd.Series) -> pd.DataFrame:
    """All seeds of one optimiser at one batch size with the lr, momentum and beta2 that `setting` names."""
    chosen = runs[(runs.optimizer == optimizer) & (runs.batch_size == batch_size)]
    for name in ("lr", "momentum", "beta2"):
        if name in setting and pd.notna(setting[name]):
            chosen = chosen[np.isclose(chosen[name], setting[name])]
    return chosen


def edges(**found: str) -> str:
    """Names of those optima that lie at an edge of their grid, joined; empty if none does."""
    return " ".join(name for name, edge in found.items() if edge != "inside")

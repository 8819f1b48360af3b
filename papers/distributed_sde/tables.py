"""Records -> tables; paper.yaml says which columns each has."""

import numpy as np
import pandas as pd

NAMES = {"num_clients": "N", "l0": "L0", "l1": "L1"}  # as the paper writes them


def fig_sanity(records) -> pd.DataFrame:
    return records("exact", "sanity").sort_values(["function", "eta", "x0", "model", "k"])


def tab_order(records) -> pd.DataFrame:
    """Weak errors of the SDE models and the order from the error at twice the step."""
    frame = records("exact", "order")
    frame["weak_error"] = (frame.discrete - frame.continuous).abs()
    frame = frame.sort_values(["model", "eta"], ascending=[True, False])
    before = frame.groupby("model")[["eta", "weak_error"]].shift()
    frame["order"] = np.log(before.weak_error / frame.weak_error) / np.log(before.eta / frame.eta)
    return frame


def tab_2(records) -> pd.DataFrame:
    return records("exact", "bounds").rename(columns=NAMES)


def fig_threshold(records) -> pd.DataFrame:
    return records("linear", "threshold").rename(columns=NAMES)


def tab_typical(records) -> pd.DataFrame:
    return records("linear", "typical")


def tab_stationary(records) -> pd.DataFrame:
    return records("linear", "stationary").rename(columns=NAMES | {"var_mc_se": "standard_error"})


def tab_scaling(records) -> pd.DataFrame:
    return records("linear", "scaling")


def fig_bound(records) -> pd.DataFrame:
    return records("linear", "bound")


def fig_toy(records) -> pd.DataFrame:
    return records("toy").rename(columns=NAMES)


def fig_track(records) -> pd.DataFrame:
    return records("paths", "track")


def tab_floor(records) -> pd.DataFrame:
    return records("paths", "floor").rename(columns=NAMES)


def fig_dcsgd(records) -> pd.DataFrame:
    frame = records("network")
    return frame[frame.study == "dcsgd"].rename(columns={"level": "omega"})


def fig_dsign(records) -> pd.DataFrame:
    frame = records("network")
    return frame[frame.study == "dsign"].rename(columns={"level": "scale"})


def fig_real(records) -> pd.DataFrame:
    return records("minibatch")


def tab_processes(records) -> pd.DataFrame:
    """Processes beside the simulation: same draws, and in law (z of the mean loss against independent runs)."""
    frame = records("processes")
    keys, real = ["method", "step"], frame.loss_processes.notna()
    same, other = frame[real].groupby(keys), frame[~real].groupby(keys).loss_simulated
    error = (same.loss_processes.var() / same.size() + other.var() / other.size()) ** 0.5
    table = pd.DataFrame(
        {
            "loss_processes": same.loss_processes.mean(),
            "loss_same_draws": same.loss_simulated.mean(),
            "largest_difference": same.largest_difference.max(),
            "loss_other_draws": other.mean(),
            "z": (same.loss_processes.mean() - other.mean()) / error,
            "num_runs": same.size(),
            "num_other_runs": other.size(),
        }
    )
    return table.reset_index()

"""Records -> tables. One function per artifact of paper.yaml, each (records, settings) -> tidy frame."""

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records


def _part(records: Records, step: str, part: str) -> pd.DataFrame:
    """Rows of one part of a step's record, with the columns that it has."""
    frame = records(step)
    return frame[frame.part == part].drop(columns="part").reset_index(drop=True)


def fig_sanity(records: Records, settings: Settings) -> pd.DataFrame:
    columns = ["function", "model", "eta", "x0", "k", "t", "x", "f", "status"]
    frame = _part(records, "exact", "sanity")[columns].astype({"k": int})
    return frame.sort_values(["function", "eta", "x0", "model", "k"])


def tab_order(records: Records, settings: Settings) -> pd.DataFrame:
    """Weak errors of the SDE models and the ratio to the error at twice the step."""
    frame = _part(records, "exact", "order")[["model", "eta", "discrete", "continuous"]]
    frame["weak_error"] = (frame.discrete - frame.continuous).abs()
    frame = frame.sort_values(["model", "eta"], ascending=[True, False])
    before = frame.groupby("model")[["eta", "weak_error"]].shift()
    frame["order"] = np.log(before.weak_error / frame.weak_error) / np.log(before.eta / frame.eta)
    return frame


def tab_2(records: Records, settings: Settings) -> pd.DataFrame:
    frame = _part(records, "exact", "bounds").rename(columns={"num_clients": "N", "l0": "L0", "l1": "L1"})
    columns = "method nu omega s0 s1 N d L0 L1 grad_norm eps bound_classical bound_corrected"
    return frame[columns.split()].astype({"N": int, "d": int})


def fig_threshold(records: Records, settings: Settings) -> pd.DataFrame:
    frame = _part(records, "linear", "threshold").rename(columns={"num_clients": "N"}).astype({"N": int, "d": int})
    columns = "axis omega d N s1 lam kappa eta_star_theory eta_star_classical eta_star_measured ci_low ci_high"
    return frame[columns.split()]


def tab_typical(records: Records, settings: Settings) -> pd.DataFrame:
    columns = "eta_over_star num_steps num_runs log10_exact_mean log10_mean log10_median share_growing"
    columns += " one_step_ratio one_step_exact"
    return _part(records, "linear", "typical")[columns.split()].astype({"num_steps": int, "num_runs": int})


def tab_stationary(records: Records, settings: Settings) -> pd.DataFrame:
    frame = _part(records, "linear", "stationary").rename(columns={"num_clients": "N"}).astype({"N": int})
    return frame[["model", "eta", "lam", "s", "N", "omega", "var_formula", "var_mc", "var_mc_se"]]


def tab_scaling(records: Records, settings: Settings) -> pd.DataFrame:
    return _part(records, "linear", "scaling")[
        ["rule", "kap", "beta", "delta", "a", "floor_before", "floor_after", "ratio", "predicted"]
    ]


def fig_bound(records: Records, settings: Settings) -> pd.DataFrame:
    columns = "function omega k t average_g2 standard_error last_g2 bound share_admitted num_runs num_diverged"
    frame = _part(records, "linear", "bound")[columns.split()]
    return frame.astype({"k": int, "num_runs": int, "num_diverged": int})


def fig_toy(records: Records, settings: Settings) -> pd.DataFrame:
    columns = "method schedule lr noise scale omega x0 k median_g2 q25 q75 median_g2_alive share_diverged n_runs seed"
    return records("toy")[[*columns.split(), "num_clients", "d"]].rename(columns={"num_clients": "N"})


def fig_track(records: Records, settings: Settings) -> pd.DataFrame:
    columns = (
        "method sde eta omega k f_discrete se_discrete f_sde se_sde rel_err n_paths_exploded n_runs_diverged n_paths"
    )
    counts = dict.fromkeys(["k", "n_paths_exploded", "n_runs_diverged", "n_paths"], int)
    return _part(records, "paths", "track")[columns.split()].astype(counts)


def tab_floor(records: Records, settings: Settings) -> pd.DataFrame:
    frame = _part(records, "paths", "floor").rename(columns={"num_clients": "N"}).astype({"N": int})
    return frame[["eta", "scale", "N", "nu", "floor_measured", "standard_error", "floor_classical", "floor_corrected"]]


def _network(records: Records, study: str, level: str) -> pd.DataFrame:
    frame = records("network")
    frame = frame[frame.study == study].rename(columns={"level": level})
    columns = ["rule", level, "seed", "step", "loss", "grad_norm", "status", "diverged_at", "max_over_initial"]
    return frame[columns + (["kappa"] if level == "omega" else [])]


def fig_dcsgd(records: Records, settings: Settings) -> pd.DataFrame:
    return _network(records, "dcsgd", "omega")


def fig_dsign(records: Records, settings: Settings) -> pd.DataFrame:
    return _network(records, "dsign", "scale")


def fig_real(records: Records, settings: Settings) -> pd.DataFrame:
    columns = "network study rule level seed step loss grad_norm status diverged_at max_over_initial"
    return records("minibatch")[columns.split()]


def tab_processes(records: Records, settings: Settings) -> pd.DataFrame:
    """Processes beside the simulation: same draws, and in law (z of the mean loss against independent runs)."""
    rows = []
    for (method, step), part in records("processes").groupby(["method", "step"]):
        same, other = part[part.loss_processes.notna()], part[part.loss_processes.isna()]
        error = (same.loss_processes.var() / len(same) + other.loss_simulated.var() / len(other)) ** 0.5
        gap = same.loss_processes.mean() - other.loss_simulated.mean()
        rows.append(
            {
                "method": method,
                "step": step,
                "loss_processes": same.loss_processes.mean(),
                "loss_same_draws": same.loss_simulated.mean(),
                "largest_difference": same.largest_difference.max(),
                "loss_other_draws": other.loss_simulated.mean(),
                "z": gap / error,
                "num_runs": len(same),
                "num_other_runs": len(other),
            }
        )
    return pd.DataFrame(rows)

"""Records -> tables, where a table is more than columns of a record."""

import pandas as pd


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

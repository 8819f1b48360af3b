"""Records -> tables. A function gets what its parameters name; columns and their order are those of paper.yaml."""

import pandas as pd

from papers.symmetry_lmc.method import stationary_loss


def fig_losses(records) -> pd.DataFrame:
    """Loss of every seed beside the closed form."""
    runs = records("descend")
    return runs.assign(closed_form=[stationary_loss(lr) for lr in runs.lr])


def tab_stationary(fig_losses, reported) -> pd.DataFrame:
    """Mean over seeds with its standard error, the closed form and the paper's number."""
    groups = fig_losses.groupby("lr")
    table = groups.loss.agg(loss="mean", standard_error="sem", num_seeds="size").reset_index()
    table["closed_form"] = [stationary_loss(lr) for lr in table.lr]
    return reported.beside(table, "Table 1", rows="lr", columns={"loss": "reported_loss"})

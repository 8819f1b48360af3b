"""Tables -> figures: the same table gives the same pixels."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from shared.artifacts import plots


def fig_losses(table: pd.DataFrame) -> Figure:
    """Loss over the learning rate, seeds as a band, and the closed form."""
    figure, ax = plt.subplots(figsize=(4.2, 2.8))
    plots.seeds(ax, table, "lr", "loss", label="measured, seeds as band")
    theory = table.drop_duplicates("lr").sort_values("lr")
    ax.plot(theory.lr, theory.closed_form, "--", color="0.3", label="closed form")
    ax.set(xlabel="learning rate", ylabel="stationary loss", yscale="log")
    plots.value_ticks(ax.xaxis, table.lr)
    plots.log_ticks(ax.yaxis, (1, 2, 5))
    ax.legend()
    return figure

"""Panels of networks' losses over the steps: bands over seeds, runs that leave the axis, the last factor of ten."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.distributed_sde.labels import in_symbols
from papers.distributed_sde.measures import STALL, last_decade_means, leaving_curves, over_seeds
from papers.distributed_sde.network_settings import NUM_CLASSES
from shared.artifacts.line_panels import line_panels
from shared.artifacts.plots import scale_line, styles

UNIFORM_GUESS = np.log(NUM_CLASSES)  # nats


def loss_panels(
    table: pd.DataFrame,
    panel: list[str],
    level: str,
    title: str,
    log: str = "y",
    most: int = 4,
    guess: float | Sequence[float] = UNIFORM_GUESS,
) -> tuple[Figure, list[Axes]]:
    """A panel per combination, a line with a band over seeds per level, a triangle where a run leaves the axis.

    Where not all seeds of a curve stay on the axis, its runs are drawn one by one and counted: see `mark_leaving`.
    """
    runs = table.assign(step=table.step.clip(lower=1 if "x" in log else 0))
    table = over_seeds(runs, [*panel, level])
    looks = styles(sorted(table[level].unique()), lines=True)
    drawn = {"by": level, "title": title, "looks": looks, "between": ("low", "high"), "gone": "num_gone", "log": log}
    drawn |= {"labels": ("step $k$", "loss (nats); dotted: uniform guess"), "most": most}
    drawn |= {"name": lambda key: "\n".join(map(in_symbols, key))}
    figure, axes = line_panels(table, "step", "mean", panel=panel, **drawn)
    for ax, value in zip(axes, np.broadcast_to(guess, len(axes)), strict=True):
        scale_line(ax, value, "")
    keys = dict.fromkeys(table[panel].itertuples(index=False, name=None))
    for ax, key in zip(axes, keys, strict=True):
        mark_leaving(ax, runs[(runs[panel] == list(key)).all(axis=1)], level, looks)
    return figure, axes


def mark_leaving(ax: Axes, runs: pd.DataFrame, level: str, looks: dict) -> None:
    """Thin lines for the runs of levels of which some leave the axis; in words how many do, and how many diverge."""
    for height, row in enumerate(leaving_curves(runs, [level]).itertuples()):
        value, color = getattr(row, level), looks[getattr(row, level)]["color"]
        for _, run in runs[runs[level] == value].groupby("seed"):
            loss = run.loss.where(np.isfinite(run.loss))
            ax.plot(run.step, loss, ".-", color=color, linewidth=0.5, markersize=1.5, label="_single")
        text = f"{value if isinstance(value, str) else f'{value:g}'}: {row.num_left} of {row.num_runs} leave,"
        place = {"transform": ax.transAxes, "color": color, "fontsize": 7}
        ax.text(0.04, 0.04 + 0.075 * height, f"{text} {row.num_diverged} diverge", **place)


def mark_last_decade(ax: Axes, runs: pd.DataFrame, level: str, words: str) -> None:
    """The own mean of what stalls over the last factor of ten of steps; the power of the step with which one rises."""
    last, looks = runs.step.max(), styles(sorted(runs[level].unique()), lines=True)
    found = [each for each in last_decade_means(runs, level) if each[1] > -STALL]
    for height, (value, power, mean) in enumerate(found):
        text = f"own mean {mean:.2f}" if power < STALL else f"rises as $k^{{{power:.2f}}}$"
        place = {"transform": ax.transAxes, "color": looks[value]["color"], "fontsize": 8}
        ax.text(0.05, 0.05 + 0.1 * height, f"{words} {value:g}: {text}", **place)
        if power < STALL:
            ax.plot([last / 10, last], [mean] * 2, ":", color="black", linewidth=1.5)

"""Shapes that several figures have: dots with intervals in rows, and bars with their counts."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shared.artifacts.plots import legend, nothing, panels, styles


def dots(
    parts: Mapping[str, pd.DataFrame],
    rows: str,
    by: str,
    value: str,
    labels: Mapping[str, str],
    xlabel: str,
    *,
    most: int = 4,
    width: float = 2.2,
    limits: tuple[float | None, float | None] = (None, None),
) -> Figure:
    """Panels of dots: a row per value of `rows`, in it a marker per entry of `labels`, with its interval.

    Args:
        parts: title -> what a panel shows, at most one value per row and label; columns `low` and `high`, if it has
            them, are the ends of the intervals.
        labels: value of the column `by` -> its name in the legend.
    """
    names = {title: list(dict.fromkeys(part[rows])) for title, part in parts.items()}
    if not names:
        return nothing("no system has results here")
    same, height = len(set(map(tuple, names.values()))) == 1, max(map(len, names.values()))
    dense = max(0.17, 0.1 * len(labels))
    figure, axes = panels(len(parts), most=most, width=width, height=1.0 + dense * height, beside=2.6, sharey=same)
    look, step = styles(labels), 0.8 / len(labels)
    for ax, (title, part) in zip(axes, parts.items(), strict=True):
        for index, (key, label) in enumerate(labels.items()):
            found = part[part[by] == key].set_index(rows).reindex(names[title])
            places = np.arange(len(found)) + (index - (len(labels) - 1) / 2) * step
            spread = [found[value] - found.low, found.high - found[value]] if "low" in found else None
            spread = None if spread is None else np.clip(spread, 0, None)
            shown = {"markersize": 4, "elinewidth": 1, "linestyle": "none", "label": label} | look[key]
            if found[value].notna().any():
                ax.errorbar(found[value], places, xerr=spread, **shown)
        ax.set_yticks(range(len(names[title])), [str(name) for name in names[title]], fontsize=7)
        ax.hlines(
            np.arange(1, len(names[title])) - 0.5, 0, 1, "0.9", transform=ax.get_yaxis_transform(), lw=0.6, zorder=0
        )
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        ax.set(ylim=(len(names[title]) - 0.5, -0.5), xlim=limits)
        ax.set_title(title, fontsize=8)
        ax.set_xlabel(xlabel, fontsize=8)
    legend(figure, axes)
    return figure


def bars(
    parts: Mapping[str, pd.Series], *, unit: str = "", across: bool = False, **look: object
) -> tuple[Figure, list[Axes]]:
    """Panels of bars with their counts, one per label of an axis; `across` lays them on their side, the first on top.

    Args:
        parts: what the bars are told apart by (or, if `across`, what is counted) -> counts, indexed by their names.
        unit: of the counts, at the axis that has them.
    """
    size = max(map(len, parts.values()))
    figure, axes = plt.subplots(1, len(parts), figsize=(7.6, 0.9 + 0.17 * size if across else 2.8), squeeze=False)
    for index, (ax, (label, counts)) in enumerate(zip(axes.flat, parts.items(), strict=True)):
        drawn = (ax.barh if across else ax.bar)(counts.index, counts, color=f"C{index}", **look)
        ax.bar_label(drawn, padding=2, fontsize=7)
        ax.margins(**({"x": 0.12, "y": 0.02} if across else {"y": 0.12}))
        ax.set_xlabel(label)
        if across:
            ax.invert_yaxis()
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.tick_params(labelleft=index == 0)
    if not across:
        axes.flat[0].set_ylabel(unit)
    return figure, list(axes.flat)

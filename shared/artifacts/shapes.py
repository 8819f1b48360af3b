"""Shapes that several figures have: dots with intervals in rows, bars with counts, heat maps, named points, texts."""

import math
import textwrap
from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
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
    most = math.ceil(len(parts) / math.ceil(len(parts) / most))  # rows of panels as even as can be
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


def heat_maps(
    parts: Mapping[str, pd.DataFrame],
    label: str,
    *,
    limits: tuple[float | None, float | None] = (None, None),
    most: int = 3,
    size: float = 3.3,
    form: str = ".2f",
    annotate: int = 8,
    **look: object,
) -> Figure:
    """Heat maps with one scale of colours and one bar for it.

    Args:
        parts: title -> grid, its index and columns the names at the axes.
        label: of the colour bar. limits: of the colours; those of all grids where None.
        annotate: rows up to which the values stand in the cells, as `form`. look: of seaborn's heatmap.
    """
    figure, axes = panels(len(parts), most=most, width=size + 0.1, height=size - 0.1, beside=0.6, sharey=False)
    values = np.concatenate([grid.to_numpy(float).ravel() for grid in parts.values()])
    low = np.nanmin(values) if limits[0] is None else limits[0]
    high = np.nanmax(values) if limits[1] is None else limits[1]
    look = {"cmap": "viridis", "vmin": low, "vmax": high, "cbar": False, "annot_kws": {"fontsize": 6}} | look
    for ax, (title, grid) in zip(axes, parts.items(), strict=True):
        sns.heatmap(grid, ax=ax, annot=len(grid) <= annotate, fmt=form, **look)
        ax.set(title=title, xlabel="", ylabel="")
        ax.tick_params(axis="x", rotation=60, labelsize=6)
        ax.tick_params(axis="y", rotation=0, labelsize=6)
    figure.colorbar(axes[0].collections[0], ax=axes, label=label, shrink=0.6)
    return figure


def name_points(
    ax: Axes,
    names: Iterable[str],
    x: Iterable[float],
    y: Iterable[float],
    *,
    below: Iterable[str] = (),
    size: float = 6,
) -> None:
    """Names above points, or below them, those at the right edge to their left."""
    points = list(zip(names, x, y, strict=True))
    right = max((x for _, x, _ in points), default=0.0)
    for name, left, height in points:
        place, side = (0, -9 if name in below else 4), "right" if left == right else "center"
        ax.annotate(name, (left, height), place, textcoords="offset points", fontsize=size, ha=side)


CHARS, LINE, TITLE, GAP = 100, 0.152, 0.27, 0.14  # of a text box: characters of a line; inches


def text_boxes(
    parts: Iterable[tuple[str, str]], colours: Iterable[tuple[str, str]], *, continued: Iterable[str] | None = None
) -> Figure:
    """Titled boxes of program text at page width, one below the other.

    Args:
        parts: title and text of each. colours: of its frame, and of its ground.
        continued: by how much the rest of a broken line is indented, each.
    """
    parts, colours = list(parts), list(colours)
    indents = list(continued) if continued is not None else [""] * len(parts)
    texts = [_broken(text, indent) for (_, text), indent in zip(parts, indents, strict=True)]
    heights = [LINE * (len(lines) + 0.9) for lines in texts]
    total = sum(heights) + TITLE * len(heights) + GAP * (len(heights) + 1)
    figure, top = plt.figure(figsize=(7.2, total), layout="none"), total
    for (title, _), lines, height, (colour, ground) in zip(parts, texts, heights, colours, strict=True):
        top -= GAP + TITLE
        figure.text(0.012, (top + TITLE * 0.28) / total, title, weight="bold", fontsize=9, color=colour)
        top -= height
        ax = figure.add_axes((0.012, top / total, 0.976, height / total), xticks=[], yticks=[], facecolor=ground)
        ax.spines[:].set(color=colour, visible=True)
        text = "\n".join(lines).replace("$", r"\$")
        ax.text(0.012, 0.5, text, family="DejaVu Sans Mono", fontsize=8, va="center", linespacing=1.3)
    return figure


def _broken(text: str, indent: str) -> list[str]:
    """Lines no wider than the page; a continued line is indented by `indent` beyond its own."""
    lines = []
    for line in text.splitlines():
        own = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line, CHARS, subsequent_indent=own + indent, drop_whitespace=True) or [""]
    return lines

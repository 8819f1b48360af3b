"""Figures of the data set, and Figure 3."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shared.artifacts.plots import legend

BENCHMARKS = {"swebench": "SWE-bench", "livecodebench": "LiveCodeBench"}
CATEGORIES = ["Argument", "Function Name", "New Feature", "Semantics", "Other"]
BELOW = ("GPT-4.1-mini", "Gemini 2.5 Flash", "Claude 3.7 Sonnet", "GPT-4.5")  # whose names would lie on others
MANY_NODES = 16  # from here on one bar of Figure 14


def _counted(ax: Axes, **labels: str) -> None:
    """Numbers at the bars of counts."""
    for container in ax.containers:
        ax.bar_label(container, fmt="{:.0f}".format, padding=2, fontsize=7)
    ax.set(**labels)
    ax.margins(y=0.12)


def fig3_correlation(table: pd.DataFrame) -> Figure:
    """Greedy success against two other benchmarks; points whose table value differs are joined to it."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True)
    for ax, (name, title) in zip(axes, BENCHMARKS.items(), strict=True):
        part = table[table.benchmark == name]
        ax.plot(part.score, part.plotted_percent, "o", label="as plotted by the authors")
        moved = part[(part.table_percent - part.plotted_percent).abs() > 0.05]
        ax.plot(moved.score, moved.table_percent, "s", markerfacecolor="none", color="C3", label="in Table 1")
        ax.vlines(moved.score, moved.plotted_percent, moved.table_percent, color="C3", linewidth=0.8)
        for row in part.itertuples():
            place = {"xytext": (0, -9 if row.model in BELOW else 4), "textcoords": "offset points", "fontsize": 6}
            place["ha"] = "right" if row.score == part.score.max() else "center"
            ax.annotate(row.model, (row.score, row.plotted_percent), **place)
        ax.set(title=title, xlabel=f"{title} score (%)")
        ax.margins(0.13)
    axes[0].set_ylabel("hidden-test success, greedy (%)")
    legend(figure, axes, below=True)
    return figure


def fig4_dataset(table: pd.DataFrame) -> Figure:
    """Problems per year and per category."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 2.8))
    counts = table.set_index(["panel", "group"])["count"]
    kinds = counts["category"].reindex(CATEGORIES, fill_value=0)
    axes[0].bar(*zip(*sorted((str(year), n) for year, n in counts["year"].items()), strict=True))
    axes[1].bar(kinds.index, kinds)
    _counted(axes[0], xlabel="release year of the pinned version", ylabel="problems")
    _counted(axes[1], xlabel="category of change")
    for ax, rotation in zip(axes, (45, 20), strict=True):
        ax.tick_params(axis="x", rotation=rotation)
    figure.suptitle(f"data: {table.dataset.iloc[0]}")
    return figure


def fig9_libraries(table: pd.DataFrame) -> Figure:
    """Problems and versions per library."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 0.9 + 0.17 * len(table)), sharey=True)
    for ax, column, colour in zip(axes, ("num_problems", "num_versions"), ("C0", "C1"), strict=True):
        ax.barh(table.library, table[column], color=colour)
        _counted(ax, xlabel=column.removeprefix("num_"))
        ax.margins(x=0.12, y=0.02)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].invert_yaxis()
    return figure


def fig14_logic_nodes(table: pd.DataFrame) -> Figure:
    """Histogram of logic nodes; the last bar holds all from 16 on."""
    figure, ax = plt.subplots(figsize=(4.6, 2.8))
    counts = table.groupby(table.logic_nodes.clip(upper=MANY_NODES)).num_problems.sum()
    ax.bar(counts.index, counts, width=0.9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if MANY_NODES in counts:
        ax.set_xticks(range(0, MANY_NODES + 1, 4), [*map(str, range(0, MANY_NODES, 4)), f"≥ {MANY_NODES}"])
    _counted(ax, xlabel="logic nodes of the reference", ylabel="problems")
    return figure

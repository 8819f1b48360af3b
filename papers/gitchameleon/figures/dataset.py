"""Figures of the data set and of what is printed: Figures 1, 3, 4, 9 and 14."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from papers.gitchameleon.metrics.dataset import KINDS
from shared.artifacts.plots import legend
from shared.artifacts.shapes import bars, name_points, text_boxes

BENCHMARKS = {"swebench": "SWE-bench", "livecodebench": "LiveCodeBench"}
BELOW = ("GPT-4.1-mini", "Gemini 2.5 Flash", "Claude 3.7 Sonnet", "GPT-4.5")  # whose names would lie on others
MANY_NODES = 16  # from here on one bar of Figure 14
GREY, RED, GREEN = ("0.35", "0.96"), "C3", ("C2", "#eef7ee")  # frame and ground
BOXES = {"problem": GREY, "wrong": (RED, "#fdf0ee"), "trace": (RED, "#f7f7f7"), "right": GREEN}


def fig1_worked_failure(table: pd.DataFrame) -> Figure:
    """The statement and stub, the wrong version's answer, its trace and the right answer, one below the other."""
    parts = zip(table.title, table.text, strict=True)
    return text_boxes(parts, table.part.map(BOXES), continued=["" if p == "problem" else "    " for p in table.part])


def fig14_trees(table: pd.DataFrame) -> Figure:
    """Code and syntax tree of two references; nodes that count have a star."""
    return text_boxes(zip(table.title, table.text, strict=True), [GREY] * len(table), continued=["    "] * len(table))


def fig3_correlation(table: pd.DataFrame) -> Figure:
    """Greedy success against two other benchmarks; points whose table value differs are joined to it."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True)
    for ax, (name, title) in zip(axes, BENCHMARKS.items(), strict=True):
        part = table[table.benchmark == name]
        ax.plot(part.score, part.plotted_percent, "o", label="as plotted by the authors")
        moved = part[(part.table_percent - part.plotted_percent).abs() > 0.05]
        ax.plot(moved.score, moved.table_percent, "s", markerfacecolor="none", color="C3", label="in Table 1")
        ax.vlines(moved.score, moved.plotted_percent, moved.table_percent, color="C3", linewidth=0.8)
        name_points(ax, part.model, part.score, part.plotted_percent, below=BELOW)
        ax.set(title=title, xlabel=f"{title} score (%)")
        ax.margins(0.13)
    axes[0].set_ylabel("hidden-test success, greedy (%)")
    legend(figure, axes, below=True)
    return figure


def fig4_dataset(table: pd.DataFrame) -> Figure:
    """Problems per year and per category."""
    counts = table.astype({"group": str}).set_index(["panel", "group"])["count"]
    kinds = counts["category"].reindex([*KINDS, "Other"], fill_value=0)
    figure, axes = bars(
        {"release year of the pinned version": counts["year"], "category of change": kinds}, unit="problems"
    )
    for ax, rotation in zip(axes, (45, 20), strict=True):
        ax.tick_params(axis="x", rotation=rotation)
    return _with_source(figure, table)


def fig9_libraries(table: pd.DataFrame) -> Figure:
    """Problems and versions per library."""
    counts = table.set_index("library")
    figure, _ = bars({"problems": counts.num_problems, "versions": counts.num_versions}, across=True)
    return _with_source(figure, table)


def fig14_logic_nodes(table: pd.DataFrame) -> Figure:
    """Histogram of logic nodes; the last bar holds all from 16 on."""
    counts = table.groupby(table.logic_nodes.clip(upper=MANY_NODES)).num_problems.sum()
    figure, (ax,) = bars({"logic nodes of the reference": counts}, unit="problems", width=0.9)
    shown = range(0, max(counts.index) + 1, 2)
    ax.set_xticks(shown, [f"≥ {node}" if node == MANY_NODES else str(node) for node in shown])
    return _with_source(figure, table)


def _with_source(figure: Figure, table: pd.DataFrame) -> Figure:
    figure.suptitle(f"problems: {table.problems.iloc[0]}", fontsize=8)
    return figure

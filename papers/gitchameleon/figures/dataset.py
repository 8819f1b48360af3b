"""Figures of the data set and of what is printed: Figures 1, 3, 4, 9 and 14."""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from papers.gitchameleon.metrics.dataset import KINDS
from shared.artifacts.plots import legend
from shared.artifacts.shapes import bars

BENCHMARKS = {"swebench": "SWE-bench", "livecodebench": "LiveCodeBench"}
BELOW = ("GPT-4.1-mini", "Gemini 2.5 Flash", "Claude 3.7 Sonnet", "GPT-4.5")  # whose names would lie on others
MANY_NODES = 16  # from here on one bar of Figure 14
BOXES = {
    "problem": ("0.35", "0.96"),
    "wrong": ("C3", "#fdf0ee"),
    "trace": ("C3", "#f7f7f7"),
    "right": ("C2", "#eef7ee"),
}
CHARS, LINE, TITLE, GAP = 100, 0.152, 0.27, 0.14  # of a line at page width; inches


def fig1_worked_failure(table: pd.DataFrame) -> Figure:
    """The statement and stub, the wrong version's answer, its trace and the right answer, one below the other."""
    texts = [_lines(row.text, "" if row.part == "problem" else "    ") for row in table.itertuples()]
    heights = [LINE * (len(lines) + 0.9) for lines in texts]
    total = sum(heights) + TITLE * len(heights) + GAP * (len(heights) + 1)
    figure, top = plt.figure(figsize=(7.2, total), layout="none"), total
    for row, lines, height in zip(table.itertuples(), texts, heights, strict=True):
        colour, fill = BOXES[row.part]
        top -= GAP + TITLE
        figure.text(0.012, (top + TITLE * 0.28) / total, row.title, weight="bold", fontsize=9, color=colour)
        top -= height
        ax = figure.add_axes((0.012, top / total, 0.976, height / total), xticks=[], yticks=[], facecolor=fill)
        ax.spines[:].set(color=colour, visible=True)
        text = "\n".join(lines).replace("$", r"\$")
        ax.text(0.012, 0.5, text, family="DejaVu Sans Mono", fontsize=8, va="center", linespacing=1.3)
    return figure


def _lines(text: str, indent: str) -> list[str]:
    """Lines no wider than the page; a continued line is indented by `indent` beyond its own."""
    lines = []
    for line in text.splitlines():
        own = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line, CHARS, subsequent_indent=own + indent, drop_whitespace=True) or [""]
    return lines


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
            place = (0, -9 if row.model in BELOW else 4)
            look = {"fontsize": 6, "ha": "right" if row.score == part.score.max() else "center"}
            ax.annotate(row.model, (row.score, row.plotted_percent), place, textcoords="offset points", **look)
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
    figure.suptitle(f"data: {table.dataset.iloc[0]}")
    return figure


def fig9_libraries(table: pd.DataFrame) -> Figure:
    """Problems and versions per library."""
    table = table.set_index("library")
    return bars({"problems": table.num_problems, "versions": table.num_versions}, across=True)[0]


def fig14_logic_nodes(table: pd.DataFrame) -> Figure:
    """Histogram of logic nodes; the last bar holds all from 16 on."""
    counts = table.groupby(table.logic_nodes.clip(upper=MANY_NODES)).num_problems.sum()
    figure, (ax,) = bars({"logic nodes of the reference": counts}, unit="problems", width=0.9)
    shown = range(0, max(counts.index) + 1, 2)
    ax.set_xticks(shown, [f"≥ {node}" if node == MANY_NODES else str(node) for node in shown])
    return figure

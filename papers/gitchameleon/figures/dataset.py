"""Figures of the data set, and Figure 3."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BENCHMARKS = {"swebench": "SWE-bench", "livecodebench": "LiveCodeBench"}
CATEGORIES = ["Argument", "Function Name", "New Feature", "Semantics", "Other"]
MANY_NODES = 16  # from here on one bar of Figure 14


def _label_bars(ax, form: str = "{:.0f}") -> None:
    for container in ax.containers:
        ax.bar_label(container, fmt=form.format, padding=2, fontsize=7)


def fig3_correlation(table: pd.DataFrame) -> Figure:
    """Greedy success against two other benchmarks; points whose table value differs are joined to it."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True)
    for ax, (name, title) in zip(axes, BENCHMARKS.items(), strict=True):
        part = table[table.benchmark == name]
        ax.plot(part.score, part.plotted_percent, "o", label="as plotted by the authors")
        moved = part[(part.table_percent - part.plotted_percent).abs() > 0.05]
        ax.plot(moved.score, moved.table_percent, "s", markerfacecolor="none", color="C3", label="in Table 1")
        for row in part.itertuples():
            above = row.model not in ("GPT-4.1-mini", "Gemini 2.5 Flash", "Claude 3.7 Sonnet", "GPT-4.5")
            ax.annotate(
                row.model, (row.score, row.plotted_percent), xytext=(0, 4 if above else -9),
                textcoords="offset points", fontsize=6, ha="right" if row.score == part.score.max() else "center",
            )  # fmt: skip
        for row in moved.itertuples():
            ax.plot([row.score] * 2, [row.plotted_percent, row.table_percent], color="C3", linewidth=0.8)
        ax.set(title=title, xlabel=f"{title} score (%)")
        ax.margins(0.13)
    axes[0].set_ylabel("hidden-test success, greedy (%)")
    handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    return figure


def fig4_dataset(table: pd.DataFrame) -> Figure:
    """Problems per year and per category."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 2.8))
    years = table[table.panel == "year"].sort_values("group", key=lambda c: c.astype(int))
    kinds = table[table.panel == "category"].set_index("group").reindex(CATEGORIES).reset_index()
    axes[0].bar(years.group.astype(str), years["count"])
    axes[0].set(xlabel="release year of the pinned version", ylabel="problems")
    axes[0].tick_params(axis="x", rotation=45)
    axes[1].bar(kinds.group, kinds["count"].fillna(0))
    axes[1].set(xlabel="category of change", ylabel="problems")
    axes[1].tick_params(axis="x", rotation=20)
    for ax in axes:
        _label_bars(ax)
        ax.margins(y=0.12)
    figure.suptitle(f"data: {table.dataset.iloc[0]}")
    return figure


def fig9_libraries(table: pd.DataFrame) -> Figure:
    """Versions and problems per library."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 0.9 + 0.17 * len(table)), sharey=True)
    axes[0].barh(table.library, table.num_problems)
    axes[1].barh(table.library, table.num_versions, color="C1")
    axes[0].set(xlabel="problems")
    axes[1].set(xlabel="versions")
    axes[0].invert_yaxis()
    for ax in axes:
        _label_bars(ax)
        ax.margins(x=0.12, y=0.02)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def fig14_logic_nodes(table: pd.DataFrame) -> Figure:
    """Histogram of logic nodes; the last bar holds all from 16 on."""
    figure, ax = plt.subplots(figsize=(4.6, 2.8))
    many = table.logic_nodes >= MANY_NODES
    ax.bar(table.logic_nodes[~many], table.num_problems[~many], width=0.9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if many.any():
        ax.bar(MANY_NODES, table.num_problems[many].sum(), width=0.9, color="C0")
        ax.set_xticks(range(0, MANY_NODES + 1, 4), [*map(str, range(0, MANY_NODES, 4)), f"≥ {MANY_NODES}"])
    ax.set(xlabel="logic nodes of the reference", ylabel="problems")
    return figure

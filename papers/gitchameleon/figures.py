"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BENCHMARKS = {"swebench": "SWE-bench", "livecodebench": "LiveCodeBench"}
CATEGORIES = ["Argument", "Function Name", "New Feature", "Semantics", "Other"]
SYSTEMS = ["reference", "version-blind", "newest", "oldest", "stub"]


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


def fig6_gap(table: pd.DataFrame) -> Figure:
    """Gap with self-debug against the gap without it."""
    figure, ax = plt.subplots(figsize=(4.6, 4.0))
    sns.scatterplot(table, x="selfdebug_gap", y="greedy_gap", ax=ax, s=28)
    limit = max(table.selfdebug_gap.max(), table.greedy_gap.max()) + 2
    ax.plot([0, limit], [0, limit], color="0.6", linestyle="--", linewidth=1)
    ax.annotate("equal gaps", (limit * 0.62, limit * 0.62), xytext=(-4, 6), textcoords="offset points", ha="right")
    gaps = table.selfdebug_gap
    outer = (table.greedy_gap > 10) | (table.greedy_gap < 1) | (gaps > 15) | (gaps == gaps.min())
    for row in table[outer].itertuples():
        right = row.selfdebug_gap > 0.6 * limit
        ax.annotate(
            row.model,
            (row.selfdebug_gap, row.greedy_gap),
            xytext=(-5 if right else 5, 3),
            textcoords="offset points",
            fontsize=6,
            ha="right" if right else "left",
        )
    ax.set(
        xlabel="visible - hidden success with self-debug (points)",
        ylabel="visible - hidden success, greedy (points)",
        xlim=(0, limit),
        ylim=(0, limit),
    )
    return figure


def fig7_categories(table: pd.DataFrame) -> Figure:
    """Success by category, one group of bars per category."""
    figure, ax = plt.subplots(figsize=(7.6, 3.0))
    categories = [c for c in CATEGORIES if c in set(table.category)]
    systems = [s for s in SYSTEMS if s in set(table.system)]
    width = 0.8 / len(systems)
    for index, system in enumerate(systems):
        part = table[table.system == system].set_index("category").reindex(categories)
        x = np.arange(len(categories)) + (index - (len(systems) - 1) / 2) * width
        ax.bar(x, part.success_percent, width, yerr=part.standard_error_percent, label=system, error_kw={"lw": 0.8})
    counts = table[table.system == systems[0]].set_index("category").num_problems
    ax.set_xticks(range(len(categories)), [f"{c}\n({counts[c]} problems)" for c in categories])
    ax.set(ylabel="hidden-test success (%)", ylim=(0, 108))
    figure.legend(*ax.get_legend_handles_labels(), title="system", loc="outside right center")
    return figure


def fig8_errors(table: pd.DataFrame) -> Figure:
    """Reported reduction per error, and counts of the version-blind system."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.2), sharey=True)
    axes[0].barh(table.error, table.reported_reduction_percent)
    axes[0].set(xlabel="fewer under self-debug (%), reported", xlim=(0, 100))
    axes[1].barh(table.error, table.version_blind_count, color="C1")
    axes[1].set(xlabel="version-blind answers that end so, measured")
    axes[0].invert_yaxis()
    for ax in axes:
        _label_bars(ax, "{:g}")
        ax.margins(x=0.12)
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


def fig13_agreement(table: pd.DataFrame) -> Figure:
    """Upper triangle of the agreement of systems."""
    names = [s for s in SYSTEMS if s in set(table.system)]
    matrix = table.pivot(index="system", columns="other", values="agreement").loc[names, names]
    figure, ax = plt.subplots(figsize=(4.8, 3.8))
    hidden = np.tril(np.ones(matrix.shape, bool), -1)
    sns.heatmap(
        matrix, mask=hidden, annot=True, fmt=".2f", vmin=0, vmax=1, cmap="viridis", ax=ax,
        cbar_kws={"label": "share of problems with equal outcome"},
    )  # fmt: skip
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    return figure


def fig14_logic_nodes(table: pd.DataFrame) -> Figure:
    """Histogram of logic nodes."""
    figure, ax = plt.subplots(figsize=(4.6, 2.8))
    ax.bar(table.logic_nodes, table.num_problems, width=0.9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="logic nodes of the reference", ylabel="problems")
    return figure

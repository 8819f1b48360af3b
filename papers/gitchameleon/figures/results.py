"""Figures of results: one function per figure, (table) -> Figure."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from papers.gitchameleon.figures.common import (
    PROTOCOL_NAMES,
    colours,
    grouped_bars,
    legend,
    message,
    panels,
    suite_name,
    suites_of,
)
from papers.gitchameleon.metrics.tracebacks import DRAWN

AGREEMENT = ("greedy", "cot", "selfdebug", "rag_k3")  # Figure 13 has all but self-debug
TWO = {name: PROTOCOL_NAMES[name] for name in ("greedy", "selfdebug")}


def fig6_gap(table: pd.DataFrame) -> Figure:
    """Gap with self-debug (x) against without (y); below the line self-debug widens it."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for source, marker, label in (("reported", "o", "published"), ("measured", "^", "scripted solvers here")):
        part = table[table.source == source]
        if len(part):
            ax.scatter(part.gap_after, part.gap_before, marker=marker, s=26, label=label, zorder=3)
        # inside the cloud names would lie on each other
        inside = part.gap_before.between(1, 10) & part.gap_after.between(part.gap_after.min() + 1e-9, 15)
        for row in part[~inside].itertuples() if source == "reported" else ():
            place = (row.gap_after, row.gap_before)
            ax.annotate(row.system, place, (5, 3), textcoords="offset points", fontsize=6)
    values = table[["gap_after", "gap_before"]].to_numpy()
    ends = [min(0.0, values.min()) - 1, values.max() + 2]
    ax.plot(ends, ends, color="0.6", lw=1, ls="--", label="no change", zorder=1)
    ax.set(xlim=(ends[0], ends[1] + 10), ylim=ends)  # room for names
    ax.set(xlabel="visible − hidden with self-debug (points)", ylabel="visible − hidden without (points)")
    legend(figure, ax)
    return figure


def _panels_by(table: pd.DataFrame, column: str, titles: list) -> Figure:
    """One panel per suite and value of `column`: bars per system, greedy and self-debug, with standard errors."""
    cells = [(s, t) for s in suites_of(table) for t in titles if ((table.suite == s) & (table[column] == t)).any()]
    if not cells:
        return message("no system has results here")
    figure, axes = panels(len(cells), width=2.9, height=2.6, columns=4, sharey=True)
    for ax, (suite, title) in zip(axes, cells, strict=True):
        part = table[(table.suite == suite) & (table[column] == title)].sort_values("system")
        grouped_bars(ax, part, "system", "protocol", "hidden", "hidden_se", TWO)
        ax.set_title(f"{title} ({suite_name(suite)}, n = {part.n.max()})", fontsize=8)
        ax.set_ylim(0, 105)
        ax.tick_params(axis="x", rotation=60, labelsize=7)
        for label in ax.get_xticklabels():
            label.set_ha("right")
            label.set_rotation_mode("anchor")
    for ax in axes[::4]:
        ax.set_ylabel("hidden success (%)")
    legend(figure, axes)
    return figure


def fig7_categories(table: pd.DataFrame) -> Figure:
    """Success by category of change."""
    return _panels_by(table, "perf_category", ["Argument", "Function Name", "New Feature", "Semantics"])


def fig10_years(table: pd.DataFrame) -> Figure:
    """Success by year of release: the three years with most problems."""
    sizes = table.groupby("year").n.max().sort_values(ascending=False)
    return _panels_by(table, "year", sorted(sizes.index[:3]))


def fig11_libraries(table: pd.DataFrame) -> Figure:
    """Success by library: those that the paper draws if they are there, else the six with most problems."""
    drawn = [name for name in ("torch", "numpy", "sympy", "scipy", "django", "flask") if name in set(table.library)]
    sizes = table.groupby("library").n.max().sort_values(ascending=False, kind="stable")
    return _panels_by(table, "library", drawn or list(sizes.index[:6]))


def fig8_errors(table: pd.DataFrame) -> Figure:
    """Relative fall of each exception by self-debug; measured only where there was something to lower."""
    names = {("benchmark", "reported"): "published"}
    names |= {(suite, "measured"): f"measured, {suite_name(suite)}" for suite in suites_of(table)}
    pairs = list(zip(table.suite, table.source, strict=True))
    table = table.assign(kind=[names[pair] for pair in pairs])
    table = table[table.reduction_percent.notna()].sort_values("error", key=lambda e: e.map(DRAWN.index), kind="stable")
    figure, ax = plt.subplots(figsize=(7.2, 3.0))
    order = list(dict.fromkeys(table.error))
    grouped_bars(ax, table, "error", "kind", "reduction_percent", None, {n: n for n in dict.fromkeys(table.kind)})
    for row in table[table.source == "measured"].itertuples():
        kinds = list(dict.fromkeys(table.kind))
        place = order.index(row.error) + (kinds.index(row.kind) - (len(kinds) - 1) / 2) * 0.8 / len(kinds)
        text = f"{row.greedy:g}→{row.selfdebug:g}"
        ax.annotate(
            text,
            (place, max(row.reduction_percent, 0)),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=5,
            rotation=90,
        )
    ax.axhline(0, color="black", lw=0.8)
    ax.set_ylabel("fewer with self-debug (%)")
    ax.margins(y=0.15)
    ax.tick_params(axis="x", rotation=40)
    for label in ax.get_xticklabels():
        label.set_ha("right")
        label.set_rotation_mode("anchor")
    legend(figure, ax)
    return figure


def fig12_rag_by_library(table: pd.DataFrame) -> Figure:
    """Change by retrieved documents, the ten largest libraries of each suite; one bar per system."""
    if table.empty:
        return message("no system has both a greedy and a RAG run")
    suites = suites_of(table)
    figure, axes = panels(len(suites), width=6.2, height=2.8, columns=1)
    for ax, suite in zip(axes, suites, strict=True):
        part = table[table.suite == suite]
        largest = part.groupby("library").n.max().sort_values(ascending=False, kind="stable").index[:10]
        part = part[part.library.isin(largest)].sort_values(["n", "library"], ascending=[False, True])
        grouped_bars(ax, part, "library", "system", "change", None, {s: s for s in sorted(set(part.system))})
        ax.axhline(0, color="black", lw=0.8)
        ax.set(title=suite_name(suite), ylabel="RAG (k = 3) − greedy (points)")
        ax.tick_params(axis="x", rotation=40)
    legend(figure, axes, "system")
    return figure


def fig13_agreement(table: pd.DataFrame) -> Figure:
    """Upper triangle of agreement per suite and protocol that has two systems or more."""
    sizes = table[table.protocol.isin(AGREEMENT)].groupby(["suite", "protocol"]).system.nunique()
    order = {name: i for i, name in enumerate(PROTOCOL_NAMES)}
    cells = sorted((key for key, size in sizes.items() if size > 1), key=lambda k: (k[0], order.get(k[1], 99)))
    if not cells:
        return message("agreement needs two systems")
    figure, axes = panels(len(cells), width=3.6, height=3.2)
    for index, (ax, (suite, protocol)) in enumerate(zip(axes, cells, strict=True)):
        part = table[(table.suite == suite) & (table.protocol == protocol)]
        names = list(dict.fromkeys([*part.system, *part.other]))
        grid = part.pivot(index="system", columns="other", values="agreement").reindex(index=names, columns=names)
        sns.heatmap(
            grid,
            ax=ax,
            vmin=0,
            vmax=1,
            cmap="viridis",
            annot=len(names) <= 8,
            fmt=".2f",
            annot_kws={"fontsize": 6},
            square=True,
            cbar=index == len(cells) - 1,
            cbar_kws={"label": "same outcome (share)"},
        )
        ax.set(title=f"{PROTOCOL_NAMES.get(protocol, protocol)} ({suite_name(suite)})", xlabel="", ylabel="")
        ax.tick_params(axis="both", labelsize=6)
        ax.tick_params(axis="x", rotation=60)
        ax.tick_params(axis="y", rotation=0)
    return figure


def fig_protocols(table: pd.DataFrame) -> Figure:
    """Measured success per system and protocol with Wilson intervals; takes `tab_main`."""
    table = table[table.source == "measured"]
    suites = suites_of(table)
    figure, axes = panels(len(suites), width=5.4, height=3.0, columns=1)
    palette = colours(PROTOCOL_NAMES)
    for ax, suite in zip(axes, suites, strict=True):
        part = table[table.suite == suite]
        systems = sorted(set(part.system))
        protocols = [p for p in PROTOCOL_NAMES if p in set(part.protocol)]
        for index, protocol in enumerate(protocols):
            rows = part[part.protocol == protocol].set_index("system").reindex(systems)
            places = np.arange(len(systems)) + (index - (len(protocols) - 1) / 2) * 0.8 / len(protocols)
            spread = np.clip([rows.hidden - rows.hidden_low, rows.hidden_high - rows.hidden], 0, None)
            ax.errorbar(
                places,
                rows.hidden,
                spread,
                fmt="o",
                ms=4,
                lw=1,
                color=palette[protocol],
                label=PROTOCOL_NAMES[protocol],
            )
        ax.set(title=suite_name(suite), ylabel="hidden success (%)", ylim=(-3, 103))
        ax.set_xticks(range(len(systems)), systems, rotation=40, ha="right", rotation_mode="anchor")
    legend(figure, axes, "protocol")
    return figure

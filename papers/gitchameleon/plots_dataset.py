"""Figures of the data set: one function per figure, (table) -> Figure."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.gitchameleon.plots_common import legend, panels, suite_name, suites_of

SOURCES = {"measured": "loaded here", "reported": "published"}


def _bars(ax: Axes, table: pd.DataFrame, x: str, value: str) -> None:
    """Filled bars of what was loaded, outlines of what is published: equal counts lie on each other."""
    groups = list(dict.fromkeys(table[x]))
    own, theirs = (table[table.source == source].set_index(x)[value].reindex(groups) for source in SOURCES)
    places = range(len(groups))
    if own.notna().any():
        ax.bar(places, own.fillna(0), 0.75, color="C0", label=SOURCES["measured"])
    if theirs.notna().any():
        ax.bar(places, theirs.fillna(0), 0.75, fill=False, edgecolor="black", lw=1, label=SOURCES["reported"])
    top = pd.concat([own, theirs], axis=1).max(axis=1)
    for place, height in zip(places, top, strict=True):
        ax.annotate(f"{height:g}", (place, height), (0, 1), textcoords="offset points", ha="center", fontsize=7)
    ax.margins(y=0.12)
    ax.set_xticks(places, [str(g) for g in groups])


def _per_suite(table: pd.DataFrame, x: str, value: str, xlabel: str, ylabel: str, turn: bool, width: float) -> Figure:
    suites = suites_of(table)
    figure, axes = panels(len(suites), width=width, height=2.7 + 0.5 * turn, columns=1 if width > 4 else 3)
    for ax, suite in zip(axes, suites, strict=True):
        _bars(ax, table[table.suite == suite], x, value)
        ax.set(title=suite_name(suite), xlabel=xlabel, ylabel=ylabel)
        if turn:
            ax.tick_params(axis="x", rotation=60)
            for label in ax.get_xticklabels():
                label.set_ha("right")
                label.set_rotation_mode("anchor")
    legend(figure, axes)
    return figure


def fig4a_years(table: pd.DataFrame) -> Figure:
    """Problems per year of release, to the last year that the paper draws; the counts beyond are in the table."""
    drawn = table[table.drawn].sort_values("year")
    return _per_suite(drawn, "year", "num_problems", "year of the pinned release", "problems", True, 3.2)


def fig4b_changes(table: pd.DataFrame) -> Figure:
    """Problems per category of change."""
    return _per_suite(table, "category", "num_problems", "", "problems", True, 2.9)


def fig9a_versions(table: pd.DataFrame) -> Figure:
    """Versions per library, sorted."""
    return _per_suite(table, "library", "num_versions", "", "versions", True, 7.0)


def fig9b_libraries(table: pd.DataFrame) -> Figure:
    """Problems per library, sorted."""
    return _per_suite(table, "library", "num_problems", "", "problems", True, 7.0)


def fig14_logic_nodes(table: pd.DataFrame) -> Figure:
    """Histogram of logic nodes in references; 15 and more in one bar."""
    cap, suites = 15, suites_of(table)
    figure, axes = panels(len(suites), width=3.4)
    for ax, suite in zip(axes, suites, strict=True):
        part = table[table.suite == suite]
        counts = part.groupby(part.logic_nodes.clip(upper=cap)).num_problems.sum()
        ax.bar(counts.index, counts, 0.85)
        ax.set(
            title=suite_name(suite), xlabel="logic nodes of the reference", ylabel="problems", xlim=(-0.7, cap + 0.7)
        )
        ax.set_xticks(range(0, cap + 1, 5), [*(str(t) for t in range(0, cap, 5)), f"{cap}+"])
        ax.yaxis.get_major_locator().set_params(integer=True)
    return figure

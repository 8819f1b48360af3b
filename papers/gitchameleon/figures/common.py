"""What several figures share: names, and panels of dots in rows."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.artifacts.plots import legend, nothing, panels, styles

SUITES = {"builtin": "built-in suite", "mini": "mini-suite", "benchmark": "benchmark"}
PROTOCOLS = {
    "greedy": "greedy",
    "selfdebug": "self-debug",
    "cot": "chain of thought",
    "rag_k1": "RAG, k = 1",
    "rag_k3": "RAG, k = 3",
    "agent": "agent",
    "agent_sandbox": "agent with sandbox",
    "temperature": "T = 0.8",
    "no_version": "version not shown",
}


def by_suite(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Name of each suite -> its rows."""
    return {name: table[table.suite == suite] for suite, name in SUITES.items() if (table.suite == suite).any()}


def dots(
    parts: dict[str, pd.DataFrame],
    rows: str,
    by: str,
    value: str,
    labels: dict[str, str],
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
        ax.set_ylim(len(names[title]) - 0.5, -0.5)
        for edge in range(1, len(names[title])):
            ax.axhline(edge - 0.5, color="0.9", linewidth=0.6, zorder=0)
        ax.set_title(title, fontsize=8)
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        ax.set_xlim(limits)
        ax.set_xlabel(xlabel, fontsize=8)
    legend(figure, axes)
    return figure


def with_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Adds `low` and `high`: one standard error below and above hidden success."""
    return table.assign(low=table.hidden - table.hidden_se, high=table.hidden + table.hidden_se)


def names_of(values: Iterable[str]) -> dict[str, str]:
    """Sorted names that are shown as they are."""
    return {value: value for value in sorted(set(values))}

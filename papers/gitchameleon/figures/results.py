"""Figures of results. Scripted solvers answer as they are written to: their points test the harness, not a model."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from papers.gitchameleon.metrics.dataset import KINDS
from papers.gitchameleon.metrics.tracebacks import DRAWN
from shared.artifacts.plots import legend, nothing
from shared.artifacts.shapes import dots, heat_maps

SUITES = {"builtin": "built-in suite", "mini": "mini-suite", "benchmark": "benchmark"}


def _by_suite(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Name of each suite -> its rows."""
    return {name: table[table.suite == suite] for suite, name in SUITES.items() if (table.suite == suite).any()}


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
TWO = {name: PROTOCOLS[name] for name in ("greedy", "selfdebug")}
AGREEMENT = ("greedy", "cot", "selfdebug", "rag_k3")  # Figure 13 has all but self-debug
LIBRARIES = ("torch", "numpy", "sympy", "scipy", "django", "flask")  # that the paper's Figure 11 draws
SUCCESS = "hidden success of\nscripted solvers (%)"


def _by_kind(column: str, kinds: Callable[[pd.Series], list], doc: str) -> Callable[[pd.DataFrame], Figure]:
    """A figure with a panel per suite and kind of problem: systems, greedy and self-debug, with standard errors.

    Args:
        column: what tells the kinds apart. kinds: number of problems of each kind, largest first -> kinds to draw.
    """

    def draw(table: pd.DataFrame) -> Figure:
        chosen, parts = kinds(_largest(table, column)), {}
        table = table.assign(low=table.hidden - table.hidden_se, high=table.hidden + table.hidden_se)
        for suite, rows in _by_suite(table.sort_values("system")).items():
            for kind in [kind for kind in chosen if kind in set(rows[column])]:
                part = rows[rows[column] == kind]
                parts[f"{kind}\n{suite}, n = {part.n.max()}"] = part
        most = len(chosen) if len(chosen) < 5 else 3
        return dots(parts, "system", "protocol", "hidden", TWO, SUCCESS, most=most, limits=(-5, 105))

    draw.__doc__ = doc
    return draw


def _largest(table: pd.DataFrame, column: str) -> pd.Series:
    """Number of problems by value of `column`, the largest first."""
    return table.groupby(column).n.max().sort_values(ascending=False, kind="stable")


fig7_categories = _by_kind("perf_category", lambda sizes: list(KINDS), "Success by category of change.")
fig10_years = _by_kind("year", lambda sizes: sorted(sizes.index[:3]), "Success in the three years with most problems.")
fig11_libraries = _by_kind(
    "library",
    lambda sizes: [name for name in LIBRARIES if name in sizes] or list(sizes.index[:6]),
    "Success by library: those that the paper draws if they are there, else the six with most problems.",
)


def fig12_rag_by_library(table: pd.DataFrame) -> Figure:
    """Change by retrieved documents, the ten largest libraries of each suite; a marker per system."""
    parts = {}
    for suite, rows in _by_suite(table).items():
        rows = rows[rows.library.isin(_largest(rows, "library").index[:10])]
        parts[suite] = rows.sort_values(["n", "library"], ascending=[False, True])
    label = "RAG (k = 3) − greedy, scripted solvers (points)"
    systems = {name: name for name in sorted(set(table.system))}
    return dots(parts, "library", "system", "change", systems, label, width=3.2, limits=(-105, 105))


def fig_protocols(table: pd.DataFrame) -> Figure:
    """Measured success per system and protocol with Wilson intervals."""
    table = table.rename(columns={"hidden_low": "low", "hidden_high": "high"}).sort_values("system")
    labels = {name: label for name, label in PROTOCOLS.items() if name in set(table.protocol)}
    return dots(_by_suite(table), "system", "protocol", "hidden", labels, SUCCESS, width=3.2, limits=(-3, 103))


def fig8_errors(table: pd.DataFrame) -> Figure:
    """Relative fall of each exception by self-debug; measured only where there was something to lower, with counts."""
    names = {"benchmark": "published"} | {s: f"scripted solvers,\n{SUITES[s]}" for s in SUITES if s != "benchmark"}
    table = table[table.reduction_percent.notna()].sort_values("error", key=lambda e: e.map(DRAWN.index))
    labels = {suite: name for suite, name in names.items() if suite in set(table.suite)}
    figure = dots({"": table}, "error", "suite", "reduction_percent", labels, "fewer with self-debug (%)", width=4.5)
    errors, suites = list(dict.fromkeys(table.error)), list(labels)
    for row in table[table.source == "measured"].itertuples():
        lift = (suites.index(row.suite) - (len(suites) - 1) / 2) * 0.8 / len(suites)
        place = (row.reduction_percent, errors.index(row.error) + lift)
        text = f"{row.greedy:g}→{row.selfdebug:g}"
        figure.axes[0].annotate(text, place, (5, 0), textcoords="offset points", va="center", fontsize=6)
    return figure


def fig6_gap(table: pd.DataFrame) -> Figure:
    """Gap with self-debug (x) against without (y); below the line self-debug widens it."""
    figure, ax = plt.subplots(figsize=(6.8, 3.4))
    for source, marker, label in (("reported", "o", "published"), ("measured", "^", "scripted solvers here")):
        part = table[table.source == source]
        ax.scatter(part.gap_after, part.gap_before, marker=marker, s=26, label=label, zorder=3)
    published = table[table.source == "reported"]
    # inside the cloud names would lie on each other
    inside = published.gap_before.between(1, 10) & published.gap_after.between(published.gap_after.min() + 0.01, 15)
    for row in published[~inside].itertuples():
        ax.annotate(row.system, (row.gap_after, row.gap_before), (5, 3), textcoords="offset points", fontsize=6)
    values = table[["gap_after", "gap_before"]].to_numpy()
    ends = [min(0.0, values.min()) - 1, values.max() + 2]
    ax.plot(ends, ends, color="0.6", lw=1, ls="--", label="no change", zorder=1)
    ax.set(xlim=(ends[0], ends[1] + 10), ylim=ends)  # room for names
    ax.set(xlabel="visible − hidden with self-debug (points)", ylabel="visible − hidden without (points)")
    legend(figure, ax)
    return figure


def fig13_agreement(table: pd.DataFrame) -> Figure:
    """Heat maps of agreement, one per suite and protocol that two systems were asked under."""
    upper = {key: part for key, part in table.groupby(["suite", "protocol"]) if part.system.nunique() > 1}
    cells = [(s, p) for s in SUITES for p in AGREEMENT if (s, p) in upper]
    if not cells:
        return nothing("agreement needs two systems")
    grids = {key: upper[key].pivot(index="system", columns="other", values="agreement") for key in cells}
    titled = {f"{PROTOCOLS[protocol]} ({SUITES[suite]})": grid for (suite, protocol), grid in grids.items()}
    return heat_maps(titled, "same outcome (share of problems)", limits=(0, 1), square=True)

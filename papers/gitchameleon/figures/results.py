"""Figures of results: verdicts of real answers beside published numbers, and what proves the harness."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from papers.gitchameleon.metrics.dataset import KINDS
from papers.gitchameleon.metrics.tracebacks import DRAWN
from shared.artifacts.plots import legend
from shared.artifacts.shapes import dots, heat_maps

TESTS = {"hidden": "hidden tests", "visible": "visible tests"}
PUBLISHED = ("published, of 328", "hidden tests, published range")  # marks of numbers that are not ours
LIBRARIES = ("all problems", "torch", "numpy", "sympy", "scipy", "django", "flask")  # that the paper's Figure 11 draws
YEARS = ("all problems", "2021", "2022", "2023")  # that Figure 10 draws
PAIRS = {"all": "all", "greedy": "greedy", "selfdebug": "self-debug", "cot": "chain of thought", "rag_k3": "RAG, k = 3"}


def _by_kind(column: str, kinds: tuple, doc: str) -> Callable[[pd.DataFrame], Figure]:
    """A figure with a panel per kind of problem: systems, best first, by tests; Wilson intervals, zeros named.

    Published rates are open diamonds; a range that is published without values is a line with ends, and no mark within.
    """

    def draw(table: pd.DataFrame) -> Figure:
        own = table.source == "measured"
        table = table.assign(kind=table[column].astype(str).replace("all", "all problems"))
        seen = table[own & (table.tests == "visible")].groupby("system")[["passed", "n"]].sum()
        order = (seen.passed / seen.n).sort_values(ascending=False).index.union(table.system.unique(), sort=False)
        rows, parts = pd.DataFrame({"system": order}), {}  # what is published comes last
        for kind in kinds:
            part = rows.merge(table[own & (table.kind == kind)], "left", "system")
            numbers = part.dropna(subset="n").groupby("tests").n.first()
            title = "\n".join([kind, *(f"{TESTS[tests]}: n = {n:g}" for tests, n in numbers.items())])
            parts |= {title: part} if len(numbers) else {}
        figure = dots(parts, "system", "tests", "percent", TESTS, "success (%)", most=5, limits=(-5, 105))
        for ax, (title, part) in zip(figure.axes, parts.items(), strict=False):
            for row in part[part.percent == 0].itertuples():
                ax.annotate(f"0 of {row.n:g}", (row.high + 2, order.get_loc(row.system)), fontsize=6, va="center")
            theirs = table[~own & (table.kind == title.partition("\n")[0])]
            places = theirs.system.map(order.get_loc) + theirs.tests.map({"hidden": -0.2, "visible": 0.2})  # as of dots
            if theirs.percent.notna().any():
                ax.plot(theirs.percent, places, "D", color="0.2", mfc="none", ms=5, label=PUBLISHED[0])
            for row in theirs[theirs.percent.isna()].itertuples():
                ax.plot([row.low, row.high], [order.get_loc(row.system)] * 2, "|-", color="0.2", label=PUBLISHED[1])
        for old in figure.legends:
            old.remove()  # it lacks what is published
        legend(figure, figure.axes)
        return figure

    draw.__doc__ = doc
    return draw


fig7_categories = _by_kind("perf_category", KINDS, "Success by category of change.")
fig10_years = _by_kind("year", YEARS, "Success over all years, and in the three years that the paper draws.")
fig11_libraries = _by_kind("library", LIBRARIES, "Success over all libraries, and by those that the paper draws.")


def fig8_errors(table: pd.DataFrame) -> Figure:
    """Relative fall of each error by self-debug with counts, where there was something to lower."""
    table = table[table.reduction_percent.notna()]
    table = table.assign(series=table.model.where(table.source == "reported", table.model + ", " + table.tests))
    table = table.sort_values("error", key=lambda e: e.map(DRAWN.index), kind="stable")
    series = ["published", *sorted(set(table.series) - {"published"})]
    labels = {name: name for name in series}
    figure = dots({"": table}, "error", "series", "reduction_percent", labels, "fewer with self-debug (%)", width=4.5)
    figure.axes[0].set_xlim(right=115)  # room for counts
    errors = list(dict.fromkeys(table.error))
    for row in table[table.source == "measured"].itertuples():
        lift = (series.index(row.series) - (len(series) - 1) / 2) * 0.8 / len(series)
        text = f"{row.greedy:g}→{row.selfdebug:g}"
        place = (row.reduction_percent, errors.index(row.error) + lift)
        figure.axes[0].annotate(text, place, (5, 0), textcoords="offset points", va="center", fontsize=6)
    return figure


def fig6_gap(table: pd.DataFrame) -> Figure:
    """Gap with self-debug (x) against without (y); below the line self-debug widens it."""
    figure, ax = plt.subplots(figsize=(6.8, 3.4))
    for source, marker, label in (("reported", "o", "published"), ("measured", "^", "their answers, run here")):
        part = table[table.source == source]
        ax.scatter(part.gap_after, part.gap_before, marker=marker, s=26, label=label, zorder=3)
    published = table[table.source == "reported"]
    # inside the cloud names would lie on each other
    inside = published.gap_before.between(1, 10) & published.gap_after.between(published.gap_after.min() + 0.01, 15)
    for row in pd.concat([published[~inside], table[table.source == "measured"]]).itertuples():
        lift = 3 if row.source == "reported" else -9
        ax.annotate(row.system, (row.gap_after, row.gap_before), (5, lift), textcoords="offset points", fontsize=6)
    values = table[["gap_after", "gap_before"]].to_numpy()
    ends = [min(0.0, values.min()) - 1, values.max() + 2]
    ax.plot(ends, ends, color="0.6", lw=1, ls="--", label="no change", zorder=1)
    ax.set(xlim=(ends[0], ends[1] + 10), ylim=ends)  # room for names
    ax.set(xlabel="visible − hidden with self-debug (points)", ylabel="visible − hidden without (points)")
    legend(figure, ax)
    return figure


def fig13_agreement(table: pd.DataFrame) -> Figure:
    """Heat maps of agreement, one per kind of tests, columns numbered like rows; then ranges, ours and published."""
    ends, parts = table[table.other == "-"], {}
    for tests, part in table[table.other != "-"].groupby("tests"):
        grid = part.pivot(index="system", columns="other", values="agreement")
        numbers = [str(k + 1) for k in range(len(grid))]
        grid = grid.set_axis(numbers, axis=1).set_axis([f"{n}  {s}" for n, s in zip(numbers, grid.index, strict=True)])
        parts[f"{TESTS[tests]}\nn = {part.n.min():g} to {part.n.max():g}"] = grid
    where = ends.source.map({"measured": "here, ", "reported": "published, "}) + ends.tests
    ends = ends.assign(pairs=where + ", " + ends.protocol.map(PAIRS))
    ranges = ends.pivot(index="pairs", columns="system", values="agreement")[["least", "largest"]]
    parts["least and largest of\npairs of systems"] = ranges.loc[list(dict.fromkeys(ends.pairs))]
    return heat_maps(parts, "same outcome (share of problems)", limits=(0.4, 1), size=5.0)


def fig_validation(table: pd.DataFrame) -> Figure:
    """What scripted solvers came to against what they had to come to; on the line the harness is right."""
    figure, ax = plt.subplots(figsize=(4.6, 3.4))
    sizes = iter((10, 3, 5, 5))  # the few points that others lie on are the larger rings
    for marker, (kind, part) in zip("osv^", table.groupby("kind", sort=False), strict=False):
        look = {"fmt": marker, "ms": next(sizes), "mfc": "none", "elinewidth": 0.8, "label": kind}
        ax.errorbar(part.expected, part.measured, 1.96 * part.error.fillna(0), **look)
    ax.plot([0, 100], [0, 100], color="0.6", lw=1, ls="--", label="as expected", zorder=1)
    ax.set(xlabel="expected hidden success (%)", ylabel="measured (%)")
    legend(figure, ax)
    return figure

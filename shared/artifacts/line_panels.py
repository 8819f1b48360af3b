"""Figures made of panels: one of lines for each value of some columns, and tables of numbers as heat maps."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from shared.artifacts.plots import (
    band,
    legend,
    line,
    lines,
    log_ticks,
    mark_gone,
    nothing,
    panels,
    styles,
    zero_line,
)


def decade_ticks(axis: Axis, most: int = 5, form: str = "{:g}") -> None:
    """At most `most` labels of a logarithmic axis, at powers of ten, within its limits as they are now."""
    ax = axis.axes
    getattr(ax, f"set_{axis.axis_name}scale")("log")
    low, high = (float(np.log10(x)) for x in getattr(ax, f"get_{axis.axis_name}lim")())
    powers = range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)
    log_ticks(axis, (1.0, 2.0, 5.0) if len(powers) < 2 else (1.0,), form)
    if len(powers) > most:
        axis.set_major_locator(FixedLocator([10.0**k for k in powers[:: -(-len(powers) // most)]]))


def log_axis(axis: Axis, label: str) -> None:
    """A logarithmic axis with its name; see `decade_ticks`."""
    axis.set_label_text(label)
    decade_ticks(axis)


def measure_panels(
    table: pd.DataFrame,
    x: str,
    by: str,
    labels: Mapping[str, str],
    *,
    form: str | None = None,
    dashed: str | None = None,
    log: str | None = None,
    size: tuple[float, float] = (2.8, 2.6),
) -> tuple[Figure, list[Axes]]:
    """A panel per measure, a line per value of `by`, with a band of <measure>_error where the table has it.

    Columns that end in "gain" have a line at 0.

    Args:
        labels: measure -> name of its axis. form: of the names in the legend; see `lines`. size: of a panel in inches.
        dashed: a column that is drawn dashed beside the second measure. log: name of the x axis, if it is logarithmic.
    """
    figure, axes = panels(len(labels), width=size[0], height=size[1], sharey=False)
    looks = styles(table[by])
    for ax, (measure, label) in zip(axes, labels.items(), strict=True):
        error = f"{measure}_error" if f"{measure}_error" in table else None
        lines(ax, table, x, measure, by=by, looks=looks, error=error, form=form)
        if measure.endswith("gain"):
            zero_line(ax)
        ax.set_ylabel(label)
    if dashed is not None:
        second = {value: look | {"linestyle": "--", "label": f"_{dashed}"} for value, look in looks.items()}
        lines(axes[1], table, x, dashed, by=by, looks=second)
    for ax in axes if log is not None else ():
        log_axis(ax.xaxis, log)
    legend(figure, axes)
    return figure, axes


def line_panels(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    panel: Sequence[str],
    by: str,
    title: str | None = None,
    name: Callable[[tuple], str] | None = None,
    looks: Mapping[Hashable, dict] | None = None,
    most: int = 5,
    size: tuple[float, float] = (2.2, 2.5),
    limits: tuple[float, float] | None = None,
    labels: tuple[str, str] | None = None,
    error: str | None = None,
    between: tuple[str, str] | None = None,
    gone: str | None = None,
    sharey: bool | str = True,
    log: str = "y",
) -> tuple[Figure, list[Axes]]:
    """A panel per combination of `panel`'s columns in the order of the table, a line per value of `by`.

    Args:
        title: of the legend. name: of a panel, from the tuple of its values; they are joined by commas if omitted.
        looks: value of `by` -> style, in the order of drawing; lines told apart by dashes if omitted.
        size: of a panel in inches. labels: of the axes. error: column of half widths of bands. log: axes, e.g. "xy".
        between: columns of the ends of bands. gone: column of a number of lost runs; triangles where there are any.
        limits: of the y axis. What lies below is drawn at its lower end; a line that leaves it ends in a triangle.
    """
    keys = list(dict.fromkeys(table[list(panel)].itertuples(index=False, name=None)))
    figure, axes = panels(len(keys), most=most, width=size[0], height=size[1], sharey=sharey)
    values = list(dict.fromkeys(table[by]))
    looks = looks or styles(values, lines=True)
    for index, (ax, key) in enumerate(zip(axes, keys, strict=True)):
        part = table[(table[list(panel)] == list(key)).all(axis=1)]
        for value, look in looks.items():
            own = part[part[by] == value].sort_values(x)
            text = f"{value:g}" if isinstance(value, int | float | np.number) else str(value)
            if limits is not None:
                left = (own[y] > limits[1]).any()
                own = own[own[y] <= limits[1]]
                mark_gone(ax, own[x].iloc[-1:] if left else [], look["color"])
                own = own.assign(**{y: own[y].clip(lower=limits[0])})
            if len(own):
                half = None if error is None else own[error]
                line(ax, own[x], own[y], error=half, label=text, stack=gone is not None, **({"marker": ""} | look))
            if len(own) and between is not None:
                band(ax, own[x], own[between[0]], own[between[1]], look["color"])
            if len(own) and gone is not None:
                mark_gone(ax, own[x][(own[gone] > 0) & own[y].notna()], look["color"], stack=True)
        ax.set_title(name(key) if name else ", ".join(map(str, key)))
        if limits is not None:
            ax.set_ylim(limits)
        for axis, which in ((ax.xaxis, "x"), (ax.yaxis, "y")):
            if which in log:
                getattr(ax, f"set_{which}scale")("log")
                decade_ticks(axis)
        if labels is not None and index + most >= len(keys):
            ax.set_xlabel(labels[0])
    legend(figure, axes, title)
    if labels is not None:
        figure.supylabel(labels[1], fontsize=9)
    return figure, axes


def heat_panels(
    table: pd.DataFrame,
    value: str,
    *,
    panel: Sequence[str],
    rows: str,
    columns: str,
    labels: tuple[str, str],
    most: int = 2,
    limits: tuple[float | None, float | None] = (None, None),
    form: str = "{:.3g}",
    error: str | None = None,
    size: tuple[float, float] = (2.6, 2.2),
) -> Figure:
    """Heat maps of a column with its numbers in the cells, a panel per combination of `panel`'s columns.

    Args:
        limits: of the colours, which the panels share; the smallest value and twice that where None.
        size: of a panel in inches. form: of the numbers.
        error: column of standard errors, written below the numbers; a missing one is left out. What the table
            lacks of the combinations of rows and columns is white.
    """
    keys = list(dict.fromkeys(table[list(panel)].itertuples(index=False, name=None)))
    if not keys:
        return nothing("these records hold no such runs")
    figure, axes = panels(len(keys), most=most, width=size[0], height=size[1], beside=0.3, sharey=False)
    low = table[value].min() if limits[0] is None else limits[0]
    high = 2 * low if limits[1] is None else limits[1]
    for ax, key in zip(axes, keys, strict=True):
        part = table[(table[list(panel)] == list(key)).all(axis=1)]
        cells = part.pivot(index=rows, columns=columns, values=value).sort_index()
        errors = cells * np.nan if error is None else part.pivot(index=rows, columns=columns, values=error).sort_index()
        ax.imshow(cells, cmap="viridis", vmin=low, vmax=high, aspect="auto")
        for (row, column), number in np.ndenumerate(cells.to_numpy()):
            if np.isnan(number):  # a combination that there is not
                continue
            color = "white" if number < (low + high) / 2 else "black"
            below = "" if np.isnan(spread := errors.iat[row, column]) else f"\n± {spread:.2g}"
            ax.text(column, row, form.format(number) + below, ha="center", va="center", color=color, fontsize=7)
        ax.set(xticks=range(cells.shape[1]), yticks=range(cells.shape[0]), xlabel=labels[0])
        names = [f"{number:g}" for number in cells.columns]
        crowded = max(map(len, names)) * len(names) > 13 * size[0]  # characters that fit below a panel
        ax.set_xticklabels(names, rotation=45 if crowded else 0)
        ax.set_yticklabels([f"{number:g}" for number in cells.index])
        ax.set_title(", ".join(map(str, key)))
    figure.supylabel(labels[1], fontsize=9)
    return figure

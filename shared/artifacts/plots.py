"""One look for every figure: colours with markers, panels, one legend, ticks, bands, the mark of a run that is gone.

Figure functions import this and matplotlib; the style itself is set by `figures.draw`.
"""

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 2, 2)))


def styles(values: Iterable[Hashable], *, lines: bool = False) -> dict[Hashable, dict]:
    """Value -> colour with marker (or with dash, if `lines`), the same for equal lists of values in every panel.

    Numbers are ordered: they go from dark to light. Names get the colour-blind palette, in the order given.
    """
    values = list(dict.fromkeys(values))
    ordered = all(isinstance(v, int | float | np.number) for v in values) and len(values) > 1
    values = sorted(values) if ordered else values
    palette = sns.color_palette("viridis", len(values)) if ordered else sns.color_palette("colorblind", len(values))
    second, choices = ("linestyle", DASHES) if lines else ("marker", MARKERS)
    return {
        v: {"color": c, second: choices[i % len(choices)]} for i, (v, c) in enumerate(zip(values, palette, strict=True))
    }


def colours(values: Iterable[Hashable]) -> dict[Hashable, tuple]:
    """Value -> colour alone, for areas and bars; the colours of `styles`."""
    return {value: style["color"] for value, style in styles(values).items()}


def nested(looks: Mapping[Hashable, dict], largest: float = 7.0, smallest: float = 2.5) -> dict[Hashable, dict]:
    """`looks` with dashes, whose markers shrink from first to last: one drawn on top of another leaves it visible."""
    sizes = np.linspace(largest, smallest, len(looks))
    pairs = zip(looks.items(), itertools.cycle(DASHES), sizes, strict=False)
    return {value: look | {"linestyle": dash, "markersize": size} for (value, look), dash, size in pairs}


def panels(
    number: int,
    *,
    most: int = 5,
    width: float = 2.3,
    height: float = 2.6,
    beside: float = 1.3,
    sharex: bool | str = False,
    sharey: bool | str = True,
) -> tuple[Figure, list[Axes]]:
    """A figure with `number` axes in rows of at most `most`; what is left over of the last row is empty.

    Args:
        width, height: of a panel in inches. beside: room to the right for a legend.
    """
    columns = max(1, min(number, most))
    rows = max(1, -(-number // columns))
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(max(width * columns, 3.0) + beside, height * rows),
        sharex=sharex,
        sharey=sharey,
        squeeze=False,
    )
    for ax in axes.flat[number:]:
        ax.axis("off")
    return figure, list(axes.flat[:number])


def legend(
    figure: Figure, axes: Axes | Iterable[Axes], title: str | None = None, *, below: bool = False, columns: int = 4
) -> None:
    """One legend of all panels' lines, each label once, to the right of the panels or below.

    Numbers stand first, in their order, then words as they come.
    """
    found: dict[str, object] = {}
    for ax in [axes] if isinstance(axes, Axes) else axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    numbers = sorted((label for label in found if _is_number(label)), key=float)
    found = {label: found[label] for label in [*numbers, *(label for label in found if label not in numbers)]}
    place = {"loc": "outside lower center", "ncols": columns} if below else {"loc": "outside right center"}
    figure.legend(found.values(), found.keys(), title=title, **place)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def log_ticks(axis: Axis, subs: Sequence[float] = (1.0,), form: str = "{:g}") -> None:
    """Labels of a logarithmic axis at `subs` times powers of ten only, as plain numbers."""
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: form.format(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def symlog_ticks(axis: Axis, values: Sequence[float], linear_to: float = 1.0) -> None:
    """An axis that is linear up to `linear_to` and logarithmic beyond, with labels at `values` only."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("symlog", linthresh=linear_to)
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def value_ticks(
    axis: Axis, values: Iterable[float], *, most: int = 6, log: float | None = 10, rotate: float = 0
) -> None:
    """Labels at values of a grid, at most `most` of them evenly chosen.

    Args:
        log: base of the logarithmic scale; None leaves the axis linear.
    """
    grid = sorted({float(v) for v in values if np.isfinite(v)})
    shown = grid[:: max(1, -(-len(grid) // most))]
    if log is not None:
        getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=log)
    axis.set_major_locator(FixedLocator(shown))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_minor_locator(NullLocator())
    if rotate:
        axis.axes.tick_params(axis=axis.axis_name, labelrotation=rotate)


def limits(values: pd.Series, headroom: float | None = None) -> tuple[float, float]:
    """From a little below the smallest finite value to a little above the largest, or above smallest + headroom."""
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    high = high if headroom is None else min(high, low + headroom)
    margin = 0.06 * (high - low) + 1e-3
    return low - margin, high + margin


def line(
    ax: Axes,
    x: Sequence[float],
    y: Sequence[float],
    *,
    error: Sequence[float] | None = None,
    top: float | None = None,
    stack: bool = False,
    **style: object,
) -> None:
    """A line with markers, sorted by x; what diverged (not finite) or lies above `top` is a triangle at the upper edge.

    The line has a gap there. Without `top` the edge is where the axis ends when the figure is drawn. A band shows
    `error`, e.g. one standard error, on either side, where it is known. `stack`: see `mark_gone`.
    """
    order = np.argsort(np.asarray(x, float), kind="stable")
    x, y = np.asarray(x, float)[order], np.asarray(y, float)[order]
    gone = ~np.isfinite(y) | (y > top if top is not None else False)
    shown = {"marker": "o", "markersize": 3.5, "linewidth": 1.3} | style
    (drawn,) = ax.plot(x, np.where(gone, np.nan, y), **shown)
    mark_gone(ax, x[gone], drawn.get_color(), top, stack)
    if error is not None:
        half = np.asarray(error, float)[order]
        if np.isfinite(half).any():
            band(ax, x, y - half, y + half, drawn.get_color())


def lines(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    by: str,
    looks: Mapping[Hashable, dict],
    error: str | None = None,
    shown: Mapping[Hashable, str] | None = None,
    form: str | None = None,
) -> None:
    """A line for each value of column `by` that has a look (see `styles`) and rows, labelled as in `shown` or as it is.

    Args:
        x, y, error: columns; see `line`. form: of the labels of values that `shown` leaves out, such as "B = {:g}".
    """
    for value, look in looks.items():
        part = table[table[by] == value]
        if len(part):
            half = None if error is None else part[error]
            label = (shown or {}).get(value, _text(value, form))
            line(ax, part[x], part[y], error=half, **({"label": label} | look))


def marks(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    by: str,
    looks: Mapping[Hashable, dict],
    error: str | None = None,
    form: str | None = None,
) -> None:
    """Unconnected marks, told apart by column `by`, with bars of `error`; as `lines` otherwise."""
    for value, look in looks.items():
        part = table[table[by] == value]
        if len(part):
            half = None if error is None else part[error]
            shown = {"linestyle": "none", "markersize": 4, "label": _text(value, form)} | look
            ax.errorbar(part[x], part[y], half, **shown)


def _text(value: Hashable, form: str | None) -> str:
    return (form or ("{:g}" if isinstance(value, int | float | np.number) else "{}")).format(value)


def mark_gone(ax: Axes, x: Sequence[float], color: object, top: float | None = None, stack: bool = False) -> None:
    """Triangles at the panel's upper edge (at `top`, if given) where a run diverged or left the axis.

    Args:
        stack: a triangle hangs below those that are at its place already, where it would hide them.
    """
    if not len(x):
        return
    transform, height = (ax.transData, top) if top is not None else (ax.get_xaxis_transform(), 1.0)
    look = {"color": color, "markersize": 5.5, "clip_on": False, "label": "_gone"}
    if not stack:
        ax.plot(x, np.full(len(x), height), "^", transform=transform, **look)
        return
    for each in x:
        above = sum(each in mark.get_xdata() for mark in ax.lines if mark.get_label() == "_gone")
        lowered = transform + ScaledTranslation(0, -above * 5.5 / 72, ax.figure.dpi_scale_trans)
        ax.plot([each], [height], "^", transform=lowered, **look)


def band(ax: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float], color: object) -> None:
    """The area between two curves: quartiles, a standard error, seeds."""
    ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def seeds(ax: Axes, table: pd.DataFrame, x: str, y: str, *, each: str | None = None, **style: object) -> None:
    """Mean over seeds with a band from the smallest to the largest; one seed is a line alone.

    Args:
        table: one row per x and seed; where a run is not finite there is a mark at the edge, and no mean of the others.
        each: a column whose values have a thin line each, in place of the band.
    """
    values = table[[x, y]].astype(float)
    finite = np.isfinite(values[y])
    gone = set(values[x][~finite])
    found = values[finite & ~values[x].isin(gone)].groupby(x)[y].agg(["mean", "min", "max", "size"])
    line(ax, found.index.to_numpy(), found["mean"].to_numpy(), **style)
    color = ax.lines[-1].get_color()
    if each is not None:
        for _, own in table.sort_values(x, kind="stable").groupby(each):
            ax.plot(own[x], own[y], color=color, linewidth=0.6, alpha=0.5, zorder=1.5, label=f"_{each}")
    elif (found["size"] > 1).any():
        band(ax, found.index.to_numpy(), found["min"].to_numpy(), found["max"].to_numpy(), color)
    mark_gone(ax, sorted(gone), color)


def scale_line(ax: Axes, value: float, label: str, **style: object) -> None:
    """A horizontal line that gives a scale: the paper's number, an entropy rate, a uniform guess."""
    if np.isfinite(value):
        ax.axhline(value, **{"color": "0.35", "linestyle": ":", "linewidth": 1.1, "label": label, "zorder": 1} | style)


def zero_line(ax: Axes, value: float = 0) -> None:
    """A thin line where nothing changes, without a label: no gain, or a ratio of 1."""
    scale_line(ax, value, "_zero", linestyle="-", linewidth=0.6)


def nothing(sentence: str) -> Figure:
    """An honest empty figure: these records hold no such runs."""
    figure, ax = plt.subplots(figsize=(5, 1.2))
    ax.text(0.5, 0.5, sentence, ha="center", va="center")
    ax.axis("off")
    return figure


def names(values: Mapping[str, str], text: str) -> str:
    """The shown name of an entry: `values[text]`, or the text with spaces for underscores."""
    return values.get(text, text.replace("_", " "))

"""The figure of a sweep: loss against learning rate, a panel per value of some columns, a line per value of another."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from shared.artifacts import plots

STAR_STEP = 1.13  # from one star to the next at the same rate; five of them end before twice the rate
MANY_RATES = 12


def rate_panels(
    table: pd.DataFrame,
    *,
    panel: Mapping[str, str],
    line: str,
    legend: str,
    told: Mapping | None = None,
    headroom: float = 0.6,
    thick: str | None = None,
    scale_line: tuple[str, str] | None = None,
    fewest: int = 1,
    log_above: float | None = None,
) -> Figure:
    """Seed means over the learning rate; best settings on fresh seeds as stars with two standard errors.

    Stars of a panel that share a rate stand side by side, to its right.

    Args:
        table: one row per panel, line, `lr` and `fresh`: `val_loss` (nats per token, infinite where a seed diverged),
            `standard_error`. Rows with `fresh` are of seeds that did not choose the setting.
        panel: column -> how a title says its value; one that does not vary is left out if another does.
        line: column whose values have lines. legend: its name. told: value -> label, if not the value itself.
        headroom: nats shown above the best run, at most; what lies above, or diverged, is a triangle at the edge.
        thick: column that a line's value has to equal for the line to be thick.
        scale_line: column with a loss that a panel shows as a horizontal line, and its name.
        fewest: learning rates that a line needs, if some line has them.
        log_above: nats below the best run from which distances are drawn as their logarithms, all of them; a plain axis
            if omitted.
    """
    if not len(table):
        return plots.nothing("These records hold no runs of this study.")
    swept = table.assign(lr=table.lr.where(~table.fresh.astype(bool)))
    enough = swept.groupby([*panel, line]).lr.transform("nunique") >= fewest
    table = table[enough] if enough.any() else table
    look = plots.styles(sorted(table[line].unique()))
    base = 0.0 if log_above is None else table.val_loss.min() - log_above
    table = table.assign(val_loss=table.val_loss - base)
    losses = table.val_loss[np.isfinite(table.val_loss)]
    # most of the runs, so that what is compared is not pressed flat by bad learning rates
    most = min(1.8 * (losses.quantile(0.7) - losses.min()) + 0.02, headroom)
    limits = plots.limits(losses, most) if log_above is None else (0.7 * losses.min(), 1.1 * losses.max())
    by = [column for column in panel if table[column].nunique() > 1] or list(panel)
    groups = list(table.groupby(by)) if by else [((), table)]
    figure, axes = plots.panels(len(groups), width=1.9 if len(groups) > 1 else 3.2)
    for value, style in look.items():  # the legend, in order
        label = (told or {}).get(value, value if isinstance(value, str) else f"{value:g}")
        axes[0].plot([], [], label=label, linewidth=1.1, **style)
    if table.fresh.any():
        axes[0].plot([], [], "*", color="0.4", markersize=8, label="fresh seeds")
    for ax, (values, rows) in zip(axes, groups, strict=True):
        for value, part in reversed(list(rows.groupby(line))):  # the first value on top
            width = 2.8 if thick in part and value == part[thick].iloc[0] else 1.1
            _line(ax, part, limits[1], linewidth=width, **look[value])
        _stars(ax, rows[rows.fresh.astype(bool)], line, limits[1], look)
        if scale_line is not None and scale_line[0] in rows:
            plots.scale_line(ax, rows[scale_line[0]].iloc[0] - base, scale_line[1], color="black", linestyle="--")
        title = [
            panel[c].format(plots.names({}, v) if isinstance(v, str) else v) for c, v in zip(by, values, strict=True)
        ]
        if log_above is not None:
            _loss_axis(ax, base, limits)
        ax.set(ylim=limits, xlabel="learning rate")
        ax.set_title(", ".join(title), fontsize=8.5)
        ax.tick_params(labelsize=8)
        _rate_ticks(ax, rows.lr)
    figure.supylabel("validation loss (nats per token)", fontsize=9)
    plots.legend(figure, axes, legend)
    return figure


def _line(ax: Axes, part: pd.DataFrame, top: float, **style: object) -> None:
    """The sweep that chose."""
    chose = part[~part.fresh.astype(bool)]
    if len(chose):
        plots.line(ax, chose.lr, chose.val_loss, top=top, **style)


def _stars(ax: Axes, fresh: pd.DataFrame, line: str, top: float, look: Mapping) -> None:
    """What the best settings are worth on fresh seeds; the second at a rate is drawn to the right of the first."""
    star = {"marker": "*", "markersize": 9, "linestyle": "none", "markeredgecolor": "black", "markeredgewidth": 0.5}
    shown = fresh[np.isfinite(fresh.val_loss) & (fresh.val_loss <= top)].sort_values(line)
    together = shown.groupby("lr").lr.transform("size")
    place = shown.groupby("lr").cumcount() + (together > 1)
    for row, x in zip(shown.to_dict("records"), shown.lr * STAR_STEP**place, strict=True):
        ax.errorbar(x, row["val_loss"], 2 * row["standard_error"], color=look[row[line]]["color"], zorder=5, **star)


def _rate_ticks(ax: Axes, rates: pd.Series) -> None:
    """The rates themselves; of a grid of many, 1, 2 and 5 times powers of ten."""
    plots.value_ticks(ax.xaxis, rates, most=5, rotate=45)
    if rates.nunique() > MANY_RATES:
        plots.log_ticks(ax.xaxis, (1.0, 2.0, 5.0))
    if rates.nunique() == 1:
        ax.set_xlim(rates.iloc[0] / 2, rates.iloc[0] * 2)


def _loss_axis(ax: Axes, base: float, limits: tuple[float, float]) -> None:
    """Labels of a logarithmic axis of losses above `base`: the lowest round loss, and 0.05, 0.1, 0.2, ... above it."""
    start = np.ceil(20 * (base + limits[0])) / 20
    ticks = [start + step - base for step in (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)]
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick <= limits[1]]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{base + value:.2f}"))
    ax.yaxis.set_minor_locator(NullLocator())

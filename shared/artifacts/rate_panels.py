"""The figure of a sweep: loss against learning rate, a panel per value of some columns, a line per value of another."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.artifacts import plots


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
) -> Figure:
    """Seed means over the learning rate; best settings on fresh seeds as stars with two standard errors.

    Args:
        table: one row per panel, line, `lr` and `fresh`: `val_loss` (nats per token, infinite where a seed diverged),
            `standard_error`. Rows with `fresh` are of seeds that did not choose the setting.
        panel: column -> how a title says its value; one that does not vary is left out if another does.
        line: column whose values have lines. legend: its name. told: value -> label, if not the value itself.
        headroom: nats shown above the best run, at most; what lies above, or diverged, is a triangle at the edge.
        thick: column that a line's value has to equal for the line to be thick.
        scale_line: column with a loss that a panel shows as a horizontal line, and its name.
    """
    if not len(table):
        return plots.nothing("These records hold no runs of this study.")
    losses, look = table.val_loss[np.isfinite(table.val_loss)], plots.styles(sorted(table[line].unique()))
    # most of the runs, so that what is compared is not pressed flat by bad learning rates
    limits = plots.limits(losses, min(1.8 * (losses.quantile(0.7) - losses.min()) + 0.02, headroom))
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
        if scale_line is not None and scale_line[0] in rows:
            plots.scale_line(ax, rows[scale_line[0]].iloc[0], scale_line[1], color="black", linestyle="--")
        title = [
            panel[c].format(plots.names({}, v) if isinstance(v, str) else v) for c, v in zip(by, values, strict=True)
        ]
        ax.set(ylim=limits, xlabel="learning rate")
        ax.set_title(", ".join(title), fontsize=8.5)
        ax.tick_params(labelsize=8)
        plots.value_ticks(ax.xaxis, rows.lr, most=5, rotate=45)
    figure.supylabel("validation loss (nats per token)", fontsize=9)
    plots.legend(figure, axes, legend)
    return figure


def _line(ax: Axes, part: pd.DataFrame, top: float, **style: object) -> None:
    """The sweep that chose, and the stars of what it is worth elsewhere."""
    chose, fresh = part[~part.fresh.astype(bool)], part[part.fresh.astype(bool)]
    if len(chose):
        plots.line(ax, chose.lr, chose.val_loss, top=top, **style)
    shown = fresh[np.isfinite(fresh.val_loss) & (fresh.val_loss <= top)]
    star = {"marker": "*", "markersize": 9, "linestyle": "none", "markeredgecolor": "black", "markeredgewidth": 0.5}
    ax.errorbar(shown.lr, shown.val_loss, 2 * shown.standard_error, color=style["color"], zorder=5, **star)

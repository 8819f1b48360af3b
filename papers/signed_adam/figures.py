"""Tables -> figures of the language-model sweeps; those of the toy problems are in toy_figures.

One function per figure of paper.yaml; the same table gives the same pixels. A run that diverged, or whose loss lies
above a panel, is a triangle at the panel's upper edge.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from papers.signed_adam.runs import METHODS
from papers.signed_adam.toy_figures import (
    fig6_learning_rates,
    fig6_quadratics,
    fig7_mollifier,
    fig21_hessians,
    fig22_filter,
)

__all__ = ["fig6_learning_rates", "fig6_quadratics", "fig7_mollifier", "fig21_hessians", "fig22_filter"]

HEADROOM = 0.6  # nats shown above the best run of a figure
LOSS = "validation loss (nats per token)"


def _nothing(sentence: str) -> Figure:
    """An honest empty figure: these records hold no such runs."""
    figure, ax = plt.subplots(figsize=(5, 1.2))
    ax.text(0.5, 0.5, sentence, ha="center", va="center")
    ax.axis("off")
    return figure


def _colours(values: list) -> dict:
    """Ordered values -> colours from dark to light, the same order in every panel."""
    palette = sns.color_palette("viridis", len(values))
    return dict(zip(values, palette, strict=True))


def _lr_axis(ax: Axes, lrs: pd.Series) -> None:
    """Logarithmic learning rates, labelled at most five times, at values of the grid."""
    values = sorted(lrs.unique())
    shown = values[:: max(1, -(-len(values) // 5))]
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="x", labelrotation=45)
    ax.set_xlabel("learning rate")


def _limits(losses: pd.Series, headroom: float = HEADROOM) -> tuple[float, float]:
    """From a little below the best run to somewhat above most runs that did not diverge, at most `headroom` higher."""
    finite = losses[np.isfinite(losses)]
    low = finite.min()
    high = min(finite.max(), low + min(1.8 * (finite.quantile(0.7) - low) + 0.02, headroom))
    margin = 0.06 * (high - low) + 1e-3
    return low - margin, high + margin


def _line(ax: Axes, rows: pd.DataFrame, top: float, **style) -> None:
    """One line over the learning rate; what is above `top` becomes a triangle there, and the line has a gap."""
    rows = rows.sort_values("lr")
    above = ~(rows.val_loss <= top)
    ax.plot(rows.lr, rows.val_loss.where(~above), marker="o", markersize=3.2, **{"linewidth": 1.3} | style)
    if above.any():
        y = np.full(int(above.sum()), top)
        ax.plot(rows.lr[above], y, linestyle="", marker="^", markersize=5, clip_on=False, color=style.get("color"))


def _row_of_panels(number: int, height: float = 2.6, extra: float = 1.3, most: int = 5) -> tuple[Figure, np.ndarray]:
    columns = min(number, most)
    rows = -(-number // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(max(1.75 * columns, 3.0) + extra, height * rows), sharey=True, squeeze=False
    )
    for ax in axes.flat[number:]:
        ax.axis("off")
    return figure, axes.flatten()[:number]


def _legend(figure: Figure, axes: np.ndarray, title: str) -> None:
    """One legend of all panels' lines, to the right."""
    found = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if all(label.replace(".", "").replace("e-", "").isdigit() for label in found):
        found = dict(sorted(found.items(), key=lambda item: float(item[0])))
    legend = figure.legend(found.values(), found.keys(), title=title, loc="outside right center")
    for handle in legend.get_lines():
        handle.set_linewidth(1.3)


def _lr_panels(table: pd.DataFrame, panel: str, line: str, titles: str, legend: str) -> tuple[Figure, np.ndarray]:
    """Loss against learning rate: a panel per value of `panel`, a line per value of `line`."""
    values, lines = sorted(table[panel].unique()), sorted(table[line].unique())
    colours, limits = _colours(lines), _limits(table.val_loss)
    figure, axes = _row_of_panels(len(values))
    for ax, value in zip(axes, values, strict=True):
        part = table[table[panel] == value]
        for each, rows in part.groupby(line):
            name = f"{each:g}" if isinstance(each, int | float) else str(each)
            _line(ax, rows, limits[1], color=colours[each], label=name)
        ax.set_title(titles.format(value))
        ax.set_ylim(limits)
        _lr_axis(ax, part.lr)
    axes[0].set_ylabel(LOSS)
    _legend(figure, axes, legend)
    return figure, axes


def fig1_tokens(table: pd.DataFrame) -> Figure:
    """Training loss over tokens, best setting of each method."""
    figure, ax = plt.subplots(figsize=(5.6, 3.1))
    palette = dict(zip(METHODS, sns.color_palette("colorblind"), strict=False))
    for method in [m for m in METHODS if m in set(table.method)]:
        rows = table[table.method == method]
        ax.plot(rows.tokens, rows.loss, label=method, color=palette[method])
    late = table[table.tokens >= 0.15 * table.tokens.max()].loss
    ax.set(xlabel="training tokens", ylabel="training loss (nats per token)", xlim=(0, None))
    ax.set_ylim(table.loss.min() - 0.1, late.quantile(0.98) + 0.3)
    ax.legend(title="best setting of", loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def fig2_signum(table: pd.DataFrame) -> Figure:
    """Signum: one panel per beta, one line with and one without clipping."""
    table = table.assign(clip=table.clipped.map({True: "norm 1", False: "off"}))
    return _lr_panels(table, "beta1", "clip", "$\\beta = {:g}$", "clipping")[0]


def _adam(table: pd.DataFrame) -> Figure:
    """Adam: a row of panels per study, one per beta1; one line per beta2, equal betas thick; the best Signum dashed."""
    if not len(table):
        return _nothing("These records hold no runs of this study.")
    studies, columns = list(dict.fromkeys(table.study)), sorted(table.beta1.unique())
    colours = _colours(sorted(table.beta2.unique()))
    size = (max(1.75 * len(columns), 3.0) + 1.3, 2.6 * len(studies))
    figure, axes = plt.subplots(len(studies), len(columns), figsize=size, sharey="row", squeeze=False)
    for row, study in zip(axes, studies, strict=True):
        part = table[table.study == study]
        limits = _limits(part.val_loss)
        for ax, beta1 in zip(row, columns, strict=True):
            if beta1 not in set(part.beta1):
                ax.axis("off")
                continue
            _adam_panel(ax, part[part.beta1 == beta1], limits, colours)
            title = f"$\\beta_1 = {beta1:g}$"
            ax.set_title(title if len(studies) == 1 else f"{study.replace('_', ' ')}, {title}", fontsize=9)
        next(ax for ax in row if ax.axison).set_ylabel(LOSS)
    _legend(figure, axes.flatten(), "$\\beta_2$ (thick: $=\\beta_1$)")
    return figure


def _adam_panel(ax: Axes, rows: pd.DataFrame, limits: tuple[float, float], colours: dict) -> None:
    for beta2, line in rows.groupby("beta2"):
        width = 2.8 if beta2 == rows.beta1.iloc[0] else 1.1
        _line(ax, line, limits[1], color=colours[beta2], label=f"{beta2:g}", linewidth=width)
    if rows.best_signum.notna().any():
        ax.axhline(rows.best_signum.iloc[0], color="black", linestyle="--", linewidth=1, label="best Signum")
    ax.set_ylim(limits)
    ax.tick_params(labelleft=True, labelsize=8)
    _lr_axis(ax, rows.lr)


def fig2_adam(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig5_larger(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig12_noclip(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig13_tokens(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig14_short(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig15_batches(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig18_fineweb(table: pd.DataFrame) -> Figure:
    return _adam(table)


def fig3_scores(table: pd.DataFrame) -> Figure:
    """Heat maps over (beta1, beta2): 1 at each row's best beta2; numbers are nats lost to it, frames the diagonal."""
    studies = list(dict.fromkeys(table.study))
    columns = min(3, len(studies))
    rows = -(-len(studies) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.5 * columns + 0.9, 2.5 * rows), squeeze=False)
    for ax in axes.flat[len(studies) :]:
        ax.axis("off")
    for ax, study in zip(axes.flat, studies, strict=False):
        part = table[table.study == study]
        score, regret = (part.pivot(index="beta1", columns="beta2", values=name) for name in ("score", "regret"))
        image = ax.imshow(score, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for i, beta1 in enumerate(score.index):
            for j, beta2 in enumerate(score.columns):
                value = regret.iloc[i, j]
                if pd.isna(score.iloc[i, j]):
                    continue
                text = "div." if not np.isfinite(value) else ">1" if value > 1 else f"{value:.3f}".lstrip("0")
                ax.text(
                    j,
                    i,
                    text,
                    ha="center",
                    va="center",
                    fontsize=5.8,
                    color="black" if score.iloc[i, j] > 0.6 else "white",
                )
                if beta1 == beta2:
                    ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=1.3))
        ax.set_xticks(range(len(score.columns)), [f"{b:g}" for b in score.columns], rotation=60)
        ax.set_yticks(range(len(score.index)), [f"{b:g}" for b in score.index])
        ax.set(xlabel="$\\beta_2$", ylabel="$\\beta_1$", title=part.title.iloc[0])
    figure.colorbar(image, ax=axes, label="score within the row", shrink=0.8)
    return figure


def fig4_mollified(table: pd.DataFrame) -> Figure:
    """Signum with a constant: one panel per initialisation of the buffer, one line per constant."""
    if not len(table):
        return _nothing("These records hold no runs of Signum with a constant.")
    table = table.assign(start=table.gradient_init.map({0.0: "from zero", 1.0: "from the first gradient"}))
    return _lr_panels(table, "start", "eps", "{}", "constant\nunder the root")[0]


def fig8_sgd(table: pd.DataFrame) -> Figure:
    """SGD and its clipped forms: a panel per form (and weight decay), a line per momentum."""
    several = table.weight_decay.nunique() > 1
    names = table.method + (", decay " + table.weight_decay.map("{:g}".format) if several else "")
    table = table.assign(panel=names)
    best = table.val_loss.min()
    limits = (best - 0.08, min(table.val_loss[np.isfinite(table.val_loss)].max() + 0.05, best + 2.0))
    panels, colours = sorted(names.unique()), _colours(sorted(table.beta1.unique()))
    figure, axes = _row_of_panels(len(panels))
    for ax, name in zip(axes, panels, strict=True):
        part = table[table.panel == name]
        for momentum, rows in part.groupby("beta1"):
            _line(ax, rows, limits[1], color=colours[momentum], label=f"{momentum:g}")
        ax.set_title(name, fontsize=8)
        ax.set_ylim(limits)
        _lr_axis(ax, part.lr)
    axes[0].set_ylabel(LOSS)
    _legend(figure, axes, "momentum")
    return figure


def fig10_rmsprop(table: pd.DataFrame) -> Figure:
    """RMSprop: a line per beta2, 0 is SignSGD."""
    return _single(table, "beta2", "$\\beta_2$ (0: SignSGD)", headroom=1.2)


def fig11_emasign(table: pd.DataFrame) -> Figure:
    """The sign before or after the average."""
    if not (table.method == "EMASign").any():
        return _nothing("These records hold no runs of EMASign.")
    table = table.assign(name=table.method + ", " + table.beta1.map("{:g}".format))
    table = table[(table.method == "EMASign") | table.beta1.isin(table[table.method == "EMASign"].beta1)]
    return _single(table, "name", "method, $\\beta$", headroom=1.5)


def _single(table: pd.DataFrame, line: str, legend: str, headroom: float = HEADROOM) -> Figure:
    figure, ax = plt.subplots(figsize=(4.8, 2.8))
    limits, colours = _limits(table.val_loss, headroom), _colours(sorted(table[line].unique()))
    for value, rows in table.groupby(line):
        _line(ax, rows, limits[1], color=colours[value], label=value if isinstance(value, str) else f"{value:g}")
    ax.set_ylim(limits)
    _lr_axis(ax, table.lr)
    ax.set_ylabel(LOSS)
    _legend(figure, np.array([ax]), legend)
    return figure


def fig19_bias(table: pd.DataFrame) -> Figure:
    """Bias correction matters early only."""
    if not len(table):
        return _nothing("These records hold no runs without bias correction.")
    figure, ax = plt.subplots(figsize=(4.8, 2.8))
    names = {
        (1.0, 0.0): "from zero, corrected",
        (0.0, 0.0): "from zero, not corrected",
        (0.0, 1.0): "from the first gradient",
    }
    for (correction, start), rows in table.groupby(["bias_correction", "gradient_init"], sort=False):
        ax.plot(rows.tokens, rows.loss, label=names.get((correction, start), f"{correction:g}, {start:g}"))
    ax.set(xlabel="training tokens", ylabel="training loss (nats per token)")
    ax.legend(title="Adam's averages")
    return figure


def fig20_adavar(table: pd.DataFrame) -> Figure:
    """AdaVar against learning rate; the diagonal is Adam."""
    if not len(table):
        return _nothing("These records hold no runs of AdaVar.")
    table = table.assign(
        name="$\\gamma$ " + table.gamma.map("{:g}".format) + ", $\\tau$ " + table.tau.map("{:g}".format)
    )
    return _lr_panels(table, "beta1", "name", "$\\beta = {:g}$", "AdaVar")[0]

"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

STUDIES = {"markov": "Markov oracle", "text": "text"}
LOSS_ORDER = ["none", "clamp", "dynamic", "dynamic + weight decay"]


def _colours(p_us: pd.Series) -> dict[float, tuple]:
    """One colour per share of uniform noise, the same in every figure."""
    palette = sns.color_palette("colorblind")
    return {p_u: palette[index] for index, p_u in enumerate(sorted(p_us.unique()))}


def _panels(table: pd.DataFrame, rows: int = 1, height: float = 2.8) -> tuple[Figure, dict[str, list[Axes]]]:
    """A column of axes per study."""
    studies = [s for s in STUDIES if s in set(table.study)]
    figure, axes = plt.subplots(rows, len(studies), figsize=(3.6 * len(studies), height * rows), squeeze=False)
    for column, study in enumerate(studies):
        axes[0, column].set_title(STUDIES[study])
    return figure, {study: list(axes[:, column]) for column, study in enumerate(studies)}


def _legend(figure: Figure, axes: Axes, title: str) -> None:
    """One legend for all panels, to the right of them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, title=title, loc="outside right center")


def _log_ticks(axis: Axis, form: str, labelled: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0)) -> None:
    """Logarithmic axis with labels at these multiples in each decade only."""
    axis.set_major_locator(LogLocator(base=10, subs=labelled))
    axis.set_major_formatter(FuncFormatter(lambda value, _: form.format(value)))
    axis.set_minor_locator(NullLocator())


def fig_schedule(table: pd.DataFrame) -> Figure:
    """Mass of data, mask and uniform tokens over t, one panel per p_u."""
    p_us = sorted(table.p_u.unique())
    figure, axes = plt.subplots(1, len(p_us), figsize=(2.6 * len(p_us) + 1.2, 2.6), sharey=True, squeeze=False)
    for ax, p_u in zip(axes[0], p_us, strict=True):
        for part, line in table[table.p_u == p_u].groupby("part", sort=False):
            ax.plot(line.t, line.mass, label=part)
        ax.axvline(0.5, color="0.8", linewidth=0.8, zorder=0)
        ax.set(title=f"$p_u = {p_u:g}$", xlabel="time $t$", xlim=(0, 1), ylim=(0, 1.02))
    axes[0, 0].set_ylabel("share of tokens")
    _legend(figure, axes[0, 0], "token is")
    return figure


def fig_weights(table: pd.DataFrame) -> Figure:
    """Weights of the three kinds of token, one panel per weighting, for the largest p_u."""
    table = table[table.p_u == table.p_u.max()]
    weightings = list(table.weighting.unique())
    figure, axes = plt.subplots(1, len(weightings), figsize=(2.3 * len(weightings) + 1.4, 2.7), sharey=True)
    for ax, weighting in zip(axes, weightings, strict=True):
        for kind, line in table[table.weighting == weighting].groupby("kind", sort=False):
            ax.plot(line.t, line.weight, label=kind)
        ax.set(title=weighting.replace("_", " "), xlabel="time $t$", yscale="log", xlim=(0, 1))
    axes[0].set_ylabel(f"loss weight, $p_u = {table.p_u.iloc[0]:g}$")
    _legend(figure, axes[0], "noisy token is")
    return figure


def fig_training(table: pd.DataFrame) -> Figure:
    """Learning curves: a row of panels per p_u, a column per study."""
    p_us = sorted(table.p_u.unique())
    figure, panels = _panels(table, rows=len(p_us), height=2.1)
    palette = dict(zip(LOSS_ORDER, sns.color_palette("colorblind"), strict=False))
    for study, axes in panels.items():
        for ax, p_u in zip(axes, p_us, strict=True):
            part = table[(table.study == study) & (table.p_u == p_u)]
            for loss in [name for name in LOSS_ORDER if name in set(part.loss)]:
                line = part[part.loss == loss]
                ax.plot(line.step, line.nats_per_token, label=loss, color=palette[loss])
            late = part[part.step >= part.step.max() / 5].nats_per_token
            margin = 0.1 * (late.max() - late.min()) + 0.01
            ax.set(ylabel=f"nats/token, $p_u={p_u:g}$", ylim=(late.min() - margin, late.max() + margin))
        axes[-1].set_xlabel("training step")
    _legend(figure, next(iter(panels.values()))[-1], "loss weighting")
    return figure


def fig_genppl_steps(table: pd.DataFrame) -> Figure:
    """Generative perplexity over denoising steps."""
    figure, panels = _panels(table)
    colours = _colours(table.p_u)
    for study, (ax,) in panels.items():
        for p_u, line in table[table.study == study].groupby("p_u"):
            ax.plot(line.num_steps, line.gen_ppl, marker="o", markersize=4, color=colours[p_u], label=f"{p_u:g}")
            ax.fill_between(line.num_steps, line.low, line.high, color=colours[p_u], alpha=0.2, linewidth=0)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        _log_ticks(ax.yaxis, "{:g}")
        ax.set(xlabel="denoising steps $T$", ylabel="generative perplexity")
        ax.set_xticks(sorted(table[table.study == study].num_steps.unique()))
        ax.xaxis.set_major_formatter("{x:g}")
    _legend(figure, next(iter(panels.values()))[0], "$p_u$")
    return figure


def fig_selfcorr(table: pd.DataFrame) -> Figure:
    """What correction does, over its temperature: quality, self-agreement, diversity."""
    measures = list(dict.fromkeys(table.sort_values("measure").measure))
    figure, panels = _panels(table, rows=len(measures), height=2.0)
    colours = _colours(table.p_u)
    for study, axes in panels.items():
        for ax, measure in zip(axes, measures, strict=True):
            part = table[(table.study == study) & (table.measure == measure)]
            taus = sorted(part.tau.unique())
            for p_u, line in part.groupby("p_u"):
                line = line.sort_values("tau")
                ax.plot(range(len(line)), line.value, marker="o", markersize=4, color=colours[p_u], label=f"{p_u:g}")
            ax.set_xticks(range(len(taus)), ["before" if tau == 0 else f"{tau:g}" for tau in taus])
            ax.set_ylabel(measure.replace(" (", "\n("))
        axes[-1].set_xlabel(r"temperature $\tau$ of the correction")
    _legend(figure, next(iter(panels.values()))[0], "$p_u$")
    return figure


def fig_scaling(table: pd.DataFrame) -> Figure:
    """Bound over training compute (top) and what uniform noise costs (bottom)."""
    studies = [s for s in STUDIES if table[table.study == s]["size"].nunique() > 1]
    table = table[table.study.isin(studies)] if studies else table
    figure, panels = _panels(table, rows=2, height=2.3)
    colours = _colours(table.p_u)
    for study, (top, bottom) in panels.items():
        for p_u, line in table[table.study == study].groupby("p_u"):
            top.plot(line.compute, line.nats_per_token, marker="o", markersize=4, color=colours[p_u], label=f"{p_u:g}")
            bottom.plot(line.compute, line.gap, marker="o", markersize=4, color=colours[p_u])
        for ax, label in ((top, "bound (nats/token)"), (bottom, "above $p_u = 0$ (nats)")):
            ax.set(xscale="log", ylabel=label)
            _log_ticks(ax.xaxis, "{:.0e}", labelled=(1.0, 3.0))
        bottom.set_xlabel("training compute (FLOP)")
    _legend(figure, next(iter(panels.values()))[0], "$p_u$")
    return figure

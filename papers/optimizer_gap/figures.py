"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, SymmetricalLogLocator
from scipy.special import erf

from shared.artifacts.plots import colours, legend, line, lines, log_ticks, panels, scale_line, styles, value_ticks

METHODS = ["SGD", "Signum", "Adam", "Adam, beta2 tuned"]
SHOWN = {"Adam": r"Adam, $\beta_2=0.95$", "Adam, beta2 tuned": r"Adam, tuned $\beta_2$", "signsgd": "SignSGD"}
SHOWN |= {"sgd": "SGD", "signum": "Signum"}


def _batch_axis(ax: Axes, table: pd.DataFrame, label: str = "batch size (sequences)") -> None:
    value_ticks(ax.xaxis, table.batch_size, log=2)
    ax.set_xlabel(label)


def fig_lr_sweep(table: pd.DataFrame) -> Figure:
    """Loss over the learning rate, a column per batch size; Adam above, SGD below with the best Adam dotted."""
    batch_sizes = sorted(table.batch_size.unique())
    figure, axes = panels(2 * len(batch_sizes), most=len(batch_sizes), height=2.3, beside=1.4, sharey="row")
    for row, (method, name) in enumerate((("Adam", r"Adam's $\beta_2$"), ("SGD", "SGD's momentum"))):
        own = table[table.method == method]
        style, row_axes = styles(own.setting), axes[row * len(batch_sizes) :][: len(batch_sizes)]
        for ax, batch_size in zip(row_axes, batch_sizes, strict=True):
            part = own[own.batch_size == batch_size]
            lines(ax, part, "lr", "val_loss", by="setting", looks=style, error="standard_error")
            if method == "SGD":
                adam = table[(table.batch_size == batch_size) & (table.method == "Adam")]
                scale_line(ax, adam.val_loss.min(), "best Adam")
            ax.set(xscale="log", xlabel=f"learning rate of {method}")
            ax.set_title("" if row else f"batch size {batch_size}")
            log_ticks(ax.xaxis, (1.0, 3.0))
        row_axes[0].set_ylabel("validation loss (nats)")
        found = dict(zip(*reversed(row_axes[-1].get_legend_handles_labels()), strict=True))
        row_axes[-1].legend(found.values(), found.keys(), title=name, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return figure


def fig_gap(table: pd.DataFrame) -> Figure:
    """Left: best loss of each method over the batch size. Right: SGD's gap to both columns of Adam."""
    figure, axes = panels(2, width=2.8, beside=1.5, sharey=False)
    options = {"by": "method", "looks": styles(METHODS), "error": "standard_error", "shown": SHOWN}
    for ax, panel in zip(axes, ("loss", "gap"), strict=True):
        lines(ax, table[table.panel == panel], "batch_size", "val_loss", **options)
        _batch_axis(ax, table)
    scale_line(axes[0], table[table.method == "unigram entropy"].val_loss.max(), "unigram entropy")
    scale_line(axes[1], 0, "no gap", linestyle="-", linewidth=0.8)
    axes[0].set(ylabel="best validation loss (nats)")
    axes[1].set(ylabel="SGD minus Adam (nats)")
    legend(figure, axes)
    return figure


def fig_groups(table: pd.DataFrame) -> Figure:
    """Bars: gap of each frequency group, one colour per batch size; standard errors where there are seeds."""
    figure, ax = plt.subplots(figsize=(5.8, 2.8))
    batch_sizes, groups = sorted(table.batch_size.unique()), sorted(table.group.unique())
    palette, width = colours(batch_sizes), 0.8 / len(batch_sizes)
    for index, batch_size in enumerate(batch_sizes):
        part = table[table.batch_size == batch_size].sort_values("group")
        at, error = part.group + (index - (len(batch_sizes) - 1) / 2) * width, part.gap_val_error
        ax.bar(
            at, part.gap_val, width, color=palette[batch_size], label=f"{batch_size}",
            yerr=error if error.notna().any() else None, hatch=("", "///", "...", "xx", "\\\\")[index % 5],
            edgecolor="white", linewidth=0.5,
        )  # fmt: skip
    types = table.groupby("group").num_types.first()
    ax.axhline(0, color="0.3", linewidth=0.8)
    ax.set_xticks(groups, [f"{g + 1}\n{types[g]} tokens" for g in groups])
    ax.set(xlabel="frequency group, frequent to rare, of about equal mass", ylabel="SGD minus Adam (nats)")
    legend(figure, ax, "batch size")
    return figure


def fig_interventions(table: pd.DataFrame) -> Figure:
    """Bars: how far each arm stays above Adam at the largest batch; dotted: SGD."""
    figure, ax = plt.subplots(figsize=(5.8, 0.34 * len(table) + 0.9))
    above = table.val_loss - float(table[table.arm == "Adam"].val_loss.iloc[0])
    table = table.assign(above=above).sort_values("above", ascending=False)
    looks = {True: ("C0", "///"), False: ("C1", "")}
    colors, hatches = zip(*(looks[arm in METHODS] for arm in table.arm), strict=True)
    error = table.standard_error if table.standard_error.notna().any() else None
    bars = ax.barh(table.arm, table.above, color=colors, hatch=hatches, edgecolor="white", xerr=error)
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    ax.bar_label(bars, labels=[f"{loss:.2f}" for loss in table.val_loss], padding=3, fontsize=8, bbox=behind)
    ax.axvline(float(table[table.arm == "SGD"].above.iloc[0]), color="0.35", linestyle=":", linewidth=1.1)
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel(f"validation loss less Adam's (nats), batch size {int(table.batch_size.iloc[0])}")
    return figure


def fig_momentum(table: pd.DataFrame) -> Figure:
    """SGD's best loss over the momentum, a panel per batch size, with and without clipping."""
    batch_sizes, momenta = sorted(table.batch_size.unique()), sorted(table.momentum.unique())
    figure, axes = panels(len(batch_sizes), sharey=False)
    table, looks = table.assign(place=table.momentum.map(momenta.index)), styles(["norm 1", "none"])
    for ax, batch_size in zip(axes, batch_sizes, strict=True):
        part = table[table.batch_size == batch_size]
        lines(ax, part, "place", "val_loss", by="clip", looks=looks, error="standard_error")
        ax.set_xticks(range(len(momenta)), [f"{m:g}" for m in momenta])
        ax.set(title=f"batch size {batch_size}", xlabel="momentum")
        ax.margins(x=0.1)
    axes[0].set_ylabel("best validation loss (nats)")
    legend(figure, axes, "clipping")
    return figure


def fig_sharpness(table: pd.DataFrame) -> Figure:
    """Along training: correlation, sharpness, and predicted against actual change; a column per batch size."""
    batch_sizes, style = sorted(table.batch_size.unique()), styles(["SGD", "Adam"])
    table = table.assign(
        slope=-table.correlation, decrease=-table.actual_change, predicted=-(table.first_order + table.second_order)
    )
    rows = [
        (r"$-\langle\nabla f,u\rangle$", "slope", 1e-3),
        (r"$u^\top \nabla^2 f\, u$", "sharpness", 1e-2),
        ("decrease of the loss\nby one update (nats)", "decrease", 1e-4),
    ]
    figure, axes = panels(3 * len(batch_sizes), most=len(batch_sizes), height=1.9, sharex=True, sharey="row")
    grid = np.reshape(axes, (3, -1))
    for row_axes, (label, _, threshold) in zip(grid, rows, strict=True):
        row_axes[0].set_ylabel(label)
        for ax in row_axes:
            ax.set_yscale("symlog", linthresh=threshold, linscale=1.5)
            ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=threshold, subs=[1.0]))
            ax.yaxis.get_major_locator().set_params(numticks=6)
            ax.axhline(0, color="0.5", linewidth=0.8)
    for column, batch_size in enumerate(batch_sizes):
        own = table[table.batch_size == batch_size]
        for ax, (_, name, _) in zip(grid[:, column], rows, strict=True):
            lines(ax, own, "progress", name, by="method", looks=style)
        for method, part in own.groupby("method", sort=False):
            color = style[method]["color"]
            grid[2, column].plot(part.progress, part.predicted, "x", color=color, label=f"{method}, predicted")
        grid[0, column].set_title(f"batch size {batch_size}")
        grid[2, column].set_xlabel("share of training")
    legend(figure, axes)
    return figure


def fig_signal(table: pd.DataFrame) -> Figure:
    """Left: erf and its tangent. Right: where the coordinates of a trained model lie, |g| / sigma of one sequence."""
    figure, (left, right) = panels(2, width=3.4, beside=0, sharey=False)
    z = np.linspace(0, 2, 200)
    left.plot(z, erf(z), label=r"$\mathrm{erf}(z)$: mean sign")
    left.plot(z, 2 * z / np.sqrt(np.pi), "--", label=r"tangent $2z/\sqrt{\pi}$")
    left.axvspan(0, 0.39, color="0.85", label="within 5%")
    left.set(xlabel=r"$z=\sqrt{B/2}\,g/\sigma$", ylabel="drift of SignSGD", ylim=(0, 1.6), xlim=(0, 2))
    left.legend(loc="lower right")
    style = styles(table.progress, lines=True)
    for progress, part in table.groupby("progress"):
        centre = 10 ** ((part.low + part.high) / 2)
        label = f"{progress:.0%} of training"
        right.plot(centre, part.share / (part.high - part.low), label=label, **style[progress])
    right.axvline(float(table.resolution.iloc[0]), color="0.5", linestyle=":", linewidth=1.1, label="resolution")
    right.set(xscale="log", xlabel=r"$|g|/\sigma$ of a coordinate, one sequence", ylabel="density over decades")
    right.set(xlim=(1e-4, 10), ylim=(0, 1.5 * (table.share / (table.high - table.low)).max()))
    right.legend(loc="upper right", fontsize=7)
    return figure


def fig_decay(table: pd.DataFrame) -> Figure:
    """Expected loss over time: SGD left, SignSGD right; batch sizes above (dots: diffusion), noise levels below."""
    figure, axes = panels(4, most=2, width=2.8, height=2.3, beside=1.2, sharex=True, sharey="row")
    for row, (panel, name, title) in enumerate(
        (("batch size", "batch_size", "batch size"), ("noise level", "sigma", r"noise $\sigma$"))
    ):
        own = table[table.panel == panel]
        style = styles(own[name], lines=True)
        for ax, method in zip(axes[2 * row :], ("sgd", "signsgd"), strict=False):
            for value, part in own[own.method == method].groupby(name):
                ax.plot(part.time, part.discrete, label=f"{value:g}", **style[value])
                ax.plot(part.time[::4], part.euler[::4], "o", markersize=3, color=style[value]["color"], alpha=0.6)
            ax.set(yscale="log", title=SHOWN[method] if row == 0 else "", xlabel=r"time $t=k\eta$" if row else "")
            ax.yaxis.set_minor_formatter(NullFormatter())
        axes[2 * row + 1].legend(title=title, loc="upper left", bbox_to_anchor=(1.02, 1.0))
        axes[2 * row].set_ylabel(r"$\mathbb{E} f$, $f(x)=x^2/2$")
    return figure


def fig_stationary(table: pd.DataFrame) -> Figure:
    """Stationary variance over the batch size, with the small-eta formulas."""
    figure, ax = plt.subplots(figsize=(4.4, 2.7))
    for (method, style), slope in zip(styles(["sgd", "signsgd"]).items(), ("B^{-1}", "B^{-1/2}"), strict=True):
        part = table[table.method == method].sort_values("batch_size")
        ax.plot(part.batch_size, part.formula, color=style["color"], linestyle="-" if method == "sgd" else "--")
        label = f"{SHOWN[method]}: ${slope}$"
        ax.plot(part.batch_size, part.variance, linestyle="none", markersize=4, label=label, **style)
    ax.set(yscale="log", ylabel="stationary variance")
    _batch_axis(ax, table, "batch size")
    ax.legend(loc="lower left")
    return figure


def fig_quadratics(table: pd.DataFrame) -> Figure:
    """SGD's loss over Adam's by batch size: additive noise left, sampled rows right; bands are standard errors."""
    figure, axes = panels(2, width=3.1, beside=0.4, sharey=False)
    table = table[table.optimizer == "sgd"]
    style, dashes = styles(["hom", "het"]), dict(zip(sorted(table.sigma.unique()), ("-", "--", ":"), strict=False))
    for ax, (noise, title) in zip(axes, (("additive", "additive noise"), ("rows", "sampled rows")), strict=True):
        part = table[table.noise == noise]
        for (landscape, sigma), own in part.groupby(["landscape", "sigma"], sort=False):
            label = landscape + (rf", $\sigma={sigma:g}$" if noise == "additive" else "")
            look = style[landscape] | {"linestyle": dashes[sigma], "label": label}
            line(ax, own.batch_size, own.over_adam, error=own.over_adam * own.relative_error, **look)
        scale_line(ax, 1, "_as Adam", linestyle="-", linewidth=0.8)
        ax.set(title=title, yscale="log")
        _batch_axis(ax, part, "batch size")
        ax.legend(loc="best")
    log_ticks(axes[0].yaxis, (1.0, 2.0, 4.0, 6.0))
    axes[0].set_ylabel("loss of SGD over loss of Adam")
    return figure

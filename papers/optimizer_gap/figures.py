"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator, SymmetricalLogLocator
from scipy.special import erf

METHODS = ["SGD", "Signum", "Adam", "Adam, beta2 tuned"]
SHOWN = {"Adam": r"Adam, $\beta_2=0.95$", "Adam, beta2 tuned": r"Adam, tuned $\beta_2$", "signsgd": "SignSGD"}
SHOWN |= {"sgd": "SGD", "signum": "Signum"}


def _colours(names: list) -> dict:
    return dict(zip(names, sns.color_palette("colorblind"), strict=False))


def _batch_axis(ax: Axes, batch_sizes: list[int], label: str = "batch size (sequences)") -> None:
    """Logarithmic axis labelled at the batch sizes only."""
    ax.set_xscale("log", base=2)
    ax.set_xticks(batch_sizes, [f"{b:g}" for b in batch_sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(label)


def _log_ticks(axis: Axis, subs: tuple[float, ...] = (1.0,)) -> None:
    """Labels at `subs` times powers of ten only, in plain numbers."""
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def fig_lr_sweep(table: pd.DataFrame) -> Figure:
    """Loss over the learning rate, a column per batch size; Adam above, SGD below with the best Adam dashed."""
    batch_sizes = sorted(table.batch_size.unique())
    figure, axes = plt.subplots(2, len(batch_sizes), figsize=(2.3 * len(batch_sizes) + 1.6, 4.4), sharey="row")
    axes = np.reshape(axes, (2, -1))
    top = float(table.val_loss.max())
    for row, (method, name) in enumerate((("Adam", r"$\beta_2$"), ("SGD", "momentum"))):
        settings = sorted(table[table.method == method].setting.unique())
        colours = dict(zip(settings, sns.color_palette("viridis", len(settings)), strict=True))
        for ax, batch_size in zip(axes[row], batch_sizes, strict=True):
            part = table[(table.batch_size == batch_size) & (table.method == method)]
            for setting, line in part.groupby("setting"):
                ax.plot(line.lr, line.val_loss, "o-", markersize=3.5, color=colours[setting], label=f"{setting:g}")
                gone = line[line.val_loss.isna()]
                ax.plot(gone.lr, np.full(len(gone), top), "x", color=colours[setting])
            if method == "SGD":
                adam = table[(table.batch_size == batch_size) & (table.method == "Adam")].val_loss.min()
                ax.axhline(adam, color="0.3", linestyle="--", linewidth=1, label="best Adam")
            ax.set(xscale="log", xlabel=f"learning rate of {method}" + (" (EMA form)" if method == "SGD" else ""))
            _log_ticks(ax.xaxis, (1.0, 3.0))
            ax.xaxis.set_minor_locator(NullLocator())
            if row == 0:
                ax.set_title(f"batch size {batch_size}")
        axes[row, 0].set_ylabel("validation loss (nats)")
        handles, labels = axes[row, 0].get_legend_handles_labels()
        axes[row, -1].legend(handles, labels, title=name, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return figure


def fig_gap(table: pd.DataFrame) -> Figure:
    """Left: best loss of each method over the batch size. Right: SGD's gap to both columns of Adam."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.8))
    colours = _colours(METHODS)
    batch_sizes = sorted(table.batch_size.unique())
    for ax, panel in ((left, "loss"), (right, "gap")):
        for method in METHODS:
            line = table[(table.panel == panel) & (table.method == method)].sort_values("batch_size")
            if len(line):
                label = SHOWN.get(method, method) if panel == "loss" else None
                ax.plot(line.batch_size, line.val_loss, "o-", markersize=4, color=colours[method], label=label)
        _batch_axis(ax, batch_sizes)
    right.axhline(0, color="0.5", linewidth=0.8)
    left.set(ylabel="best validation loss (nats)")
    right.set(ylabel="SGD minus Adam (nats)")
    figure.legend(loc="outside right center")
    return figure


def fig_groups(table: pd.DataFrame) -> Figure:
    """Bars: gap of each frequency group, one colour per batch size."""
    figure, ax = plt.subplots(figsize=(5.8, 2.8))
    batch_sizes, groups = sorted(table.batch_size.unique()), sorted(table.group.unique())
    palette, width = sns.color_palette("crest", len(batch_sizes)), 0.8 / len(batch_sizes)
    for index, batch_size in enumerate(batch_sizes):
        part = table[table.batch_size == batch_size].sort_values("group")
        at = part.group + (index - (len(batch_sizes) - 1) / 2) * width
        ax.bar(at, part.gap_val, width, color=palette[index], label=f"{batch_size}")
    types = table.groupby("group").num_types.first()
    ax.axhline(0, color="0.3", linewidth=0.8)
    ax.set_xticks(groups, [f"{g + 1}\n{types[g]} tokens" for g in groups])
    ax.set(xlabel="frequency group, frequent to rare, of about equal mass", ylabel="SGD minus Adam (nats)")
    ax.legend(title="batch size", loc="upper left")
    return figure


def fig_interventions(table: pd.DataFrame) -> Figure:
    """Bars: how far each arm stays above Adam at the largest batch; dashed: SGD."""
    figure, ax = plt.subplots(figsize=(5.8, 0.34 * len(table) + 0.9))
    above = table.val_loss - float(table[table.arm == "Adam"].val_loss.iloc[0])
    table = table.assign(above=above).sort_values("above", ascending=False)
    palette = sns.color_palette("colorblind")
    colours = [palette[7] if arm in ("SGD", "Adam", "Signum") else palette[0] for arm in table.arm]
    bars = ax.barh(table.arm, table.above, color=colours)
    ax.bar_label(bars, labels=[f"{loss:.2f}" for loss in table.val_loss], padding=3, fontsize=8)
    ax.axvline(float(table[table.arm == "SGD"].above.iloc[0]), color="0.3", linestyle="--", linewidth=0.9)
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel(f"validation loss less Adam's (nats), batch size {int(table.batch_size.iloc[0])}")
    return figure


def fig_momentum(table: pd.DataFrame) -> Figure:
    """SGD's best loss over the momentum, a panel per batch size, with and without clipping."""
    batch_sizes, momenta = sorted(table.batch_size.unique()), sorted(table.momentum.unique())
    figure, axes = plt.subplots(1, len(batch_sizes), figsize=(2.2 * len(batch_sizes) + 1.2, 2.5), squeeze=False)
    for ax, batch_size in zip(axes[0], batch_sizes, strict=True):
        for clip, style in (("norm 1", "o-"), ("none", "s--")):
            line = table[(table.batch_size == batch_size) & (table["clip"] == clip)].sort_values("momentum")
            ax.plot([momenta.index(m) for m in line.momentum], line.val_loss, style, markersize=4, label=clip)
        ax.set_xticks(range(len(momenta)), [f"{m:g}" for m in momenta])
        ax.set(title=f"batch size {batch_size}", xlabel="momentum")
    axes[0, 0].set_ylabel("best validation loss (nats)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), title="clipping", loc="outside right center")
    return figure


def fig_sharpness(table: pd.DataFrame) -> Figure:
    """Along training: correlation, sharpness, and predicted against actual change; a column per batch size."""
    batch_sizes = sorted(table.batch_size.unique())
    rows = [
        (r"$-\langle\nabla f,u\rangle$", "correlation", -1.0),
        (r"$u^\top \nabla^2 f\, u$", "sharpness", 1.0),
        ("decrease of the loss\nby one update (nats)", "actual_change", -1.0),
    ]
    figure, axes = plt.subplots(3, len(batch_sizes), figsize=(2.3 * len(batch_sizes) + 1.6, 5.6), sharex=True)
    axes, colours = np.reshape(axes, (3, -1)), _colours(["SGD", "Adam"])
    for column, batch_size in enumerate(batch_sizes):
        for method in ("SGD", "Adam"):
            line = table[(table.batch_size == batch_size) & (table.method == method)].sort_values("step")
            for ax, (_, name, sign) in zip(axes[:, column], rows, strict=True):
                ax.plot(line.progress, sign * line[name], "o-", markersize=3.5, color=colours[method], label=method)
            predicted = -(line.first_order + line.second_order)
            axes[2, column].plot(
                line.progress, predicted, "x", color=colours[method], markersize=5, label=f"{method}, predicted"
            )
        for ax, threshold in zip(axes[:, column], (1e-3, 1e-3, 1e-4), strict=True):
            ax.set_yscale("symlog", linthresh=threshold)
            ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=threshold, subs=[1.0]))
            ax.yaxis.get_major_locator().set_params(numticks=6)
            ax.axhline(0, color="0.5", linewidth=0.8)
        axes[0, column].set_title(f"batch size {batch_size}")
        axes[2, column].set_xlabel("share of training")
    for ax, (label, _, _) in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(label)
    figure.legend(*axes[2, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def fig_signal(table: pd.DataFrame) -> Figure:
    """Left: erf and its tangent. Right: where the coordinates of a trained model lie, |g| / sigma of one sequence."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.7))
    z = np.linspace(0, 2, 200)
    left.plot(z, erf(z), label=r"$\mathrm{erf}(z)$: mean sign")
    left.plot(z, 2 * z / np.sqrt(np.pi), "--", label=r"tangent $2z/\sqrt{\pi}$")
    left.axvspan(0, 0.39, color="0.9", label="within 5%")
    left.set(xlabel=r"$z=\sqrt{B/2}\,g/\sigma$", ylabel="drift of SignSGD", ylim=(0, 1.6), xlim=(0, 2))
    left.legend(loc="upper left")
    for (progress, part), colour in zip(table.groupby("progress"), sns.color_palette("crest", 3), strict=False):
        centre = 10 ** ((part.low + part.high) / 2)
        right.plot(centre, part.share / (part.high - part.low), color=colour, label=f"{progress:.0%} of training")
    right.axvline(float(table.resolution.iloc[0]), color="0.5", linestyle=":", linewidth=1)
    right.text(float(table.resolution.iloc[0]) * 0.9, 0.02, "resolution", rotation=90, ha="right", va="bottom",
               fontsize=7, color="0.4")  # fmt: skip
    right.set(xscale="log", xlabel=r"$|g|/\sigma$ of a coordinate, one sequence", ylabel="density over decades")
    right.set_xlim(1e-4, 10)
    right.legend(loc="upper right", fontsize=7)
    return figure


def fig_decay(table: pd.DataFrame) -> Figure:
    """Expected loss over time: SGD left, SignSGD right; batch sizes above (dots: diffusion), noise levels below."""
    figure, axes = plt.subplots(2, 2, figsize=(6.8, 4.6), sharex=True, sharey="row")
    for row, (panel, name) in enumerate((("batch size", "batch_size"), ("noise level", "sigma"))):
        values = sorted(table[table.panel == panel][name].unique())
        palette = dict(zip(values, sns.color_palette("viridis", len(values)), strict=True))
        for ax, method in zip(axes[row], ("sgd", "signsgd"), strict=True):
            for value in values:
                line = table[(table.panel == panel) & (table.method == method) & (table[name] == value)]
                ax.plot(line.time, line.discrete, color=palette[value], label=f"{value:g}")
                ax.plot(line.time[::4], line.euler[::4], "o", markersize=3, color=palette[value], alpha=0.6)
            ax.set(yscale="log")
            ax.yaxis.set_minor_formatter(NullFormatter())
            if row == 0:
                ax.set_title(SHOWN[method])
        handles, labels = axes[row, 1].get_legend_handles_labels()
        axes[row, 1].legend(handles, labels, title=name.replace("_", " ").replace("sigma", r"noise $\sigma$"),
                            loc="upper left", bbox_to_anchor=(1.02, 1.0))  # fmt: skip
        axes[row, 0].set_ylabel(r"$\mathbb{E} f$, $f(x)=x^2/2$")
    for ax in axes[1]:
        ax.set_xlabel(r"time $t=k\eta$")
    return figure


def fig_stationary(table: pd.DataFrame) -> Figure:
    """Stationary variance over the batch size, with the small-eta formulas."""
    figure, ax = plt.subplots(figsize=(4.4, 2.7))
    colours = _colours(["sgd", "signsgd"])
    for method, slope in (("sgd", "B^{-1}"), ("signsgd", "B^{-1/2}")):
        line = table[table.method == method].sort_values("batch_size")
        ax.plot(line.batch_size, line.formula, color=colours[method], label=f"{SHOWN[method]}: ${slope}$")
        ax.plot(line.batch_size, line.variance, "o", color=colours[method], markersize=4)
    ax.set(yscale="log", ylabel="stationary variance")
    _batch_axis(ax, sorted(table.batch_size.unique()), "batch size")
    ax.legend(loc="lower left")
    return figure


def fig_quadratics(table: pd.DataFrame) -> Figure:
    """SGD's loss over Adam's by batch size: additive noise left, sampled rows right."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.8))
    table = table[table.optimizer == "sgd"]
    colours, styles = _colours(["hom", "het"]), ["-", "--", ":"]
    for ax, (noise, title) in zip(axes, (("additive", "additive noise"), ("rows", "sampled rows")), strict=True):
        part = table[table.noise == noise]
        for style, sigma in zip(styles, sorted(part.sigma.unique()), strict=False):
            for landscape in ("hom", "het"):
                line = part[(part.sigma == sigma) & (part.landscape == landscape)].sort_values("batch_size")
                label = landscape + (rf", $\sigma={sigma:g}$" if noise == "additive" else "")
                ax.plot(
                    line.batch_size, line.over_adam, f"o{style}", markersize=4, color=colours[landscape], label=label
                )
        ax.axhline(1, color="0.5", linewidth=0.8)
        ax.set(title=title, yscale="log")
        _batch_axis(ax, sorted(part.batch_size.unique()), "batch size")
        ax.legend(loc="best")
    axes[0].set_ylabel("loss of SGD over loss of Adam")
    return figure

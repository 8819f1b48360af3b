"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext, NullFormatter
from scipy.special import erf

from shared.artifacts import plots
from shared.artifacts.line_panels import decade_ticks, line_panels
from shared.artifacts.plots import legend, lines, log_ticks, panels, scale_line, styles, value_ticks, zero_line

SHOWN = {"SGD": "SGD", "Adam": r"Adam, $\beta_2=0.95$", "Adam, beta2 tuned": r"Adam, tuned $\beta_2$"}
PLAIN = ["SGD", "Adam", "Signum"]  # arms that are no intervention
ON_A_LINE = {"sgd": "SGD", "signsgd": "SignSGD"}
TUNED_BESIDE = {"Adam": r"Adam's $\beta_1$ ($\beta_2=0.95$)", "Adam, beta2 tuned": r"Adam's $\beta_2$ ($\beta_1=0.9$)"}


def _batch_axis(ax: Axes, table: pd.DataFrame, label: str = "batch size (sequences)") -> None:
    value_ticks(ax.xaxis, table.batch_size, log=2, most=7)
    ax.set_xlabel(label)


def fig_lr_sweep(table: pd.DataFrame) -> Figure:
    """Loss over the learning rate, a column per batch size, a row per method; the best Adam dotted under SGD."""
    batch_sizes, rows = sorted(table.batch_size.unique()), TUNED_BESIDE | {"SGD": "SGD's momentum"}
    size = {"width": 1.7, "height": 2.0, "beside": 1.7}
    figure, axes = panels(len(rows) * len(batch_sizes), most=len(batch_sizes), sharex="row", sharey=True, **size)
    grid = np.reshape(axes, (len(rows), -1))
    for row_axes, (method, title) in zip(grid, rows.items(), strict=True):
        own = table[table.method == method].sort_values("setting")
        own = own.assign(setting=own.setting.map("{:g}".format))
        style = plots.nested(styles(own.setting))
        for ax, batch_size in zip(row_axes, batch_sizes, strict=True):
            part = own[own.batch_size == batch_size]
            lines(ax, part, "lr", "val_loss", by="setting", looks=style, error="standard_error")
            ax.set_xscale("log")
            log_ticks(ax.xaxis, (1.0, 3.0))
            ax.set_title(f"batch size {batch_size}" if method == "Adam" else "")
            if method == "SGD":
                adam = table[(table.batch_size == batch_size) & (table.method != "SGD")]
                scale_line(ax, adam.val_loss.min(), "best Adam")
        row_axes[0].set_ylabel("validation loss (nats)")
        row_axes[0].set_xlabel(f"learning rate of {method.partition(',')[0]}")
        found = {name: line for ax in row_axes for line, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        found = {name: found[name] for name in [*style, "best Adam"] if name in found}
        row_axes[-1].legend(found.values(), found.keys(), title=title, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return figure


def fig_gap(table: pd.DataFrame) -> Figure:
    """Left: best loss of each method over the batch size. Right: SGD's gap to Adam, and where it changes sign."""
    figure, axes = panels(2, width=2.9, beside=1.9, sharey=False)
    looks = styles([*SHOWN, "equal updates"])
    looks["equal updates"]["linestyle"] = "--"
    shown = SHOWN | {"equal updates": r"Adam, $\beta_2=0.95$, equal updates"}
    for ax, panel in zip(axes, ("loss", "gap"), strict=True):
        own = table[table.panel == panel]
        lines(ax, own, "batch_size", "val_loss", by="method", looks=looks, error="band", shown=shown)
        _batch_axis(ax, own)
    scale_line(axes[0], table[table.method == "unigram entropy"].val_loss.max(), "unigram entropy")
    for _, row in table[(table.panel == "crossover") & table.low.notna() & table.high.notna()].iterrows():
        name = f"change of sign, 95%,\n{shown[row.method]}"
        axes[1].axvspan(row.low, row.high, color=looks[row.method]["color"], alpha=0.12, linewidth=0, label=name)
    zero_line(axes[1])
    for ax, label in zip(axes, ("best validation loss (nats)", "SGD minus Adam (nats)"), strict=True):
        ax.set_ylabel(label)
    legend(figure, axes)
    return figure


def fig_groups(table: pd.DataFrame) -> Figure:
    """Gap to both columns of Adam over the batch size, a line per frequency group; bands are standard errors."""
    figure, axes = panels(2, width=2.9, beside=1.7, sharey=True)
    names = [f"{group + 1} ({number} tokens)" for group, number in zip(table.group, table.num_types, strict=True)]
    table = table.assign(name=names).sort_values(["group", "batch_size"])
    for ax, name, method in zip(axes, ("gap_val", "gap_tuned"), ("Adam", "Adam, beta2 tuned"), strict=True):
        lines(ax, table, "batch_size", name, by="name", looks=styles(table.name), error=f"{name}_error")
        zero_line(ax)
        _batch_axis(ax, table)
        ax.set(title=SHOWN[method], ylabel="SGD minus Adam (nats)" if method == "Adam" else "")
    legend(figure, axes, "group, frequent to rare")
    return figure


def fig_interventions(table: pd.DataFrame) -> Figure:
    """Bars: how far each arm stays behind Adam at the largest batch, seed by seed; dotted: SGD; right: its loss."""
    figure, ax = plt.subplots(figsize=(5.8, 0.34 * len(table) + 0.9))
    table = table.sort_values("behind", ascending=False)
    looks = {True: ("C0", "///"), False: ("C1", "")}
    colors, hatches = zip(*(looks[arm in PLAIN] for arm in table.arm), strict=True)
    error = table.behind_error if table.behind_error.notna().any() else None
    ax.barh(table.arm, table.behind, color=colors, hatch=hatches, edgecolor="white", xerr=error)
    for place, loss in enumerate(table.val_loss):
        ax.text(1.02, place, f"{loss:.2f} nats", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.axvline(float(table[table.arm == "SGD"].behind.iloc[0]), color="0.35", linestyle=":", linewidth=1.1)
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.invert_yaxis()
    ax.set_xlabel(f"validation loss less Adam's (nats), batch size {int(table.batch_size.iloc[0])}")
    return figure


def fig_momentum(table: pd.DataFrame) -> Figure:
    """Best loss over SGD's momentum and Adam's beta1, a line per batch size; dashed: SGD unclipped; hollow: an edge."""
    table = table.assign(place=-np.log(1 - table.momentum))
    ticks = table[["place", "momentum"]].drop_duplicates().sort_values("place")
    figure, axes = panels(2, width=3.0, beside=1.6, sharey=True)
    looks = styles(sorted(table.batch_size.unique()))
    for (method, clip), part in table.groupby(["method", "clip"], sort=False):
        ax, dash = axes[int(method == "Adam")], {"linestyle": "--"} if clip == "none" else {}
        own = {size: look | dash | ({"label": f"{size}, no clipping"} if dash else {}) for size, look in looks.items()}
        lines(ax, part, "place", "val_loss", by="batch_size", looks=own, error="standard_error")
        for row in part[part.edge != "inside"].itertuples():
            ax.plot(row.place, row.val_loss, **looks[row.batch_size], markerfacecolor="white", markersize=5, zorder=3)
        ax.set_xticks(ticks.place, ticks.momentum.map("{:g}".format))
        ax.set(title=method, xlabel="momentum" if method == "SGD" else r"$\beta_1$ ($\beta_2=0.95$)")
    if table.edge.ne("inside").any():
        axes[0].plot([], [], "o", color="0.4", markerfacecolor="white", label="best rate at an\nend of its grid")
    axes[0].set_ylabel("best validation loss (nats)")
    legend(figure, axes, "batch size")
    return figure


def fig_sharpness(table: pd.DataFrame) -> Figure:
    """Along training: cosine to the gradient, sharpness per squared length, curvature term over slope term."""
    batch_sizes, looks = sorted(table.batch_size.unique()), styles(["SGD", "Adam"])
    rows = {"cosine": "cosine of update\nand gradient", "normalised_sharpness": r"$u^\top \nabla^2 f\, u\, /\, |u|^2$"}
    rows["overshoot"] = "curvature term\nover slope term"
    figure, axes = panels(3 * len(batch_sizes), most=len(batch_sizes), height=1.8, sharex=True, sharey="row")
    for ax, (name, batch_size) in zip(axes, itertools.product(rows, batch_sizes), strict=True):
        own = table[table.batch_size == batch_size]
        lines(ax, own, "progress", name, by="method", looks=looks, error=f"{name}_error")
        zero_line(ax)
        if batch_size == batch_sizes[0]:
            ax.set_ylabel(rows[name])
        if name == "overshoot":
            ax.set_xlabel("share of training")
            zero_line(ax, 1)
            plots.symlog_ticks(ax.yaxis, (0, 0.5, 1, 2, 5, 20))
        if name == "cosine":
            ax.set_title(f"batch size {batch_size}")
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
            ax.set(yscale="log", title=ON_A_LINE[method] if row == 0 else "", xlabel=r"time $t=k\eta$" if row else "")
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
        style |= {"label": f"{ON_A_LINE[method]}: ${slope}$", "linestyle": "none"}
        ax.plot(part.batch_size, part.variance, markersize=4, **style)
    ax.set(yscale="log", ylabel="stationary variance")
    _batch_axis(ax, table, "batch size")
    ax.legend(loc="lower left")
    return figure


def fig_quadratics(table: pd.DataFrame) -> Figure:
    """SGD's loss over Adam's by batch size, geometric means over rotations with their 95% intervals as bands."""
    additive = table.noise == "additive"
    where = [rf"{case}, $\sigma={sigma:g}$" for case, sigma in zip(table.landscape, table.sigma, strict=True)]
    table = table.assign(
        panel=np.where(additive, where, "sampled rows"),
        series=np.where(additive, table.num_samples.map("{:,} samples".format), table.landscape + ", rows"),
    ).sort_values(["noise", "sigma", "landscape", "num_samples", "batch_size"])
    options = {"labels": ("batch size", "loss of SGD over loss of Adam"), "looks": styles(table.series), "most": 3}
    options |= {"panel": ["panel"], "by": "series", "between": ("low", "high"), "sharey": False}
    figure, axes = line_panels(table, "batch_size", "over_adam", **options)
    for ax, (_, part) in zip(axes, table.groupby("panel", sort=False), strict=True):
        zero_line(ax, 1)
        _batch_axis(ax, part, "batch size")
        if (part.noise == "additive").all():  # panels that are compared
            ax.set_ylim(0.8 * table.low[additive].min(), 1.25 * table.high[additive].max())
            decade_ticks(ax.yaxis)
    axes[-1].yaxis.set_major_formatter(LogFormatterMathtext())
    return figure

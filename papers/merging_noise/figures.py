"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.artifacts.line_panels import decade_ticks, heat_panels, line_panels
from shared.artifacts.plots import legend, line, lines, panels, scale_line, styles, value_ticks

LR, NOISE = "learning rate", r"noise scale $\eta / (B (1 - \mu))$"
ACC, LOSS = "accuracy gain, points", "loss gain, nats"


def _curves(ax: Axes, table: pd.DataFrame, x: str, y: str, by: str, looks: dict, *, error: str | None = None) -> None:
    """Lines through the settings that count; what was dropped is a small cross, off the lines."""
    lines(ax, table[table.kept], x, y, by=by, looks=looks, error=error or f"{y}_error")
    scale_line(ax, 0, "_zero", linestyle="-", linewidth=0.6)


def _log(ax: Axes, label: str) -> None:
    ax.set_xscale("log")
    ax.set_xlabel(label)
    decade_ticks(ax.xaxis)


def _finish(figure: Figure, axes: list[Axes], labels: tuple[str, ...], title: str | None = None) -> Figure:
    """Panels over the learning rate, named by what they show, with a legend."""
    for ax, label in zip(axes, labels, strict=True):
        ax.set_ylabel(label)
        _log(ax, LR)
    legend(figure, axes, title)
    return figure


def _paths(table: pd.DataFrame, titles: pd.Series, x: str, label: str, top: float, height: float = 2.7) -> Figure:
    """Test loss over `x`, a panel per title, a line per learning rate."""
    how = {"panel": ["title"], "by": "lr", "title": LR, "most": 2, "error": "loss_error", "log": ""}
    how |= {"looks": styles(table.lr.unique(), lines=True), "labels": (label, "test loss, nats"), "limits": (0, top)}
    return line_panels(table.assign(title=titles), x, "loss", size=(3.1, height), **how)[0]


def fig_1(table: pd.DataFrame) -> Figure:
    """Rows: accuracy and loss gain; columns: over lr, over batch size, over the noise scale."""
    figure, axes = panels(6, most=3, width=2.6, height=2.4, sharey="row")
    by_size, by_lr = styles(table.batch_size.unique()), styles(table.lr.unique())
    for row, (measure, label) in enumerate((("acc_gain", ACC), ("loss_gain", LOSS))):
        first, second, third = axes[3 * row : 3 * row + 3]
        _curves(first, table, "lr", measure, "batch_size", {k: v | {"label": f"B = {k:g}"} for k, v in by_size.items()})
        shown = {k: v | {"linestyle": "--", "label": f"lr {k:g}"} for k, v in by_lr.items()}
        _curves(second, table, "batch_size", measure, "lr", shown)
        for size, look in by_size.items():
            own = table[table.kept & (table.batch_size == size)]
            third.errorbar(own.noise, own[measure], own[f"{measure}_error"], linestyle="none", markersize=4, **look)
        scale_line(third, 0, "_zero", linestyle="-", linewidth=0.6)
        first.set_ylabel(label)
        _log(first, LR), _log(third, NOISE)
        second.set(xscale="log", xlabel="batch size")
        value_ticks(second.xaxis, table.batch_size.unique())
        if measure == "acc_gain":
            for ax, title in zip((first, second, third), ("over lr", "over batch size", "over both"), strict=True):
                ax.set_title(title)
    legend(figure, axes)
    return figure


def fig_schedules(table: pd.DataFrame) -> Figure:
    """Loss gain over noise: settings as dots, means over half-decades as a line."""
    figure, axes = panels(2, width=3.1, height=2.8, sharey=False)
    for ax, study in zip(axes, ("grid", "constant"), strict=True):
        own = table[table.study == study]
        dots, means = own[own.what == "setting"], own[own.what == "half-decade"].sort_values("noise")
        for size, look in styles(sorted(dots.batch_size.unique())).items():
            part = dots[dots.batch_size == size]
            ax.plot(part.noise, part.loss_gain, linestyle="none", markersize=4, label=f"B = {size:g}", **look)
        line(
            ax, means.noise, means.loss_gain, error=means.loss_gain_error, color="0.2", marker="", label="half-decades"
        )
        scale_line(ax, 0, "_zero", linestyle="-", linewidth=0.6)
        _log(ax, NOISE)
        ax.set_title("cosine schedule" if study == "grid" else "constant learning rate")
    axes[0].set_ylabel(LOSS)
    legend(figure, axes)
    return figure


def fig_2(table: pd.DataFrame) -> Figure:
    """A dot per checkpoint and seed, the median as a line."""
    figure, (ax,) = panels(1, width=4.6, height=3.0)
    lrs = sorted(table.lr.unique())
    width = 0.012 * table.fork.max()
    inside = table.acc_gain[table.kept & (table.fork > 0)]
    low, high = inside.min() - 0.4, inside.max() + 0.4  # a fork at the start may lose tens of points
    for index, (lr, look) in enumerate(styles(lrs).items()):
        own = table[(table.lr == lr) & table.kept]
        shift = (index - (len(lrs) - 1) / 2) * width
        shown, below = own[own.acc_gain >= low], own[own.acc_gain < low]
        ax.plot(shown.fork + shift, shown.acc_gain, linestyle="none", markersize=3.5, alpha=0.6, **look)
        ax.plot(below.fork + shift, np.full(len(below), low), "v", color=look["color"], clip_on=False, markersize=5)
        median = own.groupby("fork").acc_gain.median()
        ax.plot(median.index + shift, median, color=look["color"], linewidth=1.3, label=f"lr {lr:g}")
    scale_line(ax, 0, "_zero", linestyle="-", linewidth=0.6)
    scale_line(ax, 1.2, "paper, eta 0.2", linestyle="--"), scale_line(ax, 0.2, "paper, eta 0.01")
    ax.set(xlabel="update of the fork", ylabel=ACC, ylim=(low, high))
    legend(figure, ax)
    return figure


def fig_momentum(table: pd.DataFrame) -> Figure:
    """Left: one learning rate. Right: loss gain at equal noise, by power 1 (solid) and power 2 (dashed)."""
    figure, axes = panels(2, width=3.1, height=2.8, sharey=False)
    own = table[np.isclose(table.lr, 0.05)]
    line(axes[0], own.momentum, own.acc_gain, error=own.acc_gain_error, label="lr 0.05", **styles("ab")["a"])
    scale_line(axes[0], 1.0, "paper, mu 0.9", linestyle="--"), scale_line(axes[0], 0.2, "paper, low mu")
    axes[0].set(xlabel="momentum", ylabel=ACC, title="equal learning rate")
    for column, dash in (("noise", "-"), ("noise_2", "--")):
        levels = table.groupby(table[column].round(8)).filter(lambda part: part.momentum.nunique() > 1)
        levels = levels[~np.isclose(levels.lr, 0.05)]
        looks = styles(sorted({float(f"{x:.3g}") for x in table.noise[~np.isclose(table.lr, 0.05)]}))
        for level, part in levels.groupby(levels[column].map(lambda x: float(f"{x:.3g}"))):
            name = f"S = {level:g}" if dash == "-" else "_power 2"
            line(axes[1], part.momentum, part.loss_gain, linestyle=dash, label=name, **looks.get(level, {}))
    axes[1].plot([], [], "--", color="0.4", label="equal by power 2")
    axes[1].set(xlabel="momentum", ylabel=LOSS, title="equal noise scale", yscale="log")
    decade_ticks(axes[1].yaxis)
    legend(figure, axes)
    return figure


def fig_decay(table: pd.DataFrame) -> Figure:
    """Gain, accuracy of parents and merge, and effective learning rate over weight decay."""
    figure, axes = panels(3, width=2.6, height=2.6, sharey=False)
    for title, look in styles(table.title.unique()).items():
        own = table[table.title == title]
        line(axes[0], own.weight_decay, own.acc_gain, error=own.acc_gain_error, label=title, **look)
        line(axes[1], own.weight_decay, own.accuracy, label=title, **look)
        line(axes[1], own.weight_decay, own.accuracy_merged, linestyle="--", **look)
        line(axes[2], own.weight_decay, own.eta_eff, label=title, **look)
    scale_line(axes[0], 0, "_zero", linestyle="-", linewidth=0.6)
    axes[2].set_yscale("log")
    for ax, label in zip(axes, (ACC, "accuracy, % (merge dashed)", r"$\eta / |w|^2$, first layer"), strict=True):
        ax.set(ylabel=label, xlabel="weight decay")
        ax.set_xscale("symlog", linthresh=5e-4)
        ax.set_xlim(-2e-4, 1.5 * table.weight_decay.max())
        value_ticks(ax.xaxis, [0, 5e-4, 5e-3, 8e-2], log=None)
    decade_ticks(axes[2].yaxis)
    legend(figure, axes)
    return figure


def fig_augmentation(table: pd.DataFrame) -> Figure:
    """Gain over lr, and how much more noise augmentation makes."""
    figure, axes = panels(3, width=2.6, height=2.6, sharey=False)
    looks = styles(["none", "gaussian", "shift"])
    for ax, measure in zip(axes, ("acc_gain", "loss_gain", "ratio"), strict=True):
        lines(ax, table, "lr", measure, by="augmentation", looks=looks, error=f"{measure}_error")
        scale_line(ax, float(measure == "ratio"), "_no change", linestyle="-", linewidth=0.6)
    return _finish(figure, axes, (ACC, LOSS, "tr Sigma, times"), "augmentation")


def fig_language(table: pd.DataFrame) -> Figure:
    """Loss of parents and merge, and gain, over lr; other decays as single marks."""
    figure, axes = panels(2, width=3.0, height=2.7, sharey=False)
    for decay, look in styles(table.weight_decay.unique()).items():
        own = table[table.weight_decay == decay]
        line(axes[0], own.lr, own.loss_gain, error=own.loss_gain_error, label=f"lam {decay:g}", **look)
        line(axes[1], own.lr, own.loss, **look)
        line(axes[1], own.lr, own.loss - own.loss_gain, linestyle="--", **look)
    scale_line(axes[0], 0, "_zero", linestyle="-", linewidth=0.6)
    return _finish(figure, axes, (LOSS, "test loss, nats (merge dashed)"))


def fig_transfer(table: pd.DataFrame) -> Figure:
    """Accuracy of parents and merge over lr, and the gain."""
    figure, axes = panels(2, width=3.0, height=2.7, sharey=False)
    look = styles("ab")
    line(axes[0], table.lr, table.accuracy, label="fine-tuned", **look["a"])
    line(axes[0], table.lr, table.accuracy_merged, label="merged", linestyle="--", **look["b"])
    line(axes[1], table.lr, table.acc_gain, error=table.acc_gain_error, label="gain", color="0.3", marker="^")
    scale_line(axes[1], 0, "_zero", linestyle="-", linewidth=0.6)
    return _finish(figure, axes, ("test accuracy, %", ACC))


def fig_7(table: pd.DataFrame) -> Figure:
    """Loss over the scale of task vectors."""
    table = table.sort_values(["method", "study"], ascending=False)
    titles = table.study.map({"transfer": "7a: pretrained base, ", "scratch": "7b: base on the trunk, "}) + table.method
    return _paths(table, titles, "scale", "scale of the task vectors", 1.1 * table.loss[table.scale <= 1].max(), 2.3)


def fig_path(table: pd.DataFrame) -> Figure:
    """Loss along the line through two branches."""
    titles = table.study.map({"transfer": "pretrained base", "scratch": "fork on the trunk"})
    return _paths(table, titles, "alpha", "alpha", 1.6 * table.loss[table.alpha.between(0, 1)].max())


def fig_8(table: pd.DataFrame) -> Figure:
    """Normalised accuracy over both learning rates."""
    how = {"panel": ["method"], "rows": "lr_1", "columns": "lr_2", "labels": (f"{LR}, task 2", f"{LR}, task 1")}
    return heat_panels(table, "normalised", high=table.normalised.max(), form="{:.1f}", size=(3.3, 2.7), **how)


def fig_split(table: pd.DataFrame) -> Figure:
    """Accuracy gain over the learning rates before and after the fork."""
    how = {"panel": ["title"], "rows": "lr", "columns": "lr_after", "labels": ("lr after the fork", "lr before it")}
    table = table.assign(title=ACC)
    return heat_panels(table, "acc_gain", high=table.acc_gain.max(), form="{:.2f}", size=(3.3, 2.7), **how)


def fig_rebasin(table: pd.DataFrame) -> Figure:
    """Loss on the line between independent models, plain and aligned."""
    table = table.sort_values("aligned")
    titles = table.aligned.map({True: "after weight matching", False: "as trained"})
    return _paths(table, titles, "alpha", "alpha", 1.05 * table.loss.max())


def fig_barriers(table: pd.DataFrame) -> Figure:
    """Barrier over the noise, a dot per pair."""
    figure, (ax,) = panels(1, width=3.8, height=2.8)
    for name, look in styles(["plain", "aligned"]).items():
        column = f"barrier_{name}"
        means = table.groupby("noise")[column].mean()
        line(ax, means.index, means, label="as trained" if name == "plain" else "after weight matching", **look)
        ax.plot(table.noise, table[column], linestyle="none", markersize=2.5, alpha=0.5, **look)
    _log(ax, NOISE)
    ax.set_ylabel("barrier, nats")
    legend(figure, ax)
    return figure


def fig_cka(table: pd.DataFrame) -> Figure:
    """CKA and gain over noise."""
    figure, axes = panels(2, width=3.0, height=2.7, sharey=False)
    for ax, (measure, label) in zip(axes, (("cka", "CKA of the branches"), ("acc_gain", ACC)), strict=True):
        for size, look in styles(sorted(table.batch_size.unique())).items():
            own = table[table.batch_size == size]
            ax.plot(own.noise, own[measure], linestyle="none", markersize=4.5, label=f"B = {size:g}", **look)
        _log(ax, NOISE)
        ax.set_ylabel(label)
    scale_line(axes[0], 1, "_equal", linestyle="-", linewidth=0.6), scale_line(axes[1], 0, "_zero", linestyle="-")
    legend(figure, axes)
    return figure


def fig_many(table: pd.DataFrame) -> Figure:
    """Gain over the number of branches merged."""
    figure, axes = panels(2, width=2.9, height=2.6, sharey=False)
    for ax, (measure, label) in zip(axes, (("acc_gain", ACC), ("loss_gain", LOSS)), strict=True):
        looks = {k: v | {"label": f"lr {k:g}"} for k, v in styles(table.lr.unique()).items()}
        _curves(ax, table.assign(kept=True), "num_merged", measure, "lr", looks)
        ax.set(xlabel="branches merged", ylabel=label)
        value_ticks(ax.xaxis, table.num_merged.unique(), log=None)
    legend(figure, axes)
    return figure


def fig_optimizers(table: pd.DataFrame) -> Figure:
    """Accuracy gain over lr: SGD beside AdamW; statistics averaged beside reset."""
    figure, axes = panels(2, width=3.0, height=2.7, sharey=False)
    table = table.assign(name=table.study.map({"grid": "SGD", "adamw": "AdamW"}))
    looks = styles(["SGD", "AdamW", "statistics averaged", "statistics reset"])
    how = {"by": "name", "looks": looks, "error": "acc_gain_error"}
    lines(axes[0], table[table.kept], "lr", "acc_gain", **how)
    own = table[table.study == "batchnorm"].assign(name=lambda t: "statistics " + t.statistics)
    lines(axes[1], own, "lr", "acc_gain", **how)
    for ax, title in zip(axes, ("MLP", "CNN with BatchNorm"), strict=True):
        scale_line(ax, 0, "_zero", linestyle="-", linewidth=0.6)
        ax.set_title(title)
    return _finish(figure, axes, (ACC, ACC))

"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.artifacts.line_panels import decade_ticks, heat_panels, line_panels, log_axis, measure_panels
from shared.artifacts.plots import legend, line, lines, marks, panels, scale_line, styles, value_ticks, zero_line
from shared.artifacts.shapes import dots

LR, NOISE = "learning rate", r"noise scale $\eta / (B (1 - \mu))$"
ACC, LOSS = "accuracy gain, points", "loss gain, nats"
GAINS = {"acc_gain": ACC, "loss_gain": LOSS}
HEAT = {"size": (3.3, 2.7)}


def _paths(table: pd.DataFrame, titles: pd.Series, x: str, label: str, top: float, height: float = 2.7) -> Figure:
    """Test loss over `x`, a panel per title, a line per learning rate."""
    how = {"panel": ["title"], "by": "lr", "title": LR, "most": 2, "error": "loss_error", "log": ""}
    how |= {"looks": styles(table.lr.unique(), lines=True), "labels": (label, "test loss, nats"), "limits": (0, top)}
    return line_panels(table.assign(title=titles), x, "loss", size=(3.1, height), **how)[0]


def fig_1(table: pd.DataFrame) -> Figure:
    """Rows: accuracy and loss gain; columns: over lr, over batch size, over the noise scale; settings that count."""
    figure, axes = panels(6, most=3, width=2.6, height=2.4, sharey="row")
    table = table[table.kept]
    sizes, lrs = styles(table.batch_size), {lr: look | {"linestyle": "--"} for lr, look in styles(table.lr).items()}
    by_size = {"by": "batch_size", "looks": sizes, "form": "B = {:g}"}
    for row, (measure, label) in enumerate(GAINS.items()):
        first, second, third = axes[3 * row : 3 * row + 3]
        error = f"{measure}_error"
        lines(first, table, "lr", measure, error=error, **by_size)
        lines(second, table, "batch_size", measure, by="lr", looks=lrs, error=error, form="lr {:g}")
        marks(third, table, "noise", measure, error=error, **by_size)
        log_axis(third.xaxis, NOISE)
        log_axis(first.xaxis, LR)
        second.set_xlabel("batch size")
        value_ticks(second.xaxis, sizes)
        first.set_ylabel(label)
        for ax, title in zip((first, second, third), ("over lr", "over batch size", "over both"), strict=True):
            zero_line(ax)
            ax.set_title(title if row == 0 else "")
    legend(figure, axes)
    return figure


def fig_schedules(table: pd.DataFrame) -> Figure:
    """Loss gain over noise: settings as dots, means over half-decades as a line."""
    figure, axes = panels(2, width=3.1, height=2.8, sharey=False)
    looks = styles(sorted(table.batch_size.dropna().unique()))
    for ax, study in zip(axes, ("grid", "constant"), strict=True):
        own = table[table.study == study]
        dots, means = own[(own.what == "setting") & own.kept.eq(True)], own[own.what == "half-decade"]
        marks(ax, dots, "noise", "loss_gain", by="batch_size", looks=looks, form="B = {:g}")
        log_axis(ax.xaxis, NOISE)
        look = {"color": "0.2", "marker": "", "label": "half-decades"}
        line(ax, means.noise, means.loss_gain, error=means.loss_gain_error, **look)
        zero_line(ax)
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
    zero_line(ax)
    scale_line(ax, 1.2, "paper, eta 0.2", linestyle="--"), scale_line(ax, 0.2, "paper, eta 0.01")
    ax.set(xlabel="update of the fork", ylabel=ACC, ylim=(low, high))
    legend(figure, ax)
    return figure


def fig_momentum(table: pd.DataFrame) -> Figure:
    """Left: one learning rate. Right: loss gain at equal noise, by power 1 (solid) and power 2 (dashed)."""
    figure, (left, right) = panels(2, width=3.1, height=2.8, sharey=False)
    own, levels = table[np.isclose(table.lr, 0.05)], table[~np.isclose(table.lr, 0.05)]
    line(left, own.momentum, own.acc_gain, error=own.acc_gain_error, label="lr 0.05", **styles("ab")["a"])
    scale_line(left, 1.0, "paper, mu 0.9", linestyle="--"), scale_line(left, 0.2, "paper, low mu")
    left.set(xlabel="momentum", ylabel=ACC, title="equal learning rate")
    rounded = levels.assign(**{name: levels[name].map("{:.3g}".format).astype(float) for name in ("noise", "noise_2")})
    looks = styles(rounded.noise.unique())
    for column, dash in (("noise", "-"), ("noise_2", "--")):
        for level, part in rounded.groupby(column):
            if len(part) > 1:
                name = f"S = {level:g}" if dash == "-" else "_power 2"
                error = part.loss_gain_error if dash == "-" else None
                look = looks.get(level, {}) | {"linestyle": dash, "label": name}
                line(right, part.momentum, part.loss_gain, error=error, **look)
    right.plot([], [], "--", color="0.4", label="equal by power 2")
    right.set(xlabel="momentum", ylabel=LOSS, title="equal noise scale", yscale="log")
    decade_ticks(right.yaxis)
    legend(figure, (left, right))
    return figure


def fig_decay(table: pd.DataFrame) -> Figure:
    """Gain, accuracy of parents and merge, and effective learning rate over weight decay."""
    labels = {"acc_gain": ACC, "accuracy": "accuracy, % (merge dashed)", "eta_eff": r"$\eta / |w|^2$, first layer"}
    figure, axes = measure_panels(table, "weight_decay", "title", labels, dashed="accuracy_merged")
    for ax in axes:
        ax.set_xlabel("weight decay")
        ax.set_xscale("symlog", linthresh=5e-4)
        ax.set_xlim(-2e-4, 1.5 * table.weight_decay.max())
        value_ticks(ax.xaxis, [0, 5e-4, 5e-3, 8e-2], log=None)
    decade_ticks(axes[2].yaxis)
    return figure


def fig_augmentation(table: pd.DataFrame) -> Figure:
    """Gain over lr, and how much more noise augmentation makes."""
    table = table.sort_values("augmentation", key=lambda column: column != "none", kind="stable")
    figure, axes = measure_panels(table, "lr", "augmentation", GAINS | {"ratio": "tr Sigma, times"}, log=LR)
    zero_line(axes[2], 1)
    return figure


def fig_language(table: pd.DataFrame) -> Figure:
    """Gain, and loss of parents and merge, over lr; other decays as single marks."""
    table = table.assign(merged=table.loss - table.loss_gain)
    labels = {"loss_gain": LOSS, "loss": "test loss, nats (merge dashed)"}
    return measure_panels(table, "lr", "weight_decay", labels, form="lam {:g}", dashed="merged", log=LR)[0]


def fig_transfer(table: pd.DataFrame) -> Figure:
    """The gain, and accuracy of parents and merge, over lr; a colour for each title that a table has."""
    labels = {"acc_gain": ACC, "accuracy": "accuracy, % (merge dashed)"}
    table = table.assign(base=table.get("title", "pretrained"))
    return measure_panels(table, "lr", "base", labels, dashed="accuracy_merged", log=LR)[0]


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
    """Accuracy over both learning rates; white where normalised accuracy says nothing."""
    labels = [f"{LR}, task {k}" for k in (2, 1)]
    how = {"panel": ["measure", "method"], "rows": "lr_1", "columns": "lr_2", "labels": labels}
    return heat_panels(table, "value", limits=(None, table.value.max()), form="{:.1f}", **HEAT, **how)


def fig_split(table: pd.DataFrame) -> Figure:
    """Accuracy gain over the learning rates before and after the fork."""
    how = {"panel": ["title"], "rows": "lr", "columns": "lr_after", "labels": ("lr after the fork", "lr before it")}
    table = table.assign(title=ACC)
    return heat_panels(table, "acc_gain", limits=(None, table.acc_gain.max()), form="{:.2f}", **HEAT, **how)


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
    log_axis(ax.xaxis, NOISE)
    ax.set_ylabel("barrier, nats")
    legend(figure, ax)
    return figure


def fig_cka(table: pd.DataFrame) -> Figure:
    """CKA and gain over noise."""
    figure, axes = panels(2, width=3.0, height=2.7, sharey=False)
    how = {"by": "batch_size", "looks": styles(sorted(table.batch_size)), "form": "B = {:g}"}
    marks(axes[0], table, "noise", "cka", **how)
    marks(axes[1], table, "noise", "acc_gain", error="acc_gain_error", **how)
    for ax, label, level in zip(axes, ("CKA of the branches", ACC), (1, 0), strict=True):
        ax.set_ylabel(label)
        log_axis(ax.xaxis, NOISE)
        zero_line(ax, level)
    legend(figure, axes)
    return figure


def fig_many(table: pd.DataFrame) -> Figure:
    """Gain over the number of branches merged."""
    figure, axes = measure_panels(table, "num_merged", "lr", GAINS, form="lr {:g}")
    for ax in axes:
        ax.set_xlabel("branches merged")
        value_ticks(ax.xaxis, table.num_merged.unique(), log=None)
    return figure


def fig_methods(table: pd.DataFrame) -> Figure:
    """Gain of each way of merging, a mark per learning rate."""
    rates, parts = {lr: f"lr {lr:g}" for lr in sorted(table.lr.unique())}, {}
    table = table[table.method != "mean of the branches"]  # what all are measured from
    for measure, label in GAINS.items():
        value, error = table[measure], table[f"{measure}_error"]
        parts[label] = table.assign(value=value, low=value - error, high=value + error)
    return dots(parts, "method", "lr", "value", rates, "over the mean of the branches", width=2.8)


def fig_optimizers(table: pd.DataFrame) -> Figure:
    """Accuracy gain over lr: SGD beside AdamW; statistics averaged beside reset."""
    network = table.study == "batchnorm"
    names = table.study.map({"grid": "SGD", "adamw": "AdamW"}).where(~network, "statistics " + table.statistics)
    titles = np.where(network, "CNN with BatchNorm", "MLP")
    table = table.assign(name=names, network=titles)[table.kept | network]
    how = {"panel": ["network"], "by": "name", "error": "acc_gain_error", "log": "x", "sharey": False}
    how |= {"looks": styles(["SGD", "AdamW", "statistics averaged", "statistics reset"]), "labels": (LR, ACC)}
    figure, axes = line_panels(table.sort_values("network", ascending=False), "lr", "acc_gain", size=(3.0, 2.7), **how)
    for ax in axes:
        zero_line(ax)
    return figure


fig_published = fig_transfer

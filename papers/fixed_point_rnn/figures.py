"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.artifacts.line_panels import decade_ticks, line_panels
from shared.artifacts.plots import MARKERS, legend, log_ticks, mark_gone, panels, scale_line, seeds, styles, value_ticks
from shared.artifacts.shapes import heat_maps

SHARE = (-0.03, 1.05)


def _looks(names: pd.Series) -> dict[str, dict]:
    """Styles of many models: no two share a colour, the palette's ten come again darker, with other markers."""
    return {
        n: {"color": tuple(0.5 ** (i // 10) * p for p in look["color"]), "marker": MARKERS[(i + 3 * (i // 10)) % 10]}
        for i, (n, look) in enumerate(styles(dict.fromkeys(names)).items())
    }


def _by_length(ax: Axes, table: pd.DataFrame, y: str, looks: dict, by: str = "model") -> None:
    """A line per value of `by`, thin ones for its seeds, and the training length."""
    for value, look in looks.items():
        own = table[table[by] == value]
        if len(own):
            seeds(ax, own, "test_len", y, each="seed", **{"label": str(value)} | look)
    ax.axvline(table.train_len.iloc[0], color="0.35", linestyle=":", linewidth=1.1, label="training length", zorder=1)
    ax.set_xlabel("test length")
    value_ticks(ax.xaxis, table.test_len, most=8, log=None)


def _dial(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """The models that differ in l_max alone, the others, and styles of the former by l_max."""
    dial = table[table.study == "dial"]
    swept = dial.model.str.contains("l_max")
    looks = styles(sorted(dial.l_max[swept].unique()))
    return dial[swept], dial[~swept], {v: look | {"label": f"$l_{{max}}$ {v}"} for v, look in looks.items()}


def _parts(table: pd.DataFrame, by: str = "study") -> list[tuple[str, pd.DataFrame]]:
    return list(table.groupby(by, sort=False))


def _rows(table: pd.DataFrame, value: str, xlabel: str) -> tuple[Figure, Axes]:
    """A row per model, the first on top: a dot per seed, a bar at their mean."""
    names = list(dict.fromkeys(table.model))
    figure, (ax,) = panels(1, width=4.4, height=0.9 + 0.26 * len(names), beside=0.2)
    for row, (name, look) in enumerate(_looks(table.model).items()):
        own = table[table.model == name][value]
        ax.plot(own, np.full(len(own), row), linestyle="none", markersize=5, **look)
        ax.plot([own.mean()], [row], "|", color="black", markersize=14)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=xlabel, ylim=(len(names) - 0.5, -0.5))
    return figure, ax


def fig_1(table: pd.DataFrame) -> Figure:
    """Accuracy over test length: training l_max on the left, the others on the right."""
    swept, others, looks = _dial(table)
    figure, axes = panels(2, width=3.1, height=3.0, beside=2.2)
    _by_length(axes[0], swept, "seq_acc", looks, by="l_max")
    _by_length(axes[1], others, "seq_acc", styles(others.model.unique()))
    axes[0].set(ylabel="share of words right", title=f"{swept.model.iloc[0].split(',')[0]} by training $l_{{max}}$")
    axes[1].set(title="other models", ylim=SHARE)
    legend(figure, axes)
    return figure


def fig_2(table: pd.DataFrame) -> Figure:
    """Word problem at the training length, matrix states and baselines."""
    track = table[(table.study == "mamba") & (table.test_len == table.train_len)]
    figure, ax = _rows(track, "seq_acc", f"share of {track.task.iloc[0]} words of the training length right")
    ax.set_xlim(-0.03, 1.03)
    return figure


def fig_3b(table: pd.DataFrame) -> Figure:
    """Heat map: models by groups, of a model with several l_max the largest."""
    name, group = table.model.str.split(", l_max").str[0], table.task + ", trained on " + table.train_len.astype(str)
    largest = table.l_max == table.groupby([table.study, name]).l_max.transform("max")
    kept = table.assign(model=name, group=group)[largest]
    grid = kept.pivot_table(index="model", columns="group", values="longest", sort=False)
    limits, size = (0, max(1, table.longest.max())), 0.7 + 0.2 * len(grid)
    return heat_maps({"": grid}, "longest solved word", limits=limits, size=size, form=".3g", annotate=99)


def fig_3c(table: pd.DataFrame) -> Figure:
    """Iterations to the tolerance over the test length, tracking and the memoryless control."""
    (swept, _, looks), control = _dial(table), table[table.study == "control"]
    figure, (ax,) = panels(1, width=4.0, height=3.0, beside=1.8)
    _by_length(ax, swept, "iterations", looks, by="l_max")
    look = {"label": "control task", "color": "0.2", "marker": "X", "linestyle": "--"}
    seeds(ax, control, "test_len", "iterations", each="seed", **look)
    ax.axline((0, 0), slope=1, color="0.8", linewidth=1, label="one per token", zorder=0)
    ax.set(ylabel="iterations of the slowest word", xlim=(0, None), ylim=(0, None))
    legend(figure, ax)
    return figure


def fig_4(table: pd.DataFrame) -> Figure:
    """Accuracy over test length by channel mixer and model, a panel per study."""
    table = table[table.study.isin(["mixers", "mamba", "mixers_s5", "long_a5", "long_s5"])]
    parts, looks = _parts(table), _looks(table.model)
    figure, axes = panels(len(parts), width=3.2, height=3.6, beside=2.6)
    for ax, (study, own) in zip(axes, parts, strict=True):
        _by_length(ax, own, "seq_acc", looks)
        ax.set_title(f"{study}: {own.task.iloc[0]}")
    axes[0].set(ylabel="share of words right", ylim=SHARE)
    legend(figure, axes)
    return figure


def fig_5(table: pd.DataFrame) -> Figure:
    """Copying: letters right over the length of the string."""
    figure, (ax,) = panels(1, width=4.0, height=3.0, beside=2.2)
    _by_length(ax, table, "token_acc", styles(table.model.unique()))
    scale_line(ax, table.chance.iloc[0], "guessing", linestyle="--")
    ax.set(ylabel="share of letters right", ylim=SHARE, xlabel="length of the string")
    legend(figure, ax)
    return figure


def fig_6(table: pd.DataFrame) -> Figure:
    """Words of twice the training length right over scans of an update and seconds of training, by kind of model."""
    parts, looks = _parts(table), styles(table.kind.unique())
    figure, axes = panels(2 * len(parts), most=len(parts), width=3.0, height=2.9, beside=2.0)
    for ax, (cost, (study, own)) in zip(axes, itertools.product(("scans", "seconds"), parts), strict=True):
        for order, (kind, look) in enumerate(looks.items()):
            points = own[own.kind == kind]
            look |= {"zorder": 3 - order / 100}  # the paper's on top, those below them larger
            ax.plot(points[cost], points.seq_acc, linestyle="none", markersize=3.5, alpha=0.6, label=f"_{kind}", **look)
            means = points.groupby(["model", "l_max"], sort=False)[[cost, "seq_acc"]].mean()
            large = {"linestyle": "none", "markersize": 6.5 + 0.9 * order, "fillstyle": "none", "markeredgewidth": 1.3}
            ax.plot(means[cost], means.seq_acc, label=kind, **large | look)
        ax.set(title=f"{study}: {own.task.iloc[0]}", ylim=SHARE, xscale="log")
        ax.set_xlabel({"scans": "scans per training step", "seconds": "seconds of training"}[cost])
        log_ticks(ax.xaxis, (1, 2, 5))
    figure.supylabel("share of words of twice the training length right")
    legend(figure, axes)
    return figure


def fig_7(table: pd.DataFrame) -> Figure:
    """Iterations over training, a line per layer."""
    parts = _parts(table[table.model.str.startswith("FP")], "model")
    figure, axes = panels(len(parts), width=3.2, height=2.8)
    for ax, (model, own) in zip(axes, parts, strict=True):
        for layer, look in styles([f"layer {k}" for k in sorted(own.layer.unique())]).items():
            seeds(ax, own[own.layer == int(layer[6:])], "step", "iterations", each="seed", label=layer, **look)
        scale_line(ax, 10, "the paper's bound")
        ax.set(title=model, xlabel="training step")
    axes[0].set(ylabel="iterations", ylim=(0, None))
    legend(figure, axes)
    return figure


def fig_8(table: pd.DataFrame) -> Figure:
    """Validation perplexity, a dot per seed."""
    return _rows(table, "perplexity", "validation perplexity")[0]


def fig_rates(table: pd.DataFrame) -> Figure:
    """Loss over the learning rates tried, a panel per study."""
    how = {"error": "standard_error", "size": (3.6, 3.0), "log": "x", "sharey": False, "looks": _looks(table.model)}
    how |= {"labels": ("learning rate", "training loss of the last window (nats)")}
    figure, axes = line_panels(table, "lr", "loss", panel=["study"], by="model", **how)
    for ax, (_, own) in zip(axes, _parts(table), strict=True):
        value_ticks(ax.xaxis, own.lr.unique(), log=2)
        ax.plot(own.lr[own.chosen], own.loss[own.chosen], "o", markersize=11, markerfacecolor="none", color="0.3")
    return figure


def fig_10(table: pd.DataFrame) -> Figure:
    """Accuracy over the cap on the iterations in evaluation."""
    parts = _parts(table)
    figure, axes = panels(len(parts), width=4.0, height=3.0, beside=1.8)
    for ax, (study, own) in zip(axes, parts, strict=True):
        swept, _, looks = _dial(own) if study == "dial" else (own, None, styles(own.model.unique()))
        key = "l_max" if study == "dial" else "model"
        for value, look in looks.items():
            seeds(ax, swept[swept[key] == value], "cap", "seq_acc", each="seed", **{"label": str(value)} | look)
        value_ticks(ax.xaxis, own.cap.unique(), most=8, log=2)
        ax.set(title=f"{own.task.iloc[0]}, length {own.test_len.iloc[0]}", xlabel="cap on the iterations")
    axes[0].set(ylabel="share right", ylim=SHARE)
    legend(figure, axes, "training")
    return figure


def fig_12(table: pd.DataFrame) -> Figure:
    """Normalised difference of the two fixed points over the length."""
    figure, (ax,) = panels(1, width=4.0, height=3.0, beside=2.0)
    for model, look in styles(table.model.unique()).items():
        seeds(ax, table[table.model == model], "test_len", "median", each="seed", label=model, **look)
    scale_line(ax, 0.1, "tolerance")
    ax.set(xlabel="test length", ylabel="|parallel - sequential| / |sequential|")
    value_ticks(ax.xaxis, table.test_len, log=None)
    decade_ticks(ax.yaxis)
    legend(figure, ax)
    return figure


def fig_gradients(table: pd.DataFrame) -> Figure:
    """One minus the cosine over the number of differentiable steps, a dot per random layer."""
    table = table[table.converged.astype(bool)]
    arguments = {"concat": "Q of [x, h]", "sum": "Q of x + h", "input": "Q of x alone"}
    figure, axes = panels(len(arguments), width=2.5, height=2.8, beside=1.6)
    looks = styles([f"scale {s}" for s in sorted(table["scale"].unique())])
    for ax, (argument, title) in zip(axes, arguments.items(), strict=True):
        for label, look in looks.items():
            own = table[(table.argument == argument) & (table["scale"] == int(label[6:]))]
            shift = 2.0 ** (0.12 if label.endswith("2") else -0.12)
            ax.plot(own.num_backward * shift, own.gap, linestyle="none", markersize=3, alpha=0.5, **look)
            middle = own.groupby("num_backward").gap.median()
            ax.plot(middle.index, middle, label=f"{label}, median", markersize=0, **look)
        ax.set(title=title, xlabel="differentiable steps", yscale="log")
        value_ticks(ax.xaxis, table.num_backward.unique(), log=2)
        scale_line(ax, 1.0, "orthogonal")
    decade_ticks(axes[0].yaxis)
    axes[0].set_ylabel("1 - cosine to the exact gradient")
    legend(figure, axes)
    return figure


def fig_convergence(table: pd.DataFrame) -> Figure:
    """Change per iteration beside Theorem 3.1's rate, a panel per sign of lam."""
    parts, top = _parts(table, "case"), 1e6
    figure, axes = panels(len(parts), width=3.0, height=2.8, beside=1.8)
    for ax, (case, part) in zip(axes, parts, strict=True):
        for (alpha, own), look in zip(part.groupby("norm_i_minus_q"), styles("ab").values(), strict=True):
            inside = own.change.where(own.change <= top)
            ax.plot(own.iteration, inside, label=f"|I - Q| = {alpha:g}", markersize=3, **look)
            mark_gone(ax, own[own.change > top].iteration.iloc[:1], look["color"])
            ax.plot(own.iteration, own.bound, "--", color=look["color"], linewidth=1, label=f"rate {alpha:g}")
        ax.set(title=case, xlabel="iteration", yscale="log", ylim=(1e-13, top))
    decade_ticks(axes[0].yaxis)
    axes[0].set_ylabel("change / first change")
    legend(figure, axes)
    return figure

"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.artifacts.line_panels import decade_ticks
from shared.artifacts.plots import MARKERS, legend, mark_gone, nothing, panels, scale_line, seeds, styles, value_ticks

LENGTH = "test length"


def _looks(names: pd.Series) -> dict[str, dict]:
    """Styles of many models: no two share colour and marker."""
    looks = styles(dict.fromkeys(names))
    return {n: look | {"marker": MARKERS[(i + 3 * (i // 10)) % 10]} for i, (n, look) in enumerate(looks.items())}


def _by_length(ax: Axes, table: pd.DataFrame, y: str, looks: dict, by: str = "model") -> None:
    """A line per value of `by` with a band from the worst to the best seed, and the training length."""
    for value, look in looks.items():
        own = table[table[by] == value]
        if len(own):
            seeds(ax, own, "test_len", y, label=str(value), **look)
    ax.axvline(table.train_len.iloc[0], color="0.35", linestyle=":", linewidth=1.1, label="training length", zorder=1)
    ax.set_xlabel(LENGTH)


def _dial(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The models that differ in l_max alone, and the others."""
    dial = table[table.study == "dial"]
    swept = dial.model.str.contains("l_max")
    return dial[swept], dial[~swept]


def fig_1(table: pd.DataFrame) -> Figure:
    """Accuracy over test length: training l_max on the left, the others on the right."""
    swept, others = _dial(table)
    figure, axes = panels(2, width=3.1, height=3.0, beside=2.2)
    _by_length(axes[0], swept, "seq_acc", styles(sorted(swept.l_max.unique())), by="l_max")
    _by_length(axes[1], others, "seq_acc", styles(others.model.unique()))
    axes[0].set(ylabel="share of words right", title=f"{swept.model.iloc[0].split(',')[0]} by training $l_{{max}}$")
    axes[1].set(title="other models", ylim=(-0.03, 1.05))
    legend(figure, axes)
    return figure


def fig_2(table: pd.DataFrame) -> Figure:
    """Word problem at the training length against copying at twice its own, a point per model in both or either."""
    track = table[(table.task != "copy") & table.study.isin(["mamba"]) & (table.test_len == table.train_len)]
    figure, (ax,) = panels(1, width=4.4, height=0.9 + 0.24 * track.model.nunique(), beside=0.2)
    names = list(dict.fromkeys(track.model))[::-1]
    for row, name in enumerate(names):
        own = track[track.model == name].seq_acc
        ax.plot([own.min(), own.max()], [row, row], color="0.6", linewidth=3)
        ax.plot(own, np.full(len(own), row), "o", markersize=4, color="C0")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=f"share of {track.task.iloc[0]} words of the training length right", xlim=(-0.03, 1.03))
    return figure


def fig_3b(table: pd.DataFrame) -> Figure:
    """Heat map: models by groups."""
    cells = table.pivot_table(index="model", columns="task", values="longest", sort=False)
    cells = cells.reindex(list(dict.fromkeys(table.model)))
    figure, (ax,) = panels(1, width=1.6 + 0.9 * cells.shape[1], height=0.7 + 0.26 * len(cells), beside=0.2)
    high = max(np.nanmax(cells.to_numpy()), 1)
    ax.imshow(np.ma.masked_invalid(cells.to_numpy()), cmap="viridis", vmin=0, vmax=high, aspect="auto")
    for (row, column), number in np.ndenumerate(cells.to_numpy()):
        text = "" if np.isnan(number) else f"{number:.3g}"
        ax.text(
            column, row, text, ha="center", va="center", color="white" if number < 0.6 * high else "black", fontsize=7
        )
    ax.set_xticks(range(cells.shape[1]), cells.columns)
    ax.set_yticks(range(len(cells)), cells.index, fontsize=7)
    ax.grid(False)
    return figure


def fig_3c(table: pd.DataFrame) -> Figure:
    """Iterations to the tolerance over the test length, tracking and the memoryless control."""
    swept, control = _dial(table)[0], table[table.study == "control"]
    figure, (ax,) = panels(1, width=4.0, height=3.0, beside=1.8)
    _by_length(ax, swept, "iterations", styles(sorted(swept.l_max.unique())), by="l_max")
    if len(control):
        seeds(ax, control, "test_len", "iterations", label="control task", color="0.2", marker="X", linestyle="--")
    lengths = np.array(sorted(swept.test_len.unique()))
    ax.plot(lengths, lengths, "-", color="0.8", linewidth=1, label="one per token", zorder=0)
    ax.set(ylabel="iterations of the slowest word")
    legend(figure, ax)
    return figure


def fig_4(table: pd.DataFrame) -> Figure:
    """Accuracy over test length by channel mixer and model, a panel per study."""
    studies = [s for s in ("mixers", "mamba", "mixers_s5", "long_a5", "long_s5") if s in set(table.study)]
    if not studies:
        return nothing("these records hold no such study")
    figure, axes = panels(len(studies), width=3.2, height=3.2, beside=2.6)
    looks = _looks(table[table.study.isin(studies)].model)
    for ax, study in zip(axes, studies, strict=True):
        own = table[table.study == study]
        _by_length(ax, own, "seq_acc", looks)
        ax.set_title(own.task.iloc[0])
    axes[0].set(ylabel="share of words right", ylim=(-0.03, 1.05))
    legend(figure, axes)
    return figure


def fig_5(table: pd.DataFrame) -> Figure:
    """Copying: letters right over the length of the string."""
    own = table[table.task == "copy"]
    figure, (ax,) = panels(1, width=4.0, height=3.0, beside=2.2)
    _by_length(ax, own, "token_acc", styles(own.model.unique()))
    ax.set(ylabel="share of letters right", ylim=(-0.03, 1.05), xlabel="length of the string")
    legend(figure, ax)
    return figure


def fig_6(table: pd.DataFrame) -> Figure:
    """Longest solved length over the scans of an update."""
    table = table[table.longest.notna()]
    tasks = list(dict.fromkeys(table.task))
    figure, axes = panels(len(tasks), width=3.2, height=3.2, beside=2.8)
    looks = _looks(table.model)
    for ax, task in zip(axes, tasks, strict=True):
        for row in table[table.task == task].itertuples():
            ax.plot(row.scans, row.longest, linestyle="none", markersize=6, label=row.model, **looks[row.model])
        ax.set(title=task, xlabel="scans per training step")
        value_ticks(ax.xaxis, [1, 2, 4, 8, 16, 32], log=2)
    axes[0].set_ylabel("longest length with 90 % right")
    legend(figure, axes)
    return figure


def fig_7(table: pd.DataFrame) -> Figure:
    """Iterations over training, a line per layer."""
    table = table[table.model.str.startswith("FP")]
    models = list(dict.fromkeys(table.model))
    figure, axes = panels(len(models), width=3.2, height=2.8)
    for ax, model in zip(axes, models, strict=True):
        own = table[table.model == model]
        for layer, look in styles([f"layer {k}" for k in sorted(own.layer.unique())]).items():
            seeds(ax, own[own.layer == int(layer[6:])], "step", "iterations", label=layer, **look)
        scale_line(ax, 10, "the paper's bound")
        ax.set(title=model, xlabel="training step")
    axes[0].set(ylabel="iterations", ylim=(0, None))
    legend(figure, axes)
    return figure


def fig_8(table: pd.DataFrame) -> Figure:
    """Validation perplexity, a dot per seed."""
    names = list(dict.fromkeys(table.model))
    figure, (ax,) = panels(1, width=4.2, height=0.9 + 0.3 * len(names), beside=0.2)
    for row, (name, look) in enumerate(styles(names).items()):
        own = table[table.model == name].perplexity
        ax.plot(own, np.full(len(own), row), linestyle="none", markersize=5, **look)
        ax.plot([own.mean()], [row], "|", color="black", markersize=14)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="validation perplexity", ylim=(len(names) - 0.5, -0.5))
    return figure


def fig_10(table: pd.DataFrame) -> Figure:
    """Accuracy over the cap on the iterations in evaluation."""
    studies = list(dict.fromkeys(table.study))
    figure, axes = panels(len(studies), width=4.0, height=3.0, beside=1.8)
    for ax, study in zip(axes, studies, strict=True):
        own = table[table.study == study]
        swept = own[own.model.str.contains("l_max")] if study == "dial" else own
        key = "l_max" if study == "dial" else "model"
        for value, look in styles(swept[key].unique()).items():
            seeds(ax, swept[swept[key] == value], "cap", "seq_acc", label=str(value), **look)
        value_ticks(ax.xaxis, own.cap.unique(), most=8, log=2)
        ax.set(title=f"{own.task.iloc[0]}, length {own.test_len.iloc[0]}", xlabel="cap on the iterations")
    axes[0].set(ylabel="share right", ylim=(-0.03, 1.05))
    legend(figure, axes, "training $l_{max}$" if studies == ["dial"] else None)
    return figure


def fig_12(table: pd.DataFrame) -> Figure:
    """Normalised difference of the two fixed points over the length."""
    figure, (ax,) = panels(1, width=4.0, height=3.0, beside=2.0)
    for model, look in styles(table.model.unique()).items():
        seeds(ax, table[table.model == model], "test_len", "median", label=model, **look)
    ax.set_yscale("log")
    scale_line(ax, 0.1, "tolerance")
    ax.set(xlabel=LENGTH, ylabel="|parallel - sequential| / |sequential|")
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
    scale_line(axes[0], 1.0, "_orthogonal")
    decade_ticks(axes[0].yaxis)
    axes[0].set_ylabel("1 - cosine to the exact gradient")
    legend(figure, axes)
    return figure


def fig_convergence(table: pd.DataFrame) -> Figure:
    """Change per iteration beside Theorem 3.1's rate, a panel per sign of lam."""
    cases, top = list(dict.fromkeys(table.case)), 1e6
    figure, axes = panels(len(cases), width=3.0, height=2.8, beside=1.8)
    for ax, case in zip(axes, cases, strict=True):
        for (alpha, own), look in zip(
            table[table.case == case].groupby("norm_i_minus_q"), styles("ab").values(), strict=False
        ):
            ax.plot(
                own.iteration, own.change.where(own.change <= top), label=f"|I - Q| = {alpha:g}", markersize=3, **look
            )
            left = own[own.change > top].iteration.iloc[:1]
            mark_gone(ax, left, look["color"])
            ax.plot(own.iteration, own.bound, "--", color=look["color"], linewidth=1, label=f"rate {alpha:g}")
        ax.set(title=case, xlabel="iteration", yscale="log", ylim=(1e-13, top))
    decade_ticks(axes[0].yaxis)
    axes[0].set_ylabel("change / first change")
    legend(figure, axes)
    return figure

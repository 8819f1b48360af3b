"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.artifacts.line_panels import decade_ticks, heat_panels, line_panels
from shared.artifacts.plots import legend, lines, panels, scale_line, styles

ORDER = ["SGD", "SGDM", "GDM", "NGN", "NGN-M", "NGN-M v2", "MomSPS", "MoMo", "ALR-SMAG", "Adam", "AdamW", "MoMo-Adam"]
ORDER += ["NGN-MDv1", "NGN-MDv2", "NGN-MDv1W", "NGN-D", "Lion", "AdaBelief", "AdaBound", "Adagrad", "RMSprop"]
LR = "learning rate"


def _looks(methods: pd.Series, lines: bool = False) -> dict[str, dict]:
    """Methods in one order, with a style each; no two of all share colour and marker."""
    momentum, diagonal = ([n for n in ORDER[k] if n in set(methods)] for k in (slice(9), slice(9, None)))
    second = styles([*"abc", *diagonal], lines=lines)  # three on, so that marker and colour do not meet again
    looks = styles(diagonal, lines=lines)
    key = "linestyle" if lines else "marker"
    return styles(momentum, lines=lines) | {name: look | {key: second[name][key]} for name, look in looks.items()}


def fig_e1(table: pd.DataFrame) -> Figure:
    """Updates over the learning rate."""
    figure, (ax,) = panels(1, width=4.4, height=3.0)
    gone = table.assign(updates=table.updates.where(table.status == "converged"))
    ax.set(yscale="log", ylabel="updates to $10^{-15}$", xlabel=LR)
    lines(ax, gone, "lr", "updates", by="method", looks=_looks(table.method))
    for (method, lr, updates), dash in zip(_reported(table), ("-.", ":"), strict=False):
        scale_line(ax, updates - 1, f"paper: {method}, c = {lr:g}", linestyle=dash)
    decade_ticks(ax.xaxis), decade_ticks(ax.yaxis)
    legend(figure, ax)
    return figure


def _reported(table: pd.DataFrame) -> list[tuple]:
    return list(table.dropna(subset="reported_updates")[["method", "lr", "reported_updates"]].itertuples(False, None))


def _descents(table: pd.DataFrame, y: str, label: str, limits: tuple[float, float]) -> tuple[Figure, list]:
    how = {"panel": ["method"], "by": "lr", "title": LR, "limits": limits, "labels": ("updates", label), "log": "xy"}
    return line_panels(table[table.updates > 0], "updates", y, **how)


def fig_rosenbrock(table: pd.DataFrame) -> Figure:
    """Loss over the updates."""
    return _descents(table, "loss", "loss", (1e-14, 1e6))[0]


def fig_least_squares(table: pd.DataFrame) -> Figure:
    """Relative gap over the updates."""
    figure, axes = _descents(table, "gap", "gap / gap at the start", (1e-16, 1e4))
    for ax in axes:
        scale_line(ax, 1, "_start")
    return figure


def fig_trajectories(table: pd.DataFrame) -> Figure:
    """Paths in the plane: a row per method, a column per learning rate."""
    grid, looks = np.linspace(-2, 2, 200), _looks(table.method)
    keys = [(method, lr) for method in looks for lr in sorted(table.lr.unique())]
    figure, axes = panels(len(keys), most=table.lr.nunique(), width=1.7, height=1.9, sharex=True)
    for ax, (method, lr) in zip(axes, keys, strict=True):
        own = table[(table.method == method) & (table.lr == lr)].sort_values("updates")
        ax.plot(grid, grid**2, ":", color="0.5", linewidth=1, label="$y = x^2$")
        ax.plot(own.x, own.y, "-", linewidth=0.9, color=looks[method]["color"], label=method)
        ax.plot(own.x[:1], own.y[:1], "o", color="black", markersize=3.5)
        ax.plot(1, 1, "*", color="black", markersize=7)
        ax.set(xlim=(-2, 2), ylim=(-1.5, 3.5), title=f"c = {lr:g}")
    legend(figure, axes)
    return figure


def fig_h1(table: pd.DataFrame) -> Figure:
    """Share of starts over the learning rate."""
    figure, (ax,) = panels(1, width=3.8, height=2.8)
    lines(ax, table, "lr", "share", by="method", looks=_looks(table.method))
    ax.set(ylabel="share at the global minimum", ylim=(-0.03, 1.03), xlabel=LR)
    decade_ticks(ax.xaxis)
    legend(figure, ax)
    return figure


def fig_h4(table: pd.DataFrame) -> Figure:
    """Loss over the updates; columns r, rows K."""
    table = table[table.step > 0].sort_values(["num_steps", "shift", "rate", "step"])
    how = {"panel": ["num_steps", "shift"], "by": "rate", "title": LR, "most": table["shift"].nunique()}
    how |= {"sharey": False, "log": "xy"}
    how |= {"name": lambda key: f"r = {key[1]:g}, K = {key[0]:g}", "labels": ("updates", "loss"), "size": (2.1, 2.1)}
    return line_panels(table, "step", "loss", **how)[0]


def fig_bounds(table: pd.DataFrame) -> Figure:
    """Gap and bound over c L, a panel per theorem and offset."""
    looks, measured = styles(sorted(table.num_steps.unique())), "gap of the mean iterate"
    how = {"panel": ["theorem", "offset"], "by": "num_steps", "title": "K (bound: dashed)", "looks": looks, "log": "xy"}
    how |= {"name": lambda key: f"Theorem {key[0]}" + (f", minima {key[1]:g}" if key[1] else ""), "error": "gap_error"}
    figure, axes = line_panels(table, "cl", "gap", labels=("c L", measured), size=(2.8, 2.8), **how)
    for ax, (_, part) in zip(axes, table.groupby(["theorem", "offset"], sort=False), strict=True):
        for num_steps, own in part.groupby("num_steps"):
            ax.plot(own.cl, own.bound, "--", color=looks[num_steps]["color"], linewidth=1)
        decade_ticks(ax.yaxis)
    return figure


def fig_rates(table: pd.DataFrame) -> Figure:
    """Gap over K."""
    figure, (ax,) = panels(1, width=4.2, height=3.0, beside=1.8)
    ax.set(xscale="log", yscale="log", xlabel="updates K", ylabel="gap of the mean iterate")
    lines(ax, table, "num_steps", "gap", by="theorem", looks=styles(table.theorem.unique()), error="gap_error")
    bound, k = table[table.bound.notna()], np.array(sorted(table.num_steps.unique()))
    ax.plot(bound.num_steps, bound.bound, "--", color="0.4", label="bound, 1/sqrt(K)")
    ax.plot(k, 1.3 * table.gap.max() * (k / k[0]) ** -0.5, ":", color="0.6", linewidth=1, label="slope -1/2")
    decade_ticks(ax.xaxis), decade_ticks(ax.yaxis)
    legend(figure, ax, "c L")
    return figure


def _stability(table: pd.DataFrame, y: str, unit: str) -> Figure:
    """Columns studies, rows families; a band spans the seeds."""
    table = table.sort_values("family", ascending=False, kind="stable")
    how = {"panel": ["family", "title"], "by": "method", "looks": _looks(table.method), "sharey": False, "log": "x"}
    how |= {"between": (f"{y}_low", f"{y}_high"), "gone": "num_diverged"}
    how["most"] = -(-table.study.nunique() // -(-table.study.nunique() // 5))  # equal rows of at most five
    figure, axes = line_panels(table, "lr", y, size=(2.6, 2.7), labels=(LR, unit), **how)
    for ax, (_, part) in zip(axes, table.groupby(["family", "title"], sort=False), strict=True):
        if y != "score" or part.score_unit.iloc[0] == "perplexity":
            decade_ticks(ax.yaxis)
            ax.set_ylabel("perplexity" if y == "score" else "")
    return figure


def fig_2(table: pd.DataFrame) -> Figure:
    """Score over the learning rate."""
    return _stability(table, "score", "test accuracy, %")


def fig_i1(table: pd.DataFrame) -> Figure:
    """Training loss over the learning rate."""
    return _stability(table, "train_loss", "training loss, nats")


def fig_width(table: pd.DataFrame) -> Figure:
    """Intervals, a panel per study."""
    table = table[table.study != "not rebuilt"]
    studies = list(dict.fromkeys(table.study))
    figure, axes = panels(len(studies), width=2.3, height=3.6, beside=0.2, sharey=False)
    for ax, study in zip(axes, studies, strict=True):
        own = table[table.study == study].set_index("method")
        own = own.loc[[name for name in reversed(ORDER) if name in own.index]]
        rows = np.arange(len(own))
        ax.hlines(rows, own.low, own.high, color="0.6", linewidth=3)
        ax.plot(own.width, rows, "o", color=styles("ab")["a"]["color"], markersize=4.5)
        ax.axvline(own.decades.iloc[0], color="0.35", linestyle=":", linewidth=1.1)
        ax.set(yticks=rows, xlabel="decades within 10 %", title=study, xlim=(-0.2, own.decades.max() + 0.3))
        ax.set_yticklabels(own.index)
    return figure


def fig_5(table: pd.DataFrame) -> Figure:
    """Step sizes along training; rows studies, columns methods."""
    methods, table = list(_looks(table.method)), table[table.effective_lr > 0]
    table = table.assign(position=table.method.map(methods.index)).sort_values(
        ["study", "position", "lr"], kind="stable"
    )
    how = {"panel": ["study", "method"], "by": "lr", "title": LR, "most": len(methods), "sharey": False}
    return line_panels(table, "step", "effective_lr", labels=("updates", "step size"), size=(2.1, 1.9), **how)[0]


def fig_i14(table: pd.DataFrame) -> Figure:
    """Training loss, a panel per learning rate."""
    how = {"panel": ["lr"], "by": "method", "looks": _looks(table.method, lines=True), "most": 7, "log": ""}
    how |= {"name": lambda key: f"lr {key[0]:g}", "labels": ("updates", "training loss, nats"), "size": (1.6, 2.4)}
    return line_panels(table, "step", "train_loss", **how)[0]


def _layers(table: pd.DataFrame, y: str, by: str, label: str, title: str) -> Figure:
    names = table.layer.str.removesuffix(".weight").str.removeprefix("backbone.")
    how = {"panel": ["watched", "shown"], "by": by, "title": title, "most": 3, "sharey": False, "size": (2.6, 2.0)}
    return line_panels(table.assign(shown=names), "step", y, labels=("updates", label), **how)[0]


def fig_i6(table: pd.DataFrame) -> Figure:
    """Effective steps per layer, at the learning rate in the middle."""
    middle = sorted(table.lr.unique())[table.lr.nunique() // 2]
    return _layers(table[table.lr == middle], "effective_step", "method", r"mean of $\gamma / D_j$", f"lr {middle:g}")


def fig_i11(table: pd.DataFrame) -> Figure:
    """Update sizes per layer."""
    table = table[table.method != "MoMo-Adam"]
    table = table.assign(line=table.method + ", " + table.lr.map("{:g}".format))
    return _layers(table, "update_rms", "line", "rms of the update", "method, lr")


def fig_betas(table: pd.DataFrame) -> Figure:
    """Perplexity over beta and learning rate."""
    how = {"panel": ["varied", "method"], "rows": "beta", "columns": "lr", "labels": (LR, "beta")}
    return heat_panels(table[table.ppl.notna()], "ppl", error="ppl_error", size=(3.0, 2.4), **how)


def fig_g1(table: pd.DataFrame) -> Figure:
    """Perplexity over weight decay and learning rate."""
    how = {"panel": ["method"], "rows": "weight_decay", "columns": "lr", "labels": (LR, "weight decay")}
    return heat_panels(table, "ppl", error="ppl_error", size=(2.6, 2.4), **how)

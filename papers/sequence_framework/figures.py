"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.artifacts.coefficient_maps import coefficient_maps
from shared.artifacts.line_panels import decade_ticks, line_panels
from shared.artifacts.plots import legend, lines, log_ticks, panels, scale_line, styles, value_ticks
from shared.artifacts.shapes import dots

GUESS = "uniform guess"
PHI = ["exp", "softplus", "relu", "identity", "elu + 1 features", "identity, eta = 1"]


def _present(names: list[str], column: pd.Series) -> list[str]:
    return [name for name in names if name in set(column)]


def fig_framework(table: pd.DataFrame) -> Figure:
    """Coefficient maps of several mixers on one input."""
    return coefficient_maps({name: own for name, own in table.groupby("architecture", sort=False)})


def fig_p1_tradeoff(table: pd.DataFrame) -> Figure:
    """Accuracy over the numbers kept for decoding, a panel per task and n."""
    keys = list(dict.fromkeys(table[["task", "n"]].itertuples(index=False, name=None)))
    figure, axes = panels(len(keys), width=2.6, height=2.8, beside=1.6)
    looks = styles(PHI)
    for ax, (task, n) in zip(axes, keys, strict=True):
        part = table[(table.task == task) & (table.n == n)]
        for phi in _present(PHI, part.phi):
            own = part[part.phi == phi]
            how = {"linestyle": "none", "label": phi, "markersize": 5} | looks[phi]
            ax.errorbar(own.state, own.accuracy, own.standard_error, **how)
        scale_line(ax, part.uniform_guess.iloc[0], GUESS)
        ax.set(title=f"{task}, n = {n:g}", xlabel="numbers kept for decoding", ylim=(-0.03, 1.08), xscale="log")
        ax.set_xlim(table.state.min() / 1.6, table.state.max() * 1.8)
        log_ticks(ax.xaxis, (1.0, 3.0))
    axes[0].set_ylabel("test accuracy")
    legend(figure, axes, "readout")
    return figure


def fig_p2_zeroset(table: pd.DataFrame) -> Figure:
    """Readouts with their near-zero sets shaded."""
    names = list(dict.fromkeys(table.phi))
    figure, axes = panels(len(names), most=4, width=1.9, height=1.8, beside=0.3)
    for ax, name in zip(axes, names, strict=True):
        own = table[table.phi == name]
        low, high = max(own.low.iloc[0], own.x.min()), own.high.iloc[0]
        ax.axvspan(min(low, high - 0.06), max(high, low + 0.06), color="C1", alpha=0.3, linewidth=0)
        ax.plot(own.x, own.value, color="C0")
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.set(title=f"{name}: P = {own.probability.iloc[0]:.2g}", ylim=(-2, 3), xlim=(own.x.min(), own.x.max()))
        ax.title.set_fontsize(8)
    for ax in axes[-4:]:
        ax.set_xlabel("x")
    figure.supylabel("readout of x", fontsize=9)
    return figure


def fig_p2_cover(table: pd.DataFrame) -> Figure:
    """Shares of subsets over T / n; dots measured, lines counted."""
    figure, axes = panels(table.n.nunique(), width=2.7, height=2.7, beside=1.8)
    looks = styles(["half-space", "linear"])
    for ax, (n, part) in zip(axes, table.groupby("n"), strict=True):
        for readout, own in part.groupby("readout", sort=False):
            ax.plot(own.ratio, own.exact, color=looks[readout]["color"], linewidth=1.2, label=f"{readout}, counted")
            how = {"linestyle": "none", "markersize": 4, "label": f"{readout}, measured"} | looks[readout]
            ax.errorbar(own.ratio, own.measured, 2 * own.standard_error, **how)
        scale_line(ax, 0.5, "1/2")
        ax.axvline(2, color="0.7", linewidth=0.8, linestyle=":")
        ax.set(title=f"n = {n:g}", xlabel="T / n")
    axes[0].set_ylabel("share of subsets that can be kept")
    legend(figure, axes)
    return figure


def fig_p2_readout(table: pd.DataFrame) -> Figure:
    """Accuracy over the near-zero share, a panel per task and n, a dot per seed."""
    keys = list(dict.fromkeys(table[["task", "n"]].itertuples(index=False, name=None)))
    beside = len(keys) if len(keys) <= 3 else table.n.nunique()
    figure, axes = panels(len(keys), most=max(1, beside), width=2.6, height=2.4, beside=1.6)
    looks = styles(PHI)
    for ax, key in zip(axes, keys, strict=True):
        part = table[(table.task == key[0]) & (table.n == key[1])]
        for phi in _present(PHI, part.phi):
            own = part[part.phi == phi]
            name = f"{phi} (softmax)" if phi == "exp" else phi
            ax.plot(own.near_zero, own.accuracy, linestyle="none", markersize=5, label=name, **looks[phi])
        scale_line(ax, part.uniform_guess.iloc[0], GUESS)
        ax.set(title=f"{key[0]}, n = {key[1]:g}", xlim=(-0.04, 1.04), ylim=(-0.04, 1.06))
    for ax in axes[-max(1, beside) :]:
        ax.set_xlabel("share of |coefficients| below 0.001")
    figure.supylabel("test accuracy", fontsize=9)
    legend(figure, axes, "readout")
    return figure


def _accuracies(table: pd.DataFrame, title: str) -> Figure:
    """A dot with its standard error per variant."""
    table = table.assign(low=table.accuracy - table.standard_error, high=table.accuracy + table.standard_error)
    table = table.assign(measure="mean of seeds, one standard error")
    figure = dots({title: table}, "variant", "measure", "accuracy", {"mean of seeds, one standard error": "mean, s.e."},
                  "test accuracy", width=4.2, limits=(0, 1.02))  # fmt: skip
    for column, dash, name in (("uniform_guess", ":", GUESS), ("order_blind", "--", "all but the order known")):
        figure.axes[0].axvline(table[column].iloc[0], color="0.35", linestyle=dash, linewidth=1.1, label=name, zorder=1)
    for old in figure.legends:
        old.remove()
    legend(figure, figure.axes)
    return figure


def fig_p3_position(table: pd.DataFrame) -> Figure:
    """Accuracy by evolution."""
    return _accuracies(table, "selective copying")


def fig_p4_structure(table: pd.DataFrame) -> Figure:
    """Accuracy by structure."""
    return _accuracies(table, "rebinding recall")


def fig_p5_scaling(table: pd.DataFrame) -> Figure:
    """Variance and accuracy over n."""
    figure, (left, right) = panels(2, width=3.0, height=2.8, sharey=False)
    names = {0.0: "b = 1", -0.5: "b = 1/sqrt(n)", -1.0: "b = 1/n"}
    looks = styles(list(names.values()))
    table = table.assign(b=table.exponent.map(names))
    for name, own in table.groupby("b", sort=False):
        left.plot(own.n, own.law, color=looks[name]["color"], linewidth=0.9, linestyle="--", label="_law")
        how = {"linestyle": "none", "markersize": 4, "label": name} | looks[name]
        left.errorbar(own.n, own.variance, 2 * own.variance_error, **how)
    left.set(xscale="log", yscale="log", xlabel="n", ylabel="variance of q.k b")
    trained = table.dropna(subset="accuracy")
    lines(right, trained, "n", "accuracy", by="b", looks=looks, error="standard_error")
    scale_line(right, trained.uniform_guess.iloc[0], GUESS)
    right.set(xlabel="n", ylabel="test accuracy", ylim=(-0.03, 1.05))
    value_ticks(left.xaxis, table.n.unique())
    decade_ticks(left.yaxis)
    value_ticks(right.xaxis, trained.n.unique())
    legend(figure, [left, right], "dashed: the law")
    return figure


def fig_p6_norm(table: pd.DataFrame) -> Figure:
    """Mean square of a row's coefficients over i, a panel per normaliser; dashed: the closed form."""
    titles = {
        "one": "eta = 1",
        "root": "eta = sqrt(i + 1)",
        "abs_sum": "eta = sum |phi|",
        "floored": "eta = max(|sum|, 1)",
    }
    linear, softmax = table[table.phi == "identity"], table[table.phi == "exp"]
    looks = styles(sorted(linear.decay.unique()))
    how = {"panel": ["eta"], "by": "decay", "title": "a", "looks": looks, "name": lambda key: titles[key[0]], "most": 2}
    how |= {"labels": ("i", "mean sum of squared coefficients"), "sharey": False, "size": (2.7, 2.3)}
    figure, axes = line_panels(linear, "i", "square_sum", error="standard_error", **how)
    for ax, (eta, part) in zip(axes, linear.groupby("eta", sort=False), strict=True):
        if eta == "one":
            for a, own in part.groupby("decay"):
                ax.plot(own.i, own.closed_form, "--", color=looks[a]["color"], linewidth=1.6, alpha=0.6)
        if eta == "abs_sum" and len(softmax):
            ax.plot(softmax.i, softmax.square_sum, ":", color="0.2", label="softmax")
            ax.plot(softmax.i, np.minimum(1, np.e / (softmax.i + 1)), "-.", color="0.5", label="e / (i + 1)")
        decade_ticks(ax.yaxis)
    for old in figure.legends:
        old.remove()
    legend(figure, axes, "a")
    return figure


def fig_p6_accuracy(table: pd.DataFrame) -> Figure:
    """Accuracy over the decay, a line per normaliser."""
    figure, (ax,) = panels(1, width=3.4, height=2.6)
    shown, looks = {"one": "eta = 1", "abs_sum": "eta = sum |phi|"}, styles(list(dict.fromkeys(table.normaliser)))
    lines(ax, table, "decay", "accuracy", by="normaliser", looks=looks, error="standard_error", shown=shown)
    scale_line(ax, table.uniform_guess.iloc[0], GUESS)
    ax.set(xlabel="a of A = a I", ylabel="test accuracy", ylim=(-0.03, 1.05))
    value_ticks(ax.xaxis, table.decay.unique(), log=None)
    legend(figure, ax)
    return figure

"""Tables -> figures. A run that diverged, or lies above its panel, is a triangle at the panel's edge."""

import itertools
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from papers.signed_adam.runs import METHODS
from shared.artifacts import plots

LANDSCAPES = {"hom": "alike blocks (hom)", "het": "blocks of different scale (het)"}


def _curves(
    panel: dict[str, str], line: str, legend: str, *, told: dict | None = None, headroom: float = 0.6
) -> Callable[..., Figure]:
    """The figure of loss against learning rate: a panel per value of some columns, a line per value of another.

    Args:
        panel: column -> how a title says its value; one that does not vary is left out if another does.
        told: value of a line -> its label, if not the value itself. headroom: nats shown above the best run, at most.
    Lines of equal betas are thick.
    """

    def figure(table: pd.DataFrame) -> Figure:
        if not len(table):
            return plots.nothing("These records hold no runs of this study.")
        losses, look = table.val_loss[np.isfinite(table.val_loss)], plots.styles(sorted(table[line].unique()))
        # most of the runs, so that what is compared is not pressed flat by bad learning rates
        limits = plots.limits(losses, min(1.8 * (losses.quantile(0.7) - losses.min()) + 0.02, headroom))
        by = [column for column in panel if table[column].nunique() > 1] or list(panel)
        groups = list(table.groupby(by)) if by else [((), table)]
        drawn, axes = plots.panels(len(groups), width=1.9 if len(groups) > 1 else 3.2)
        for value, style in look.items():  # the legend, in order
            label = (told or {}).get(value, value if isinstance(value, str) else f"{value:g}")
            axes[0].plot([], [], label=label, linewidth=1.1, **style)
        for ax, (values, rows) in zip(axes, groups, strict=True):
            for value, part in reversed(list(rows.groupby(line))):  # the first value on top
                width = 2.8 if line == "beta2" and "beta1" in part and value == part.beta1.iloc[0] else 1.1
                plots.line(ax, part.lr, part.val_loss, top=limits[1], linewidth=width, **look[value])
            if "best_signum" in rows:
                plots.scale_line(ax, rows.best_signum.iloc[0], "best Signum", color="black", linestyle="--")
            title = [
                panel[c].format(plots.names({}, v) if c == "study" else v) for c, v in zip(by, values, strict=True)
            ]
            ax.set(ylim=limits, xlabel="learning rate")
            ax.set_title(", ".join(title), fontsize=8.5)
            ax.tick_params(labelsize=8)
            plots.value_ticks(ax.xaxis, rows.lr, most=5, rotate=45)
        drawn.supylabel("validation loss (nats per token)", fontsize=9)
        plots.legend(drawn, axes, legend)
        return drawn

    return figure


_adam = _curves({"study": "{}", "beta1": "$\\beta_1 = {}$"}, "beta2", "$\\beta_2$ (thick: $=\\beta_1$)")
fig2_adam = fig5_larger = fig12_noclip = fig13_tokens = fig14_short = fig15_batches = fig18_fineweb = _adam
fig4_mollified = _curves({"gradient_init": "$m_0 = {:g}\\,g_1$"}, "eps", "constant\nunder the root")
fig8_sgd = _curves({"method": "{}", "weight_decay": "decay {}"}, "beta1", "momentum", headroom=2.0)
fig2_signum = _curves({"beta1": "$\\beta = {}$"}, "clipped", "norm", told={True: "clipped", False: "not clipped"})
fig10_rmsprop = _curves({}, "beta2", "$\\beta_2$ (0: SignSGD)", headroom=1.2)


def fig11_emasign(table: pd.DataFrame) -> Figure:
    """The sign before or after the average, at the betas that both have."""
    both = table[table.beta1.isin(table[table.method == "EMASign"].beta1)]
    return _curves({"beta1": "$\\beta = {}$"}, "method", "method", headroom=1.5)(both)


def fig20_adavar(table: pd.DataFrame) -> Figure:
    """The point gamma = tau = beta is Adam."""
    points = zip(table.beta1, table.gamma, table.tau, strict=True)
    names = [f"$\\gamma$ {g:g}, $\\tau$ {t:g}{' (Adam)' if b == g == t else ''}" for b, g, t in points]
    return _curves({"beta1": "$\\beta = {}$"}, "name", "AdaVar")(table.assign(name=names))


def _over_tokens(table: pd.DataFrame, names: list[str], title: str) -> Figure:
    """Training loss over tokens: a line per value of the column `name`."""
    figure, (ax,) = plots.panels(1, width=4.4, height=3.0)
    plots.lines(ax, table, "tokens", "loss", by="name", looks=plots.styles(names, lines=True))
    late = table[table.tokens >= 0.15 * table.tokens.max()].loss
    ax.set(xlabel="training tokens", ylabel="training loss (nats per token)", xlim=(0, None))
    ax.set_ylim(table.loss.min() - 0.1, late.quantile(0.98) + 0.3)
    plots.legend(figure, ax, title)
    return figure


def fig1_tokens(table: pd.DataFrame) -> Figure:
    """Best setting of each method."""
    return _over_tokens(table.assign(name=table.method), METHODS, "best setting of")


def fig19_bias(table: pd.DataFrame) -> Figure:
    """Bias correction matters early only."""
    if not len(table):
        return plots.nothing("These records hold no runs without bias correction.")
    start = table.gradient_init.map({0.0: "from zero", 1.0: "from the first gradient"})
    corrected = table.bias_correction.map({0.0: ",\nnot corrected", 1.0: ",\ncorrected"})
    names = start + corrected.where(table.gradient_init == 0, "")
    return _over_tokens(table.assign(name=names), sorted(names.unique()), "Adam's averages")


def fig3_scores(table: pd.DataFrame) -> Figure:
    """Heat maps over (beta1, beta2): 1 at each row's best beta2; numbers are nats lost to it, frames the diagonal."""
    studies = list(dict.fromkeys(table.study))
    figure, axes = plots.panels(len(studies), most=3, width=3.5, height=2.5, beside=0.9, sharey=False)
    for ax, study in zip(axes, studies, strict=True):
        part = table[table.study == study]
        score, regret = (part.pivot(index="beta1", columns="beta2", values=name) for name in ("score", "regret"))
        lost = regret.map(lambda nats: f"{nats:.3f}".lstrip("0")).where(regret <= 1, ">1")
        lost = lost.where(np.isfinite(regret), "div.")
        marks = {"annot": lost, "fmt": "", "annot_kws": {"fontsize": 5.8}, "cbar": False}
        sns.heatmap(score, ax=ax, cmap="viridis", vmin=0, vmax=1, xticklabels=True, yticklabels=True, **marks)
        for i, j in [(i, j) for i, a in enumerate(score.index) for j, b in enumerate(score.columns) if a == b]:
            ax.add_patch(Rectangle((j, i), 1, 1, fill=False, edgecolor="red", linewidth=1.3, clip_on=False))
        ax.set(xlabel="$\\beta_2$", ylabel="$\\beta_1$", title=part.title.iloc[0])
        ax.tick_params(axis="x", labelrotation=60)
        ax.tick_params(axis="y", labelrotation=0)
    figure.colorbar(axes[0].collections[0], ax=axes, label="score within the row", shrink=0.8)
    return figure


def fig6_quadratics(table: pd.DataFrame) -> Figure:
    """Above: median loss with quartiles, each method at its best learning rate. Below: sigma2 of Adam's coordinates."""
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 4.8), sharex=True, sharey="row")
    looks = {"loss": plots.styles(["SGD", "Signum", "Adam"], lines=True)}
    looks["sigma2"] = plots.styles(["block 1", "block 2", "block 3"], lines=True)
    for (column, title), (row, kind) in itertools.product(enumerate(LANDSCAPES), enumerate(looks)):
        ax, part = axes[row, column], table[(table.landscape == title) & (table.kind == kind)]
        for line, rows in part.groupby("line", sort=False):
            name, _, coordinate = line.partition(", coordinate ")
            is_first = not coordinate or int(coordinate) % 3 == 1  # of the three lines of a block
            ax.plot(rows.step, rows.value, label=name if is_first else None, linewidth=1.1, **looks[kind][name])
            plots.band(ax, rows.step, rows.low, rows.high, looks[kind][name]["color"])
        ax.set(title=LANDSCAPES[title] if row == 0 else "", xlabel="step" if row else "")
    for row, label in zip(axes, ("loss, median and quartiles", "Adam's $\\sigma^2$ per coordinate"), strict=True):
        row[0].set(ylabel=label, yscale="log")
        row[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def fig6_learning_rates(table: pd.DataFrame) -> Figure:
    """Final loss against learning rate, a line per rotation; crosses: some seed was dropped."""
    figure, axes = plots.panels(2, width=3.2, height=2.8)
    look = plots.styles(["SGD", "Signum", "Adam"])
    for ax, (name, title) in zip(axes, LANDSCAPES.items(), strict=True):
        part = table[table.landscape == name]
        for _, rows in part.groupby("draw"):
            plots.lines(ax, rows, "lr", "median", by="method", looks=look)
        dropped = part[part.num_dropped > 0]
        ax.plot(dropped.lr, dropped["median"], "x", markersize=7, color="black", label="seeds dropped")
        ax.set(title=title, xlabel="learning rate", xscale="log", yscale="log")
    axes[0].set_ylabel("final loss, median")
    plots.legend(figure, axes)
    return figure


def fig7_mollifier(table: pd.DataFrame) -> Figure:
    """Signum with a constant in place of the variance, on blocks of different scale."""
    figure, (ax,) = plots.panels(1, width=4.6, height=3.1)
    constants = sorted((m for m in table.method.unique() if m.startswith("eps")), key=lambda m: -float(m.split()[-1]))
    for method, style in plots.styles([*constants, "Signum", "Adam"]).items():
        rows = table[(table.method == method) & np.isfinite(table["median"])].sort_values("lr")
        plots.line(ax, rows.lr, rows["median"], label=method.replace("eps", "Signum, $\\epsilon$"), **style)
        plots.band(ax, rows.lr, rows.low, rows.high, style["color"])
    ax.set(xlabel="learning rate", ylabel="final loss, median and quartiles", xscale="log", yscale="log")
    plots.legend(figure, ax)
    return figure


def fig21_hessians(table: pd.DataFrame) -> Figure:
    """|H| of both landscapes."""
    figure, axes = plots.panels(2, width=2.7, height=2.8)
    norm = LogNorm(max(table.value[table.value > 0].min(), 1e-3), table.value.max())
    for ax, (name, title) in zip(axes, LANDSCAPES.items(), strict=True):
        matrix = table[table.landscape == name].pivot(index="row", columns="coordinate", values="value").to_numpy()
        image = ax.imshow(np.ma.masked_equal(matrix, 0.0), norm=norm, cmap="magma")
        ax.set(title=title, xticks=range(0, 9, 2), yticks=range(0, 9, 2), xlabel="coordinate", ylabel="coordinate")
    figure.colorbar(image, ax=axes, label="$|H_{ij}|$ (white: 0)")
    return figure


def fig22_filter(table: pd.DataFrame) -> Figure:
    """The demo signal, and what Adam, Signum and EMASign return for it."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 4.8), sharex=True, height_ratios=[1, 1.5, 1.2])
    signal = table[table.method == "signal"]
    axes[0].plot(signal.step, signal.value, color="black")
    axes[0].set_ylabel("gradient $g_k$")
    for ax, methods in ((axes[1], ["Adam"]), (axes[2], ["Signum", "EMASign"])):
        rows = table[table.method.isin(methods)]
        rows = rows.assign(name=rows.method + ", $\\beta = " + rows.beta.map("{:g}".format) + "$")
        for name, style in plots.styles(rows.name, lines=True).items():
            ax.plot(*rows.loc[rows.name == name, ["step", "value"]].to_numpy().T, label=name, **style)
        ax.set(ylabel="direction $d_k$", yticks=[-1, 0, 1])  # which no direction leaves
        ax.grid(axis="y", color="0.8", linewidth=0.8)
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes[2].set_xlabel("step $k$")
    return figure

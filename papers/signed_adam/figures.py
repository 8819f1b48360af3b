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

from papers.signed_adam.grid import regret_text
from papers.signed_adam.runs import METHODS
from shared.artifacts import plots
from shared.artifacts.rate_panels import rate_panels
from shared.artifacts.shapes import dots

WORST = 0.1  # nats of regret at the end of Figure 3's colours
LANDSCAPES = {"hom": "alike blocks (hom)", "het": "blocks of different scale (het)"}


def _curves(**how) -> Callable[[pd.DataFrame], Figure]:
    """The figure of loss against learning rate; see `rate_panels`."""
    return lambda table: rate_panels(table, **how)


_look = {"line": "beta2", "thick": "beta1", "headroom": 0.3, "scale_line": ("best_signum", "best Signum")}
_adam = _curves(panel={"study": "{}", "beta1": "$\\beta_1 = {}$"}, legend="$\\beta_2$ (thick: $=\\beta_1$)", **_look)
fig2_adam = fig5_larger = fig12_noclip = fig13_tokens = fig14_short = fig15_batches = fig18_fineweb = _adam
fig4_mollified = _curves(panel={"gradient_init": "$m_0 = {:g}\\,g_1$"}, line="eps", legend="constant\nunder the root")
fig8_sgd = _curves(panel={"method": "{}", "weight_decay": "decay {}"}, line="beta1", legend="momentum", log_above=0.05)
_clip = {True: "clipped", False: "not clipped"}
fig2_signum = _curves(panel={"beta1": "$\\beta = {}$"}, line="clipped", legend="norm", told=_clip)
fig10_rmsprop = _curves(panel={}, line="beta2", legend="$\\beta_2$ (0: SignSGD)", headroom=1.2, fewest=3)


def fig11_emasign(table: pd.DataFrame) -> Figure:
    """The sign before or after the average, at the betas that both have."""
    both = table[table.beta1.isin(table[table.method == "EMASign"].beta1)]
    return rate_panels(both, panel={"beta1": "$\\beta = {}$"}, line="method", legend="method", headroom=1.5)


def fig20_adavar(table: pd.DataFrame) -> Figure:
    """The point gamma = tau = beta is Adam."""
    points = zip(table.beta1, table.gamma, table.tau, strict=True)
    names = [f"$\\gamma$ {g:g}, $\\tau$ {t:g}{' (Adam)' if b == g == t else ''}" for b, g, t in points]
    return rate_panels(table.assign(name=names), panel={"beta1": "$\\beta = {}$"}, line="name", legend="AdaVar")


def fig1_tokens(table: pd.DataFrame) -> Figure:
    """Best setting of each method: a band of one standard error; training where nothing else was released."""
    figure, (ax,) = plots.panels(1, width=4.4, height=3.2)
    looks = plots.styles(METHODS, lines=True)
    looks["SGD + Gclip"] |= {"linestyle": "-", "alpha": 0.5, "linewidth": 3.0, "zorder": 1}  # Cclip's may be the same
    for method, look in looks.items():
        for kind, rows in table[table.method == method].groupby("kind"):
            point = {"marker": "o", "markersize": 4} if kind == "validation" else {"linewidth": 1.0}
            label = method if kind == table.kind[table.method == method].iloc[0] else None
            ax.plot(rows.tokens, rows.ppl, label=label, **(point | look))
            plots.band(ax, rows.tokens, rows.low, rows.high, look["color"])
    kinds = "validation perplexity" if set(table.kind) == {"validation"} else "perplexity (dots: validation)"
    ax.set(xlabel="training tokens", ylabel=kinds, xlim=(0, None), yscale="log")
    ax.set_ylim(0.95 * table.ppl.min(), 1.3 * table.ppl[table.tokens >= 0.15 * table.tokens.max()].quantile(0.95))
    plots.log_ticks(ax.yaxis, (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0))
    plots.legend(figure, ax, "best setting of")
    return figure


def fig19_bias(table: pd.DataFrame) -> Figure:
    """Bias correction matters early only."""
    if not len(table):
        return plots.nothing("These records hold no runs without bias correction.")
    said = {(0, 1): "zero,\ncorrected", (0, 0): "zero,\nnot corrected", (1, 0): "the first gradient"}
    table = table.assign(name=[said[k] for k in zip(table.gradient_init, table.bias_correction, strict=True)])
    figure, (ax,) = plots.panels(1, width=4.4, height=3.0)
    look = {"by": "name", "looks": plots.styles(sorted(table.name.unique()), lines=True)}
    plots.lines(ax, table, "tokens", "more", error="two_standard_errors", **look)
    ax.set(xlabel="training tokens", ylabel="training loss (nats per token)\nabove zero, corrected", xlim=(0, None))
    plots.legend(figure, ax, "Adam's averages\nstarted from")
    return figure


def fig3_scores(table: pd.DataFrame) -> Figure:
    """Heat maps over (beta1, beta2): nats lost to the best beta2 of the row; a dot where noise may have decided it."""
    studies = list(dict.fromkeys(table.study))
    figure, axes = plots.panels(len(studies), most=3, width=3.5, height=2.5, beside=0.9, sharey=False)
    for ax, study in zip(axes, studies, strict=True):
        part = table[table.study == study]
        part = part.assign(text=regret_text(part), regret=part.regret.clip(upper=1))
        regret, lost = (part.pivot(index="beta1", columns="beta2", values=name) for name in ("regret", "text"))
        marks = {"annot": lost, "fmt": "", "annot_kws": {"fontsize": 5.6}, "cbar": False}
        sns.heatmap(regret, ax=ax, cmap="viridis_r", vmin=0, vmax=WORST, xticklabels=True, yticklabels=True, **marks)
        for i, j in [(i, j) for i, a in enumerate(regret.index) for j, b in enumerate(regret.columns) if a == b]:
            ax.add_patch(Rectangle((j, i), 1, 1, fill=False, edgecolor="red", linewidth=1.3, clip_on=False))
        ax.set(xlabel="$\\beta_2$", ylabel="$\\beta_1$", title=part.title.iloc[0])
        ax.tick_params(axis="x", labelrotation=60)
        ax.tick_params(axis="y", labelrotation=0)
    label = f"nats lost in the row\n(dark: {WORST:g} or more)"
    figure.colorbar(axes[0].collections[0], ax=axes, label=label, shrink=0.8)
    return figure


def fig_reported(table: pd.DataFrame) -> Figure:
    """Tables 1, 3 and B of the paper beside ours, each as nats above a row of its own."""
    parts = {title: rows for title, rows in table.groupby("panel", sort=False)}
    return dots(parts, "row", "whose", "value", {"paper": "the paper", "ours": "ours"}, "nats per token", most=3)


def fig6_quadratics(table: pd.DataFrame) -> Figure:
    """Above: median loss with quartiles, each method at its best learning rate. Below: sigma2 of Adam's coordinates."""
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 4.8), sharex=True, sharey="row")
    looks = {"loss": plots.styles(["SGD", "Signum", "Adam"], lines=True)}
    greys = zip(("0.65", "0.4", "0"), plots.DASHES, strict=False)  # no method's colours
    looks["sigma2"] = {f"block {i}": {"color": c, "linestyle": dash} for i, (c, dash) in enumerate(greys, 1)}
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

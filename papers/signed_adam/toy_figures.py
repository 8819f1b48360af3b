"""Figures of the toy problems: block quadratics and the filter demo."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

LANDSCAPES = {"hom": "alike blocks (hom)", "het": "blocks of different scale (het)"}
METHODS = ["SGD", "Signum", "Adam"]
_METHOD_COLOURS = dict(zip(METHODS, sns.color_palette("colorblind"), strict=False))


def fig6_quadratics(table: pd.DataFrame) -> Figure:
    """Above: median loss with quartiles, each method at its best learning rate. Below: sigma2 of Adam's coordinates."""
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 4.8), sharex=True)
    blocks = sns.color_palette("dark", 3)
    for column, (name, title) in enumerate(LANDSCAPES.items()):
        part = table[table.landscape == name]
        for method in METHODS:
            rows = part[(part.kind == "loss") & (part.line == method)]
            label = method if column else None
            axes[0, column].plot(rows.step, rows.value, color=_METHOD_COLOURS[method], label=label)
            axes[0, column].fill_between(
                rows.step, rows.low, rows.high, color=_METHOD_COLOURS[method], alpha=0.2, linewidth=0
            )
        for line, rows in part[part.kind == "sigma2"].groupby("line"):
            block = int(line.split()[1].rstrip(",")) - 1
            label = f"block {block + 1}" if column and line.endswith(str(3 * block + 1)) else None
            axes[1, column].plot(rows.step, rows.value, color=blocks[block], linewidth=1, label=label)
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("step")
    for ax in axes.flat:
        ax.set_yscale("log")
    for row, label in enumerate(("loss, median and quartiles", "Adam's $\\sigma^2$ per coordinate")):
        axes[row, 0].set_ylabel(label)
        axes[row, 0].sharey(axes[row, 1])
        axes[row, 1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def fig6_learning_rates(table: pd.DataFrame) -> Figure:
    """Final loss against learning rate, a line per rotation; triangles: some seed was dropped."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 2.8), sharey=True)
    for column, (name, title) in enumerate(LANDSCAPES.items()):
        part = table[table.landscape == name]
        for (method, draw), rows in part.groupby(["method", "draw"]):
            rows = rows.sort_values("lr")
            finite = rows[np.isfinite(rows["median"])]
            label = method if column and draw == part.draw.min() else None
            axes[column].plot(finite.lr, finite["median"], color=_METHOD_COLOURS[method], linewidth=1.2, label=label)
            dropped = finite[finite.num_dropped > 0]
            axes[column].plot(dropped.lr, dropped["median"], "^", markersize=4, color=_METHOD_COLOURS[method])
        axes[column].set(title=title, xlabel="learning rate", xscale="log", yscale="log")
    axes[0].set_ylabel("final loss, median")
    axes[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def fig7_mollifier(table: pd.DataFrame) -> Figure:
    """Signum with a constant in place of the variance, on blocks of different scale."""
    figure, ax = plt.subplots(figsize=(5.6, 3.0))
    constants = sorted((m for m in table.method.unique() if m.startswith("eps")), key=lambda m: -float(m.split()[-1]))
    colours = dict(zip(constants, sns.color_palette("flare", len(constants)), strict=True)) | _METHOD_COLOURS
    for method in [*constants, "Signum", "Adam"]:
        rows = table[(table.method == method) & np.isfinite(table["median"])].sort_values("lr")
        name = method.replace("eps", "Signum, $\\epsilon$")
        ax.plot(rows.lr, rows["median"], marker="o", markersize=3, color=colours[method], label=name)
        ax.fill_between(rows.lr, rows.low, rows.high, color=colours[method], alpha=0.12, linewidth=0)
    ax.set(xlabel="learning rate", ylabel="final loss, median and quartiles", xscale="log", yscale="log")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def fig21_hessians(table: pd.DataFrame) -> Figure:
    """|H| of both landscapes."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8))
    positive = table.value[table.value > 0]
    norm = LogNorm(max(positive.min(), 1e-3), positive.max())
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
    betas = sorted(table[table.method == "Adam"].beta.unique())
    for beta, colour in zip(betas, sns.color_palette("viridis", len(betas)), strict=True):
        rows = table[(table.method == "Adam") & (table.beta == beta)]
        axes[1].plot(rows.step, rows.value, color=colour, label=f"Adam, $\\beta = {beta:g}$")
    axes[1].set_ylabel("direction $d_k$")
    for method, style in (("Signum", "-"), ("EMASign", "--")):
        rows = table[table.method == method]
        label = f"{method}, $\\beta = {rows.beta.iloc[0]:g}$"
        axes[2].plot(
            rows.step, rows.value, style, color=sns.color_palette("colorblind")[3 if style == "-" else 0], label=label
        )
    axes[2].set(ylabel="direction $d_k$", xlabel="step $k$")
    for ax in axes[1:]:
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure

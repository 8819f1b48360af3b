"""Figures of the toy problems: block quadratics and the filter demo."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from shared.artifacts import plots

LANDSCAPES = {"hom": "alike blocks (hom)", "het": "blocks of different scale (het)"}
METHODS = ["SGD", "Signum", "Adam"]


def _lr_axes(axes: list[Axes], ylabel: str) -> None:
    for ax in axes:
        ax.set(xlabel="learning rate", xscale="log", yscale="log")
    axes[0].set_ylabel(ylabel)


def fig6_quadratics(table: pd.DataFrame) -> Figure:
    """Above: median loss with quartiles, each method at its best learning rate. Below: sigma2 of Adam's coordinates."""
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 4.8), sharex=True, sharey="row")
    methods, blocks = plots.styles(METHODS, lines=True), plots.styles(["block 1", "block 2", "block 3"], lines=True)
    for column, (name, title) in enumerate(LANDSCAPES.items()):
        part = table[table.landscape == name]
        for method, style in methods.items():
            rows = part[(part.kind == "loss") & (part.line == method)]
            axes[0, column].plot(rows.step, rows.value, label=method, **style)
            plots.band(axes[0, column], rows.step, rows.low, rows.high, style["color"])
        for line, rows in part[part.kind == "sigma2"].groupby("line"):
            block, _, coordinate = line.partition(", coordinate ")
            label = block if int(coordinate) % 3 == 1 else None  # one of the three lines of a block
            axes[1, column].plot(rows.step, rows.value, linewidth=1, label=label, **blocks[block])
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("step")
    for row, label in zip(axes, ("loss, median and quartiles", "Adam's $\\sigma^2$ per coordinate"), strict=True):
        row[0].set(ylabel=label, yscale="log")
        row[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def fig6_learning_rates(table: pd.DataFrame) -> Figure:
    """Final loss against learning rate, a line per rotation; crosses: some seed was dropped."""
    figure, axes = plots.panels(2, width=3.2, height=2.8)
    look = plots.styles(METHODS)
    for ax, (name, title) in zip(axes, LANDSCAPES.items(), strict=True):
        part = table[table.landscape == name]
        for method, (_, rows) in itertools.product(METHODS, part.groupby("draw")):
            rows = rows[rows.method == method]
            plots.line(ax, rows.lr, rows["median"], label=method, **look[method])
            dropped = rows[rows.num_dropped > 0]
            ax.plot(dropped.lr, dropped["median"], "x", markersize=7, color="black", label="seeds dropped")
        ax.set_title(title)
    _lr_axes(axes, "final loss, median")
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
    _lr_axes([ax], "final loss, median and quartiles")
    plots.legend(figure, ax)
    return figure


def fig21_hessians(table: pd.DataFrame) -> Figure:
    """|H| of both landscapes."""
    figure, axes = plots.panels(2, width=2.7, height=2.8)
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
    for ax, methods in ((axes[1], ["Adam"]), (axes[2], ["Signum", "EMASign"])):
        rows = table[table.method.isin(methods)]
        rows = rows.assign(name=rows.method + ", $\\beta = " + rows.beta.map("{:g}".format) + "$")
        for name, style in plots.styles(rows.name, lines=True).items():
            ax.plot(*rows.loc[rows.name == name, ["step", "value"]].to_numpy().T, label=name, **style)
        for value in (-1, 0, 1):  # no direction leaves [-1, 1]
            ax.axhline(value, color="0.8", linewidth=0.8, zorder=0)
        ax.set_ylabel("direction $d_k$")
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes[2].set_xlabel("step $k$")
    return figure

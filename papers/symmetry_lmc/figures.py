"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.symmetry_lmc.names import (
    ACTIVATION,
    CIRCUITS,
    FIXED,
    LM,
    LM_IDENTITY,
    LM_PERM,
    NORMAL,
    SOFT,
    SOFT_WIDE,
    TABLE_2,
    VANILLA,
    WIDE,
    WM,
    WM_PERM,
)
from shared.artifacts.line_panels import line_panels
from shared.artifacts.plots import legend, panels, styles

LAM, LOSS = r"$\lambda$, weight of model A", "test loss (nats)"
LOOKS = styles(TABLE_2, lines=True) | {LM: {"color": "black", "linestyle": "-"}}


def _paths(table: pd.DataFrame, methods: tuple[str, ...], **how: object) -> tuple[Figure, list[Axes]]:
    """Loss over lam, a panel per study, with the range over pairs."""
    looks = LOOKS if set(methods) <= set(LOOKS) else styles(methods, lines=True)
    looks = {name: looks[name] for name in methods}
    common = {"panel": ["title"], "by": "method", "looks": looks, "between": ("low", "high"), "log": ""}
    common |= {"labels": (LAM, LOSS), "size": (3.0, 2.9), "sharey": False}
    return line_panels(table[table.method.isin(methods)], "lam", "loss", **(common | how))


def fig_3(table: pd.DataFrame) -> Figure:
    """Loss over lam by symmetry class."""
    return _paths(table, (VANILLA, ACTIVATION, WM_PERM, WM, LM_PERM, LM))[0]


def fig_barriers(table: pd.DataFrame) -> Figure:
    """A dot per pair, a bar at the mean, the paper's mean as a star."""
    studies = list(dict.fromkeys(table.study))
    figure, axes = panels(len(studies), width=3.0, height=2.9, beside=2.6, sharey=True)
    for ax, study in zip(axes, studies, strict=True):
        own = table[table.study == study]
        for row, method in enumerate(TABLE_2):
            found, color = own[own.method == method], LOOKS[method]["color"]
            ax.plot(found.barrier, np.full(len(found), row), "o", color=color, alpha=0.5, markersize=4, label="a pair")
            ax.plot([found.barrier.mean()], [row], "|", color=color, markersize=16, markeredgewidth=2, label="mean")
            paper = found.reported_barrier.dropna().unique()[:1]
            ax.plot(paper, np.full(len(paper), row), "*", color="0.35", markersize=8, label="paper, its own data")
        ax.set(title=study, xlabel="barrier (nats)", xlim=(-0.05, None))
        ax.set_yticks(range(len(TABLE_2)), TABLE_2)
        ax.invert_yaxis() if ax is axes[0] else None
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    legend(figure, axes)
    return figure


def fig_3c(table: pd.DataFrame) -> Figure:
    """Loss over lam from narrow models to wide ones, a panel per method."""
    names = {CIRCUITS: "widened, not aligned", WM: "weight matching", LM: "learned matching"}
    how = {"panel": ["method"], "by": "width", "title": "width of B", "between": ("low", "high"), "log": ""}
    how |= {"labels": (LAM, LOSS), "size": (2.5, 2.7), "name": lambda key: names[key[0]]}
    return line_panels(table.assign(width=table.width.astype(int)), "lam", "loss", **how)[0]


def fig_4(table: pd.DataFrame) -> Figure:
    """Deviation from the plane over the simplex; the corners are the models."""
    methods = [VANILLA, WM, LM]
    figure, axes = panels(len(methods), width=2.5, height=2.5, beside=0.9, sharey=True)
    levels = np.linspace(min(table.deviation.min(), 0), table.deviation.max(), 13)
    for ax, method in zip(axes, methods, strict=True):
        own = table[table.method == method]
        x, y = own.lam2 + 0.5 * own.lam3, own.lam3 * np.sqrt(3) / 2
        drawn = ax.tricontourf(x, y, own.deviation, levels=levels, cmap="viridis", extend="both")
        near = 0.05 * table.deviation.max()
        if own.deviation.min() < near < own.deviation.max():
            ax.tricontour(x, y, own.deviation, levels=[near], colors="white", linewidths=1.2)
        ax.plot([0, 1, 0.5, 0], [0, 0, np.sqrt(3) / 2, 0], color="0.3", linewidth=0.8)
        for name, place in {"1": (-0.06, -0.05), "2": (1.06, -0.05), "3": (0.5, 0.93)}.items():
            ax.text(*place, name, ha="center", va="center", fontsize=8)
        ax.set(title=f"{method}\nlargest {own.deviation.max():.2g}", xlim=(-0.12, 1.12), ylim=(-0.12, 1.0))
        ax.set_aspect("equal")
        ax.axis("off")
    figure.colorbar(drawn, ax=axes, label="loss above the plane (nats)", shrink=0.8, format="%.1f")
    return figure


def fig_5(table: pd.DataFrame) -> Figure:
    """Histograms of eigen-angles around the circle, pooled over pairs."""
    studies, shown = list(dict.fromkeys(table.study)), {"O_WM": "weight matching", "O_diff": "learned correction"}
    figure, axes = plt.subplots(
        1, len(studies), figsize=(3.0 * len(studies) + 1.5, 2.9), squeeze=False, subplot_kw={"polar": True}
    )
    edges, looks = np.linspace(-np.pi, np.pi, 41), styles(shown)
    for ax, study in zip(axes.flat, studies, strict=True):
        for matrix, label in shown.items():
            own = table[(table.study == study) & (table.matrix == matrix)].angle
            share = np.histogram(own, edges)[0] / max(len(own), 1)
            look = {"color": looks[matrix]["color"], "hatch": "//" if matrix == "O_diff" else None}
            ax.bar(edges[:-1], share, width=np.diff(edges), align="edge", alpha=0.6, label=label, linewidth=0, **look)
        ax.set_title(study)
        ax.set_yticks([0.05, 0.1, 0.15, 0.2], ["5 %", "10 %", "15 %", "20 %"], fontsize=6)
        ax.set_rmax(1.05 * max(patch.get_height() for patch in ax.patches))
        ax.set_rlabel_position(60)  # off the bars of the correction
        ax.set_xticks(np.pi * np.array([0, 0.5, 1, 1.5]), ["0", r"$\pi/2$", r"$\pi$", r"$-\pi/2$"])
    legend(figure, list(axes.flat))
    return figure


def fig_6(table: pd.DataFrame) -> Figure:
    """Loss over lam by the distribution of lam in training."""
    shown = table.assign(method=table.method.replace({LM: "lam in U[0.4, 0.6]"}))
    return _paths(shown, ("lam in U[0.4, 0.6]", FIXED, WIDE, NORMAL), between=None, error="error")[0]


def fig_7(table: pd.DataFrame) -> Figure:
    """Barrier over sweeps, a panel per study."""
    how = {"panel": ["title"], "by": "group", "error": "error", "log": "", "size": (2.8, 2.6), "sharey": False}
    figure, axes = line_panels(table, "sweep", "barrier", labels=("sweeps", "barrier (nats)"), **how)
    for ax in axes:
        ax.set_ylim(bottom=0)
    return figure


def fig_8(table: pd.DataFrame) -> Figure:
    """Loss between the models over the updates of learned matching, from both starts."""
    table = table.assign(method=table.method.map({LM: "from weight matching", LM_IDENTITY: "from identity"}))
    how = {"panel": ["title", "split"], "by": "method", "error": "error", "log": "", "size": (2.6, 2.5), "most": 2}
    how |= {"name": lambda key: f"{key[0]}: {key[1]}"}
    return line_panels(table, "step", "loss", labels=("updates", "loss (nats)"), sharey=False, **how)[0]


def fig_9(table: pd.DataFrame) -> Figure:
    """Loss over lam, permutations hard and soft."""
    names = {LM: "hard, U[0.4, 0.6]", SOFT: "soft, U[0.4, 0.6]", SOFT_WIDE: "soft, U[0, 1]"}
    return _paths(table.assign(method=table.method.map(names)), tuple(names.values()), between=None, error="error")[0]

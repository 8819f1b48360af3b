"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from papers.logistic_gd.scalar_map import step

COLOURS = sns.color_palette("colorblind")
FATES = {"w": ("minimiser", "#dbe4ee"), "c": ("cycle", "#d55e00"), "s": ("still approaching", "#8fb3d9")}
FATES |= {"u": ("undecided", "black"), "d": ("diverged", "#cc79a7")}
RIDGE_ANGLE = 14  # degrees, of the tilted rows of the data set that is drawn
KINDS = {
    "uniform": "uniform rows",
    "teacher": "linear teacher",
    "skewed": "skewed counts",
    "digits": "digits",
}


def fig_cobweb(table: pd.DataFrame) -> Figure:
    """Cobweb of T, one panel per start."""
    c, gamma = table.c.iloc[0], table.gamma.iloc[0]
    starts = list(dict.fromkeys(table.start))
    figure, axes = plt.subplots(1, len(starts), figsize=(3.6 * len(starts), 3.4), squeeze=False)
    for ax, start in zip(axes[0], starts, strict=True):
        u = table[table.start == start].sort_values("t").u.to_numpy()
        grid = np.linspace(u.min() - 0.5, u.max() + 0.5, 400)
        ax.plot(grid, step(grid, c, gamma), color=COLOURS[0], label="$T(u)$")
        ax.plot(grid, grid, color="0.7", linewidth=1, label="$u$")
        ax.plot(np.repeat(u, 2)[:-1], np.repeat(u, 2)[1:], color=COLOURS[3], linewidth=0.9, label="orbit")
        ax.plot(np.log(c), np.log(c), "o", color="black", markersize=4, label=r"$u^* = \log c$", linestyle="none")
        ax.set(xlabel="$u_t$", ylabel="$u_{t+1}$", title=f"from $u_0 = {start:g}$")
    figure.suptitle(f"c = {c:g}, $\\gamma$ = {gamma:g}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def fig_bifurcation(table: pd.DataFrame) -> Figure:
    """Attractor over gamma, one panel per c."""
    cs = sorted(table.c.unique())
    columns = 2 if len(cs) > 1 else 1
    rows = -(-len(cs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(7.2, 2.5 * rows), sharex=True, squeeze=False)
    for ax, c in zip(axes.flat, cs, strict=False):
        part = table[table.c == c]
        values = part.points.astype(str).str.split()
        ax.plot(
            np.repeat(part.gamma.to_numpy(), values.str.len()),
            np.concatenate([np.array(v, float) for v in values]),
            ".",
            markersize=1.2,
            markeredgewidth=0,
            color=COLOURS[0],
        )
        ax.axvline(2, color=COLOURS[3], linewidth=0.8)
        ax.set(title=f"c = {c:g}", xlim=(part.gamma.min(), part.gamma.max()))
    for ax in axes[-1]:
        ax.set_xlabel(r"$\gamma = \eta\lambda$ (line: 2)")
    for ax in axes[:, 0]:
        ax.set_ylabel("attractor, $u$")
    return figure


def fig_unequal(table: pd.DataFrame) -> Figure:
    """Cycles on the line over gamma (top) and how many starts they catch (bottom)."""
    names = sorted(table.data.unique())
    figure, axes = plt.subplots(2, len(names), figsize=(2.6 * len(names), 4.2), sharex=True, squeeze=False)
    for (top, bottom), name in zip(axes.T, names, strict=True):
        part = table[table.data == name]
        cycles = part[part.cycle > 0]
        top.axhline(1, color="0.6", linewidth=0.8)
        top.plot(cycles.gamma, cycles.w / cycles.w_star, "o", markersize=3, color=COLOURS[0])
        top.set(title=f"data set {name}", yscale="symlog")
        share = part.drop_duplicates("gamma")
        bottom.plot(share.gamma, share.share_cycling, marker="o", markersize=3, color=COLOURS[1])
        bottom.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
        bottom.set(xlabel=r"$\gamma = \eta\lambda$", ylim=(-0.04, 1.04))
    axes[0, 0].set_ylabel("points of the cycle, $w / w^*$\n(grey: the minimiser)")
    axes[1, 0].set_ylabel("share of starts that cycle")
    return figure


def fig_counterexample(table: pd.DataFrame) -> Figure:
    """Trajectories in the plane, and their losses."""
    figure, (plane, losses) = plt.subplots(1, 2, figsize=(7.6, 3.4))
    styles = {"cycles": (COLOURS[3], "ends on a cycle"), "converges": (COLOURS[0], "converges")}
    for name, (colour, label) in styles.items():
        path = table[table.path == name].sort_values("t")
        plane.plot(path.w1, path.w2, "-", color=colour, linewidth=0.5, alpha=0.7)
        plane.plot(path.w1, path.w2, "o", color=colour, markersize=2.5, label=label)
        plane.plot(path.w1.iloc[0], path.w2.iloc[0], "s", color=colour, markersize=6, fillstyle="none")
        losses.plot(path.t, path.excess.clip(lower=1e-16), color=colour, marker="o", markersize=2.5)
    low, high = table.w2.min() - 0.5, min(table.w2.max() + 0.5, 16)
    height = np.array([low, high])
    tangent = np.tan(np.radians(RIDGE_ANGLE))
    for side in (-1, 1):
        label = "ridge of a tilted row" if side == 1 else None
        plane.plot(side * height * tangent, height, color="0.75", linewidth=1, linestyle="--", zorder=0, label=label)
    end = table[(table.path == "converges") & (table.t == table.t.max())]
    plane.plot(end.w1, end.w2, "*", color="black", markersize=9, label="$w^*$", linestyle="none")
    plane.set(
        xlabel="$w_1$", ylabel="$w_2$", ylim=(low, high), title=f"$\\gamma = {table.gamma.iloc[0]:g}$, start: square"
    )
    beyond = int((table.w2 > high).sum())
    if beyond:
        plane.text(0.02, 0.98, f"{beyond} points lie above", transform=plane.transAxes, va="top", fontsize=7)
    losses.set(xlabel="step $t$", ylabel="$L(w_t) - L(w^*)$ (nats)", yscale="log", title="loss above its minimum")
    figure.legend(*plane.get_legend_handles_labels(), loc="outside right center")
    return figure


def fig_basins(table: pd.DataFrame) -> Figure:
    """Basin images: a row of panels per data set, a panel per gamma."""
    names = list(dict.fromkeys(table.data))
    most = max(table[table.data == n].gamma.nunique() for n in names)
    figure, axes = plt.subplots(len(names), most, figsize=(1.55 * most + 1.6, 1.8 * len(names) + 0.3), squeeze=False)
    letters = list(FATES)
    colours = ListedColormap([FATES[letter][1] for letter in letters])
    for line, name in zip(axes, names, strict=True):
        part = table[table.data == name]
        gammas = sorted(part.gamma.unique())
        for ax in line[len(gammas) :]:
            ax.set_axis_off()
        for ax, gamma in zip(line, gammas, strict=False):
            rows = part[part.gamma == gamma].sort_values("w2")
            image = np.array([[letters.index(letter) for letter in row] for row in rows.outcomes])
            extent = (rows.w1_from.iloc[0], rows.w1_to.iloc[0], rows.w2.min(), rows.w2.max())
            ax.imshow(
                image, origin="lower", extent=extent, cmap=colours, vmin=0, vmax=len(letters) - 1,
                interpolation="nearest", aspect="auto",
            )  # fmt: skip
            ax.set_title(f"$\\gamma = {gamma:g}$: {rows.share.iloc[0]:.1%}", fontsize=8)
            ax.tick_params(labelsize=7)
            ax.set_xlabel("$w_1$")
        for ax in line[1:]:
            ax.set_yticklabels([])
        line[0].set_ylabel(f"{name}\n$w_2$")
    seen = set("".join(table.outcomes))
    patches = [Patch(color=colour, label=label) for letter, (label, colour) in FATES.items() if letter in seen]
    figure.legend(handles=patches, title="start ends at", loc="outside right center")
    return figure


def fig_highdim_below_1(table: pd.DataFrame) -> Figure:
    """U's cycle over gamma: its width, its stability, its catch."""
    figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.5), sharex=True)
    cycles = table[table.cycle > 0]
    share = table.drop_duplicates("gamma")
    for period, part in cycles.groupby("period"):
        axes[0].plot(part.gamma, part.w1, "o", markersize=4, label=f"period {period}")
        axes[1].plot(part.gamma, part.spectral_radius, "o", markersize=4)
    axes[2].plot(share.gamma, share.share_cycling, "o-", markersize=4, color=COLOURS[0])
    axes[0].legend(loc="best")
    labels = ["largest $w_1$ on the cycle", "spectral radius of the cycle", "share of starts that cycle"]
    for ax, label in zip(axes, labels, strict=True):
        ax.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
        ax.set(
            xlabel=r"$\gamma = \eta\lambda$ (dotted: 1)",
            title=label,
            xlim=(table.gamma.min() - 0.03, table.gamma.max() + 0.03),
        )
    axes[0].set_ylim(0, 1.1 * cycles.w1.max())
    axes[1].set_ylim(0, 1.03)
    axes[2].set_ylim(-0.03, 1.03)
    return figure


def fig_search(table: pd.DataFrame) -> Figure:
    """Least gamma over what limits it."""
    figure, axes = plt.subplots(1, 2, figsize=(7.8, 2.8), sharey=True)
    series = (
        (axes[0], "circle", "any 2-cycle"),
        (axes[0], "circle, stable", "2-cycle with stable norm"),
        (axes[1], "lifted", "any 2-cycle"),
    )
    colours = dict(zip(dict.fromkeys(label for *_, label in series), COLOURS, strict=False))
    for ax, kind, label in series:
        part = table[table.search == kind].sort_values("against")
        ax.plot(part.against, part.gamma_program, "-", marker=".", color=colours[label], label=f"program: {label}")
        ax.plot(part.against, part.gamma_stable, "s", markersize=5, fillstyle="none", color=colours[label])
    axes[0].plot([], [], "s", markersize=5, fillstyle="none", color="0.3", label="integer data: stable cycle")
    for ax, title, label in (
        (axes[0], "on the circle", "allowed ratio of weights"),
        (axes[1], "on spheres, lifted", "dimension $d$"),
    ):
        ax.axhline(2, color="0.6", linewidth=0.8, linestyle=":")
        ax.set(xscale="log", xlabel=label, title=title)
    dims = sorted(table[table.search == "lifted"].against)
    axes[1].set_xticks(dims, [f"{d:g}" for d in dims])
    axes[1].minorticks_off()
    axes[0].set_ylabel(r"least $\gamma$ (dotted: 2)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def fig_frequency(table: pd.DataFrame) -> Figure:
    """Share of data sets with a cycle, at the largest gamma, a panel per kind."""
    table = table[table.gamma == table.gamma.max()]
    kinds = [k for k in KINDS if k in set(table.kind)]
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 4.6), squeeze=False)
    sizes = sorted(set(table.rows_per_dim) - {0})
    colours = {0: "0.3", **dict(zip(sizes, COLOURS, strict=False))}
    for ax, kind in zip(axes.flat, kinds, strict=False):
        part = table[table.kind == kind]
        dims = sorted(part.dim.unique())
        groups = sorted(part.rows_per_dim.unique())
        for place, size in enumerate(groups):
            rows = part[part.rows_per_dim == size]
            x = np.array([dims.index(d) for d in rows.dim]) + 0.18 * (place - (len(groups) - 1) / 2)
            error = np.clip([rows.share_sets - rows.low, rows.high - rows.share_sets], 0, None)
            ax.errorbar(
                x, 100 * rows.share_sets, yerr=100 * error, fmt="o", markersize=4, capsize=2, color=colours[size]
            )
        num = sorted(part.num_sets.unique())
        ax.set(title=f"{KINDS[kind]} (sets per point: {num[0]})", xlabel="dimension $d$")
        ax.set_xticks(range(len(dims)), [str(d) for d in dims])
        ax.set_ylim(bottom=-0.02 * max(0.1, 100 * part.high.max()))
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("sets with a cycle (%)")
    handles = [plt.Line2D([], [], marker="o", linestyle="none", color=colours[s], label=f"{s:g}") for s in sizes]
    handles.append(plt.Line2D([], [], marker="o", linestyle="none", color=colours[0], label="1797 rows"))
    gamma = f"{table.gamma.iloc[0]:g}"
    figure.legend(
        handles=handles, title=f"rows per dimension\n($\\gamma = {gamma}$, 95% intervals)", loc="outside right center"
    )
    return figure

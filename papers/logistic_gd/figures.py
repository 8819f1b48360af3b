"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from papers.logistic_gd.scalar_map import doubling_gamma, step, two_cycle
from shared.artifacts.plots import legend, panels, scale_line, styles, value_ticks

BLUE, ORANGE, GREEN, RED = (style["color"] for style in styles("abcd").values())
GAMMA = r"$\gamma = \eta\lambda$"
FATES = {"w": ("minimiser", "#dbe4ee"), "c": ("cycle", "#d55e00"), "s": ("still approaching", "#8fb3d9")}
FATES |= {"u": ("undecided", "black"), "d": ("diverged", "#cc79a7")}
RIDGE_ANGLE = 14  # degrees, of the tilted rows of the data set that is drawn
KINDS = {"uniform": "uniform rows", "teacher": "linear teacher", "skewed": "skewed counts", "digits": "digits"}


def fig_cobweb(table: pd.DataFrame) -> Figure:
    """Cobweb of T, one panel per start."""
    c, gamma = table.c.iloc[0], table.gamma.iloc[0]
    starts = list(dict.fromkeys(table.start))
    figure, axes = panels(len(starts), width=3.2, height=3.2, sharey=False)
    for ax, start in zip(axes, starts, strict=True):
        u = table[table.start == start].sort_values("t").u.to_numpy()
        grid = np.linspace(u.min() - 0.5, u.max() + 0.5, 400)
        ax.plot(grid, step(grid, c, gamma), color=BLUE, label="$T(u)$")
        ax.plot(grid, grid, "--", color="0.6", linewidth=1, label="$u$")
        ax.plot(np.repeat(u, 2)[:-1], np.repeat(u, 2)[1:], ".-", color=RED, markersize=3, linewidth=0.8, label="orbit")
        ax.plot(np.log(c), np.log(c), "o", color="black", markersize=4, label=r"$u^* = \log c$", linestyle="none")
        ax.set(xlabel="$u_t$", ylabel="$u_{t+1}$", title=f"from $u_0 = {start:g}$")
    figure.suptitle(f"c = {c:g}, $\\gamma$ = {gamma:g}")
    legend(figure, axes)
    return figure


def fig_bifurcation(table: pd.DataFrame) -> Figure:
    """Attractor over gamma, one panel per c, with its range, the 2-cycle in closed form and where it doubles."""
    cs = sorted(table.c.unique())
    figure, axes = panels(len(cs), most=2, width=3.4, height=2.6, sharex=True, sharey=False, beside=1.9)
    for ax, c in zip(axes, cs, strict=True):
        part = table[table.c == c].sort_values("gamma")
        values = part.points.astype(str).str.split()
        x, y = np.repeat(part.gamma.to_numpy(), values.str.len()), np.concatenate(values.tolist()).astype(float)
        ax.plot(x, y, ".", markersize=1.2, markeredgewidth=0, color=BLUE)
        for edge in (part.lowest, part.highest):
            ax.plot(part.gamma, edge, "-", color="0.7", linewidth=0.6, zorder=1, label="its range")
        above = part.gamma[part.gamma > 2].to_numpy()
        for branch in np.array([two_cycle(c, gamma) for gamma in above]).T:
            ax.plot(above, branch, "--", color=ORANGE, linewidth=1, label="2-cycle, closed form")
        ax.axvline(2, color=RED, linewidth=0.8, linestyle=":", label=r"$\gamma = 2$")
        if c > 1:
            ax.axvline(doubling_gamma(c), color=GREEN, linewidth=0.8, linestyle="-.", label="it doubles")
        ax.set(title=f"c = {c:g}", xlim=(part.gamma.min(), part.gamma.max()), xlabel=GAMMA, ylabel="attractor, $u$")
    legend(figure, axes)
    return figure


def fig_unequal(table: pd.DataFrame) -> Figure:
    """Cycles on the line over gamma (top) and how many starts they catch (bottom)."""
    names = sorted(table.data.unique())
    figure, axes = panels(2 * len(names), most=len(names), height=2.2, sharex=True, sharey="row", beside=0)
    for top, bottom, name in zip(axes[: len(names)], axes[len(names) :], names, strict=True):
        part = table[table.data == name]
        cycles, share = part[part.cycle > 0], part.drop_duplicates("gamma")
        scale_line(top, 1, "minimiser")
        top.plot(cycles.gamma, cycles.w / cycles.w_star, "o", markersize=3, color=BLUE)
        top.set(title=f"data set {name}", yscale="symlog")
        bottom.plot(share.gamma, share.share_cycling, marker="s", markersize=3, color=ORANGE)
        bottom.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
        bottom.set(xlabel=GAMMA, ylim=(-0.04, 1.04))
    axes[0].set_ylabel("points of the cycle, $w / w^*$\n(dotted: the minimiser)")
    axes[len(names)].set_ylabel("share of starts that cycle")
    return figure


def fig_counterexample(table: pd.DataFrame) -> Figure:
    """Trajectories in the plane, and their losses."""
    figure, (plane, losses) = panels(2, width=3.2, height=3.2, sharey=False, beside=1.5)
    for (name, label), style in zip(
        {"cycles": "ends on a cycle", "converges": "converges"}.items(), styles("ab").values(), strict=True
    ):
        path, style = table[table.path == name].sort_values("t"), style | {"markersize": 3}
        plane.plot(path.w1, path.w2, "-", linewidth=0.5, alpha=0.7, label=label, **style)
        plane.plot(path.w1.iloc[0], path.w2.iloc[0], "s", color=style["color"], markersize=8, fillstyle="none")
        losses.plot(path.t, path.excess.clip(lower=1e-16), linewidth=1, **style)
    low, high = table.w2.min() - 0.5, min(table.w2.max() + 0.5, 16)
    height = np.array([low, high])
    for side in (-1, 1):
        ridge = side * height * np.tan(np.radians(RIDGE_ANGLE))
        plane.plot(ridge, height, "--", color="0.75", linewidth=1, zorder=0, label="ridge of a tilted row")
    end = table[(table.path == "converges") & (table.t == table.t.max())]
    plane.plot(end.w1, end.w2, "*", color="black", markersize=9, label="$w^*$", linestyle="none")
    title = f"$\\gamma = {table.gamma.iloc[0]:g}$, start: square"
    plane.set(xlabel="$w_1$", ylabel="$w_2$", ylim=(low, high), title=title)
    if beyond := int((table.w2 > high).sum()):
        plane.text(0.02, 0.98, f"{beyond} points lie above", transform=plane.transAxes, va="top", fontsize=7)
    losses.set(xlabel="step $t$", ylabel="$L(w_t) - L(w^*)$ (nats)", yscale="log", title="loss above its minimum")
    legend(figure, plane)
    return figure


def fig_basins(table: pd.DataFrame) -> Figure:
    """Basin images: a row of panels per data set, a panel per gamma."""
    names, letters = list(dict.fromkeys(table.data)), list(FATES)
    most = max(table[table.data == n].gamma.nunique() for n in names)
    figure, axes = plt.subplots(len(names), most, figsize=(1.55 * most + 1.6, 1.8 * len(names) + 0.3), squeeze=False)
    colours = ListedColormap([colour for _, colour in FATES.values()])
    for ax in axes.flat:
        ax.set_axis_off()
    for line, name in zip(axes, names, strict=True):
        for ax, (gamma, rows) in zip(line, table[table.data == name].sort_values("w2").groupby("gamma"), strict=False):
            image = np.array([[letters.index(letter) for letter in row] for row in rows.outcomes])
            extent = (rows.w1_from.iloc[0], rows.w1_to.iloc[0], rows.w2.min(), rows.w2.max())
            span = {"vmin": 0, "vmax": len(letters) - 1, "interpolation": "nearest", "aspect": "auto"}
            ax.imshow(image, origin="lower", extent=extent, cmap=colours, **span)
            ax.set_axis_on()
            ax.set_title(f"$\\gamma = {gamma:g}$: {rows.share.iloc[0]:.1%}", fontsize=8)
            ax.tick_params(labelsize=7, labelleft=ax is line[0])
            ax.set_xlabel("$w_1$")
        line[0].set_ylabel(f"{name}\n$w_2$")
    seen = set("".join(table.outcomes))
    patches = [Patch(color=colour, label=label) for letter, (label, colour) in FATES.items() if letter in seen]
    figure.legend(handles=patches, title="start ends at", loc="outside right center")
    return figure


def fig_highdim_below_1(table: pd.DataFrame) -> Figure:
    """U's cycle over gamma: its width, its stability, its catch."""
    figure, axes = panels(3, height=2.5, sharex=True, sharey=False, beside=1.2)
    cycles, share = table[table.cycle > 0], table.drop_duplicates("gamma")
    for period, style in styles(sorted(cycles.period.unique())).items():
        part = cycles[cycles.period == period]
        for ax, column in zip(axes, ("w1", "spectral_radius"), strict=False):
            ax.plot(part.gamma, part[column], linestyle="none", markersize=4, label=f"period {period:g}", **style)
    axes[2].plot(share.gamma, share.share_cycling, "o-", markersize=4, color=BLUE)
    labels = ["largest $w_1$ on the cycle", "spectral radius of the cycle", "share of starts that cycle"]
    for ax, label, top in zip(axes, labels, (1.1 * cycles.w1.max(), 1.03, 1.03), strict=True):
        ax.axvline(1, color="0.6", linewidth=0.8, linestyle=":", label=r"$\eta = 1/\lambda$")
        ax.set(xlabel=GAMMA, title=label, ylim=(-0.03, top))
    legend(figure, axes)
    return figure


def fig_search(table: pd.DataFrame) -> Figure:
    """Least gamma over what limits it."""
    figure, (circle, spheres) = panels(2, width=3.0, height=2.8, beside=2.2)
    series = {"circle": "any 2-cycle", "circle, stable": "2-cycle with stable norm", "lifted": "any 2-cycle, lifted"}
    for kind, style in styles(series).items():
        ax, against = (spheres, "dim") if kind == "lifted" else (circle, "ratio_bound")
        part = table[table.search == kind].sort_values(against)
        ax.plot(part[against], part.gamma_program, "-", markersize=4, label=f"program: {series[kind]}", **style)
        ax.plot(part[against], part.gamma_stable, "s", markersize=8, fillstyle="none", color=style["color"])
    circle.plot([], [], "s", markersize=8, fillstyle="none", color="0.3", label="integer data: stable cycle")
    circle.set(xscale="log", xlabel="allowed ratio of weights", title="on the circle", ylabel=r"least $\gamma$")
    spheres.set(xlabel="dimension $d$", title="on spheres, lifted")
    value_ticks(spheres.xaxis, table[table.search == "lifted"].dim)
    for ax in (circle, spheres):
        scale_line(ax, 2, r"$\gamma = 2$")
    legend(figure, [circle, spheres])
    return figure


def fig_frequency(table: pd.DataFrame) -> Figure:
    """Share of data sets with a cycle, at the largest gamma, a panel per kind."""
    table = table[table.gamma == table.gamma.max()]
    kinds = [kind for kind in KINDS if kind in set(table.kind)]
    figure, axes = panels(len(kinds), most=2, width=3.1, height=2.3, sharey=False, beside=1.7)
    groups = {0: "1797 rows"} | {size: f"{size:g}" for size in sorted(set(table.rows_per_dim) - {0})}
    looks = styles(groups.values())
    for ax, kind in zip(axes, kinds, strict=True):
        part = table[table.kind == kind]
        dims, sizes = sorted(part.dim.unique()), sorted(part.rows_per_dim.unique())
        for place, size in enumerate(sizes):
            rows = part[part.rows_per_dim == size]
            x = np.array([dims.index(d) for d in rows.dim]) + 0.18 * (place - (len(sizes) - 1) / 2)
            error = 100 * np.clip([rows.share_sets - rows.low, rows.high - rows.share_sets], 0, None)
            look = {"linestyle": "none", "markersize": 4, "capsize": 2, "label": groups[size]} | looks[groups[size]]
            ax.errorbar(x, 100 * rows.share_sets, yerr=error, **look)
        ax.set(title=f"{KINDS[kind]} (sets per point: {part.num_sets.min()})", xlabel="dimension $d$")
        ax.set_xticks(range(len(dims)), [str(d) for d in dims])
        ax.set_ylim(bottom=-0.05 * max(0.1, 100 * part.high.max()))
        ax.set_ylabel("sets with a cycle (%)")
    legend(figure, axes, f"rows per dimension\n($\\gamma = {table.gamma.iloc[0]:g}$, 95% intervals)")
    return figure

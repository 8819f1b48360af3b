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
LIFTED = 94, 1.9  # dimensions from which the data set A lifts on, and the least gamma at which it has a cycle
KINDS = {"uniform": "uniform rows", "teacher": "linear teacher", "skewed": "skewed counts"}
KINDS |= {"digits": "digits, even or odd", "digit pairs": "pairs of digits"}


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


def fig_two_step(table: pd.DataFrame) -> Figure:
    """How much nearer to u* one and two steps come, over the distance, a panel per c; at the largest gamma."""
    table = table[table.gamma == table.gamma.max()]
    cs = sorted(table.c.unique())
    figure, axes = panels(len(cs), width=2.1, height=2.7, beside=2.0)
    looks = styles(["right, two steps", "right, one step", "left, two steps", "left, one step"], lines=True)
    for ax, c in zip(axes, cs, strict=True):
        for label, look in looks.items():
            side, steps = label.split(", ")
            part = table[(table.c == c) & (table.side == side)]
            ax.plot(part.distance, part["two_step" if steps == "two steps" else "one_step"], label=label, **look)
        scale_line(ax, 1, "neither nearer nor farther")
        ax.set(xscale="log", yscale="log", title=f"c = {c:g}", xlabel="$|u - u^*|$")
    axes[0].set_ylim(0.02, 1.3 * table[["one_step", "two_step"]].max(axis=None))
    axes[0].set_ylabel("distance to $u^*$ after / before")
    legend(figure, axes, f"from, $\\gamma = {table.gamma.iloc[0]:g}$")
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
    """The data on the circle, trajectories in the plane, and their losses."""
    figure, (circle, plane, losses) = panels(3, width=2.9, height=3.1, sharey=False, beside=1.5)
    angle = np.linspace(0, 2 * np.pi, 400)
    circle.plot(np.cos(angle), np.sin(angle), color="0.85", linewidth=1)
    for row in table[table.path == "data"].itertuples():
        look = {"arrowstyle": "-|>", "color": GREEN, "linewidth": 0.8 + 0.8 * np.log10(row.count)}
        circle.annotate("", (row.w1, row.w2), (0, 0), arrowprops=look | {"shrinkA": 0, "shrinkB": 0})
        circle.text(1.2 * row.w1, 1.2 * row.w2, f"{row.count:g}x", ha="center", va="center", fontsize=8)
    circle.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", title="rows $z_i$ and how often", xlabel="$z_1$")
    circle.set_ylabel("$z_2$")
    paths = table[table.path != "data"]
    for (name, label), style in zip(
        {"cycles": "ends on a cycle", "converges": "converges"}.items(), styles("ab").values(), strict=True
    ):
        path, style = paths[paths.path == name].sort_values("t"), style | {"markersize": 3}
        plane.plot(path.w1, path.w2, "-", linewidth=0.5, alpha=0.7, label=label, **style)
        plane.plot(path.w1.iloc[0], path.w2.iloc[0], "s", color=style["color"], markersize=8, fillstyle="none")
        losses.plot(path.t, path.excess.clip(lower=1e-16), linewidth=1, **style)
    low, high = paths.w2.min() - 0.5, min(paths.w2.max() + 0.5, 16)
    height = np.array([low, high])
    for side in (-1, 1):
        ridge = side * height * np.tan(np.radians(RIDGE_ANGLE))
        plane.plot(ridge, height, "--", color="0.75", linewidth=1, zorder=0, label="ridge of a tilted row")
    end = paths[(paths.path == "converges") & (paths.t == paths.t.max())]
    plane.plot(end.w1, end.w2, "*", color="black", markersize=9, label="$w^*$", linestyle="none")
    title = f"$\\gamma = {table.gamma.iloc[0]:g}$, start: square"
    plane.set(xlabel="$w_1$", ylabel="$w_2$", ylim=(low, high), title=title)
    if beyond := int((paths.w2 > high).sum()):
        plane.text(0.02, 0.98, f"{beyond} points lie above", transform=plane.transAxes, va="top", fontsize=7)
    losses.set(xlabel="step $t$", ylabel="$L(w_t) - L(w^*)$ (nats)", yscale="log", title="loss above its minimum")
    legend(figure, plane)
    return figure


def fig_basins(table: pd.DataFrame) -> Figure:
    """Basin images: a row of panels per data set, a panel per gamma at which any start cycles."""
    names, letters = list(dict.fromkeys(table.data)), list(FATES)
    shown = (table.share > 0) | (table.gamma == table.groupby("data").gamma.transform("max"))
    calm, table = table[~shown].groupby("data").gamma.unique(), table[shown]
    most = max(table[table.data == n].gamma.nunique() for n in names)
    figure, axes = plt.subplots(len(names), most, figsize=(1.55 * most + 2.0, 1.8 * len(names) + 0.3), squeeze=False)
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
        without = ", ".join(f"{gamma:g}" for gamma in calm.get(name, []))
        line[0].set_ylabel(name + (f"\nnone at $\\gamma = {without}$" if without else "") + "\n$w_2$")
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
        part = part[part.confirmed.astype(bool)]
        ax.plot(part[against], part.gamma_stable, "s", markersize=8, fillstyle="none", color=style["color"])
    circle.plot([], [], "s", markersize=8, fillstyle="none", color="0.3", label="integer data: stable cycle")
    dims = table.dim[(table.search == "lifted") & (table.dim >= LIFTED[0])]
    known = table[table.search.str.startswith("S(")]
    for ax, x, gammas in ((circle, known.ratio_bound, known.gamma_stable), (spheres, dims, [LIFTED[1]] * len(dims))):
        ax.plot(x, gammas, "*", markersize=9, color="black", label="known stable cycles, where it starts")
    circle.set(xscale="log", xlabel="heaviest / lightest row, at most", title="on the circle", ylabel=r"least $\gamma$")
    spheres.set(xlabel="dimension $d$", title="on spheres, lifted")
    value_ticks(spheres.xaxis, table[table.search == "lifted"].dim)
    for ax in (circle, spheres):
        scale_line(ax, 2, r"$\gamma = 2$")
    legend(figure, [circle, spheres])
    return figure


def fig_frequency(table: pd.DataFrame) -> Figure:
    """Pooled share of data sets with a cycle by kind of data, beside how often the same search finds a known one."""
    known = table.group == "known"
    figure, axes = panels(2, width=3.9, height=3.2, sharey=False, beside=0)
    first = f"data not built for it, $\\gamma = {table.gamma[~known].max():g}$"
    titles = {first: table[~known], "data with a known cycle": table[known]}
    for ax, (title, part) in zip(axes, titles.items(), strict=True):
        places, error = (
            np.arange(len(part)),
            np.clip([part.share_sets - part.low, part.high - part.share_sets], 0, None),
        )
        ax.errorbar(100 * part.share_sets, places, xerr=100 * error, fmt="o", color=BLUE, markersize=4, capsize=2)
        found = part.num_sets_cycling.map("{:g}".format) + " of " + part.num_sets.map("{:g}".format)
        names = part.kind.map(lambda kind: KINDS.get(kind, kind))
        if part.gamma.nunique() > 1:
            names += part.gamma.map(", $\\gamma = {:g}$".format)
        ax.set_yticks(places, names + "\n" + found, fontsize=7)
        ax.set(title=title, ylim=(len(part) - 0.5, -0.5))
    axes[0].set_xscale("symlog", linthresh=1)
    axes[0].set(xlabel="sets with a cycle (%)", xlim=(-0.1, 110))
    axes[1].set(xlabel="repeats that find it (%)", xlim=(0, 103))
    value_ticks(axes[0].xaxis, [0, 1, 10, 100], log=None)
    for ax, threshold in zip(axes, (1, 50), strict=True):
        ax.axvline(threshold, color="0.35", linestyle=":", linewidth=1.1)
    return figure

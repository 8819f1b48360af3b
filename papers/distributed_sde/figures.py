"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from papers.distributed_sde.labels import FUNCTIONS, MODELS, SDES, cell_label
from papers.distributed_sde.loss_panels import UNIFORM_GUESS, loss_panels, mark_last_decade
from papers.distributed_sde.measures import predicted_boundaries, until_gone
from papers.distributed_sde.network_settings import label_entropy
from papers.distributed_sde.stable_panels import over_compression, over_gradient_norm
from papers.distributed_sde.theory import sign_floor_median
from shared.artifacts.plots import band, legend, line, log_ticks, panels, scale_line, styles, symlog_ticks, value_ticks


def fig_sanity(table: pd.DataFrame) -> Figure:
    """|x| over time on the parabola (above) and on the quartic (below)."""
    etas, starts = [eta for eta in (0.5, 1.9, 2.1) if eta in set(table.eta)], [2.5, 2.6, 4.48]
    figure, axes = panels(6, most=3, width=2.6, height=2.4, sharey="row", beside=0)
    shown = [("parabola", "eta", eta, rf"parabola, $\eta\lambda = {eta:g}$") for eta in etas]
    eta = table[table.function == "quartic"].eta.iloc[0]
    shown += [("quartic", "x0", x0, rf"quartic, $\eta x_0^2 = {eta * x0**2:.3g}$") for x0 in starts]
    looks = styles(MODELS, lines=True)
    looks["gd"] = {"color": "0.25", "marker": "o", "markersize": 2.5, "linewidth": 0.8}
    for ax, (function, column, value, title) in zip(axes, shown, strict=True):
        part = table[(table.function == function) & (table[column] == value)]
        low, high, end = (1e-9, 1e3, 20) if function == "parabola" else (0.05, 300, 5)
        ax.set(yscale="log", title=title, xlabel=r"time $t = \eta k$", ylim=(low, high))
        for model, label in MODELS.items():
            curve = part[(part.model == model) & (part.t <= end)].sort_values("k").assign(size=lambda t: t.x.abs())
            curve = until_gone(curve.assign(size=curve["size"].where(curve["size"] <= high, np.inf)), "size")
            line(ax, curve.t, curve["size"], **{"marker": "", "label": label} | looks[model])
    for ax in (axes[0], axes[3]):
        ax.set_ylabel("$|x|$")
    legend(figure, axes[0], below=True)
    return figure


def fig_toy(table: pd.DataFrame) -> Figure:
    """Median |grad f|^2 over k: Cauchy noise, affine noise from near, affine noise from far."""
    affine, far = table.noise == "affine", table[table.noise == "affine"].x0.max()
    shown = {
        "Cauchy noise": (table[~affine], (1e-3, 1e5)),
        f"affine noise, $x_0 = {table[affine].x0.min():g}$": (table[affine & (table.x0 < far)], (1e-9, 1e9)),
        f"affine noise, $x_0 = {far:g}$": (table[affine & (table.x0 == far)], (1e-30, 1e16)),
    }
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 4.8), height_ratios=[3, 1.2])
    for (ax, below), (title, (part, (low, high))) in zip(axes.T, shown.items(), strict=True):
        ax.set(xscale="log", yscale="log", title=title, xlabel="step $k$", ylim=(low, high))
        cells = [c for _, c in part.groupby(["method", "schedule", "lr", "scale", "omega", "x0"], sort=False)]
        looks = styles([cell_label(cell) for cell in cells], lines=True)
        for cell, (label, look) in zip(cells, looks.items(), strict=True):
            cell = until_gone(cell, "median_g2")
            shown_median = cell.median_g2.where(~np.isfinite(cell.median_g2), cell.median_g2.clip(lower=low / 10))
            line(ax, cell.k, shown_median, marker="", label=label, stack=True, **look)
            band(ax, cell.k, cell.q25.clip(low / 10, high), cell.q75.clip(low / 10, high), look["color"])
        for row in part[(part.method == "DSignSGD") & (part.schedule == "constant")].iloc[:1].itertuples():
            floor = sign_floor_median(row.lr, 1.0, row.scale, row.N, 1.0, row.d)
            scale_line(ax, floor, "floor of DSignSGD, theory")
        below.set_axis_off()
        below.legend(*ax.get_legend_handles_labels(), loc="upper center", handlelength=2.2, borderpad=0)
    axes[0, 0].set_ylabel(r"median $|\nabla f|^2$ and quartiles, all runs")
    return figure


def fig_stable(table: pd.DataFrame) -> Figure:
    """Largest stable step over the gradient norm, beside both conditions."""
    return over_gradient_norm(table)


def fig_compression(table: pd.DataFrame) -> Figure:
    """Over omega: the exact step and the classical condition over the corrected one; and how often it fails."""
    return over_compression(table)


def fig_threshold(table: pd.DataFrame) -> Figure:
    """Stability boundary over omega, N and d: measured beside both predictions, and (below) over the corrected one."""
    figure, axes = panels(6, most=3, width=2.8, height=2.4, sharex="col", sharey="row", beside=0)
    labels = {"omega": r"compression $\omega$", "N": "clients $N$", "d": "dimension $d$"}
    names = {"omega": r"\omega", "N": "N", "d": "d"}
    one, other, typical = styles(["corrected", "classical", "almost surely"], lines=True).values()
    for ax, ratio, (column, xlabel) in zip(axes[:3], axes[3:], labels.items(), strict=True):
        part = table[table.axis == {"N": "num_clients"}.get(column, column)].sort_values(column)
        grid, corrected, classical = predicted_boundaries(part, column)
        ax.plot(grid, corrected, label=r"corrected, $2/(\lambda\kappa)$", **one)
        ax.plot(grid, classical, label=r"classical, $2/(\lambda(\kappa-1))$", **other)
        ax.plot(part[column], part.eta_star_measured, "o", color="0.2", markersize=4, label="measured in mean square")
        label = "measured almost surely (typical paths)"
        ax.plot(part[column], part.eta_sure, "^", color=typical["color"], markersize=4, label=label)
        ax.set(yscale="log", title=", ".join(rf"${names[c]} = {part[c].iloc[0]:g}$" for c in names if c != column))
        over, low, high = (part[c] / part.eta_star_theory for c in ("eta_star_measured", "ci_low", "ci_high"))
        scale_line(ratio, 1, "", color=one["color"], linestyle="-")
        ratio.errorbar(part[column], over, [over - low, high - over], fmt="o", markersize=4, capsize=3, color="0.2")
        ratio.set_xlabel(xlabel)
        if column == "omega":
            symlog_ticks(ratio.xaxis, sorted(part.omega.unique()))
        else:
            value_ticks(ratio.xaxis, part[column])
        log_ticks(ax.yaxis, subs=(1, 2, 5))
    axes[0].set_ylabel(r"largest stable step $\eta^*$")
    axes[3].set_ylabel("mean square / corrected,\n95% interval")
    legend(figure, axes[0], below=True)
    return figure


def fig_bound(table: pd.DataFrame) -> Figure:
    """Weighted average of |grad f|^2 beside the theorem's right side."""
    groups = list(table.groupby(["method", "function", "omega"], sort=False))
    figure, axes = panels(len(groups), most=3, width=2.9, height=3.0, sharey=False, beside=0.6)
    right, measured, last = styles(["right", "measured", "last"], lines=True).values()
    for ax, ((method, function, omega), part) in zip(axes, groups, strict=True):
        ax.plot(part.t, part.bound, label="right side of the theorem", **right)
        label, spread = r"measured $E|\nabla f(X_{\hat t})|^2 \pm 2$ standard errors", 2 * part.standard_error
        ax.plot(part.t, part.average_g2, label=label, **measured)
        band(ax, part.t, (part.average_g2 - spread).clip(lower=1e-3), part.average_g2 + spread, measured["color"])
        ax.plot(part.t, part.last_g2, linewidth=1, label=r"last iterate, $E|\nabla f(X_t)|^2$", **last)
        title = f"{method}, {FUNCTIONS[function]}" + (rf", $\omega = {omega:g}$" if method == "DCSGD" else "")
        title += f"\ncondition holds at {part.share_admitted.iloc[-1]:.1%} of steps"
        ax.set(xscale="log", yscale="log", title=title, xlabel=r"time $t = \eta k$")
    axes[0].set_ylabel(r"$|\nabla f|^2$")
    legend(figure, axes[0], below=True, columns=min(3, len(groups)))
    return figure


def fig_track(table: pd.DataFrame) -> Figure:
    """E f of the discrete method and of its SDE models (above), and their ratio (below)."""
    groups = list(table.groupby("method", sort=False))
    figure, axes = panels(2 * len(groups), most=len(groups), width=3, height=2.4, sharex=True, sharey=False, beside=0.4)
    for ax, ratio, (method, part) in zip(axes[: len(groups)], axes[len(groups) :], groups, strict=True):
        discrete, notes = part[part.sde == part.sde.iloc[0]], []
        spread = 2 * discrete.se_discrete
        band(ax, discrete.k, discrete.f_discrete - spread, discrete.f_discrete + spread, "0.25")
        ax.plot(discrete.k, discrete.f_discrete, "o", color="0.25", markersize=2.5, label="discrete method")
        scale_line(ratio, 1, "")
        for (kind, label), look in zip(SDES.items(), styles(SDES, lines=True).values(), strict=True):
            curve = part[part.sde == kind]
            value = curve.f_sde / curve.f_discrete
            spread = 2 * value * np.hypot(curve.se_sde / curve.f_sde, curve.se_discrete / curve.f_discrete)
            ax.plot(curve.k, curve.f_sde, label=label, **look)
            band(ax, curve.k, curve.f_sde - 2 * curve.se_sde, curve.f_sde + 2 * curve.se_sde, look["color"])
            ratio.plot(curve.k, value, **look)
            band(ratio, curve.k, value - spread, value + spread, look["color"])
            lost, without = curve.share_exploded.iloc[-1], "" if curve.f_sde.notna().all() else ", no mean"
            notes += [f"{kind.replace('_', ' ')}: {lost:.2%} of paths explode{without}"] if lost else []
        omega = f", $\\omega = {part.omega.iloc[0]:g}$" if method == "DCSGD" else ""
        ax.set_title(rf"{method}, $\eta = {part.eta.iloc[0]:g}${omega}" + "".join(f"\n{n}" for n in notes))
        ax.set_yscale("log")
        ratio.set_xlabel("step $k$")
    axes[0].set_ylabel("$E f$ over paths that stay finite")
    axes[len(groups)].set_ylabel("SDE / discrete, $\\pm 2$ s.e.")
    legend(figure, axes[0], below=True)
    return figure


def fig_dcsgd(table: pd.DataFrame) -> Figure:
    """Training loss by rule and omega."""
    return loss_panels(table, ["rule"], "omega", r"$\omega$")[0]


def fig_dsign(table: pd.DataFrame) -> Figure:
    """Training loss by rule and scale of the Cauchy noise, hard labels and smoothed ones; stalls and rises."""
    words = {0.0: "hard labels"}
    table = table.assign(labels=[words.get(s, f"labels smoothed by {s:g}") for s in table.label_smoothing])
    groups = table.groupby(["label_smoothing", "rule"], sort=False)
    look = {"most": table.rule.nunique(), "guess": [UNIFORM_GUESS - label_entropy(s) for (s, _), _ in groups]}
    figure, axes = loss_panels(table, ["labels", "rule"], "scale", "noise scale", log="xy", **look)
    for ax, (_, part) in zip(axes, groups, strict=True):
        mark_last_decade(ax, part, "scale", "scale")
    return figure


def fig_minibatch(table: pd.DataFrame) -> Figure:
    """Mini-batch training: a panel per network, method and rule."""
    names = {"dcsgd": "$\\omega$ = ", "dsign": "noise scale = "}
    levels = table.study.map(names) + table.level.map("{:g}".format)
    table = table.assign(level=levels, study=table.study.map({"dcsgd": "DCSGD", "dsign": "DSignSGD"}))
    table = table.assign(study=table.network + ", " + table.study)
    return loss_panels(table, ["study", "rule"], "level", "", most=5)[0]

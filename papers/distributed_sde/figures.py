"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.distributed_sde.theory import equal_clients, mean_square_threshold, sign_floor
from shared.artifacts.plots import band, legend, line, log_ticks, panels, scale_line, seeds, styles, value_ticks

MODELS = {"gd": "gradient descent", "ode1": "classical, 1st order", "ode2": "classical, 2nd order"}
MODELS |= {"ode_new": "corrected"}
SDES = {"classical_1": "classical SDE, 1st order", "classical_2": "classical SDE, 2nd order"}
SDES |= {"corrected": "corrected SDE"}
DECAYS = {"constant": "constant", "inverse_sqrt": r"$1/\sqrt{k+1}$", "inverse": r"$1/(k+1)$"}
METHODS = {"normalised": "normalised, with $\\kappa$", "gnorm": "normalised, no $\\kappa$"}
UNIFORM_GUESS = np.log(10)  # nats, ten classes


def _until_gone(curve: pd.DataFrame, y: str) -> pd.DataFrame:
    """The curve up to its first value that is not finite, which is marked once."""
    gone = ~np.isfinite(curve[y].to_numpy())
    return curve.iloc[: int(gone.argmax()) + 1] if gone.any() else curve


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
            curve = _until_gone(curve.assign(size=curve["size"].where(curve["size"] <= high, np.inf)), "size")
            line(ax, curve.t, curve["size"], **{"marker": "", "label": label} | looks[model])
    for ax in (axes[0], axes[3]):
        ax.set_ylabel("$|x|$")
    legend(figure, axes[0], below=True)
    return figure


def _cell_label(curve: pd.DataFrame) -> str:
    first, share = curve.iloc[0], curve.share_diverged.iloc[-1]
    parts = [METHODS.get(first.method, first.method)]
    if first.method in ("DSGD", "DSignSGD"):
        parts += [DECAYS[first.schedule]] + ([f"scale {first.scale:g}"] if first.method == "DSignSGD" else [])
    else:
        parts += [rf"$\omega = {first.omega:g}$"]
    return ", ".join(parts) + (f" ({share:.0%} diverged)" if share > 0 else "")


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
        looks = styles([_cell_label(cell) for cell in cells], lines=True)
        for cell, (label, look) in zip(cells, looks.items(), strict=True):
            cell = _until_gone(cell, "median_g2")
            shown_median = cell.median_g2.where(~np.isfinite(cell.median_g2), cell.median_g2.clip(lower=low / 10))
            line(ax, cell.k, shown_median, marker="", label=label, **look)
            band(ax, cell.k, cell.q25.clip(low / 10, high), cell.q75.clip(low / 10, high), look["color"])
        for row in part[(part.method == "DSignSGD") & (part.schedule == "constant")].iloc[:1].itertuples():
            floor = row.d * sign_floor(row.lr, 1.0, row.scale, row.N, 1.0)[1]
            scale_line(ax, floor, "floor of DSignSGD, theory")
        below.set_axis_off()
        below.legend(*ax.get_legend_handles_labels(), loc="upper center", handlelength=2.2, borderpad=0)
    axes[0, 0].set_ylabel(r"median $|\nabla f|^2$ and quartiles, all runs")
    return figure


def _predictions(part: pd.DataFrame, column: str) -> tuple[np.ndarray, list[float], list[float]]:
    """Grid along one setting with the corrected and the classical boundary; the others are those of the first row."""
    first, low, high = part.iloc[0], part[column].min(), part[column].max()
    low, high = (low / 2, 2 * high) if low == high else (low, high)
    grid = np.linspace(low, high, 200)
    if column != "omega":
        grid = np.unique(np.round(np.geomspace(low, high, 100)))
    settings = {name: first[name] for name in ("d", "N", "omega", "s1")}
    kappas = []
    for value in grid:
        d, clients, omega, s1 = (settings | {column: value}).values()
        kappas.append(equal_clients(int(d), int(clients), omega, 0.0, s1)[0])
    return grid, *([mean_square_threshold(first.lam, k) for k in shift] for shift in (kappas, np.array(kappas) - 1))


def fig_threshold(table: pd.DataFrame) -> Figure:
    """Stability boundary over omega, N and d: measured beside both predictions."""
    figure, axes = panels(3, width=2.8, height=3.2, beside=0)
    labels = {"omega": r"compression $\omega$", "N": "clients $N$", "d": "dimension $d$"}
    names = {"omega": r"\omega", "N": "N", "d": "d"}
    one, other = styles(["corrected", "classical"], lines=True).values()
    for ax, (column, label) in zip(axes, labels.items(), strict=True):
        part = table[table.axis == {"N": "num_clients"}.get(column, column)].sort_values(column)
        grid, corrected, classical = _predictions(part, column)
        ax.plot(grid, corrected, label=r"corrected, $2/(\lambda\kappa)$", **one)
        ax.plot(grid, classical, label=r"classical, $2/(\lambda(\kappa-1))$", **other)
        error = [part.eta_star_measured - part.ci_low, part.ci_high - part.eta_star_measured]
        style = {"fmt": "o", "markersize": 4, "color": "0.2", "capsize": 2, "label": "measured, 95% interval"}
        ax.errorbar(part[column], part.eta_star_measured, yerr=error, **style)
        title = ", ".join(rf"${names[c]} = {part[c].iloc[0]:g}$" for c in names if c != column)
        ax.set(yscale="log", xlabel=label, title=title)
        value_ticks(ax.xaxis, part[column], log=None if column == "omega" else 10)
        log_ticks(ax.yaxis, subs=(1, 2, 5))
    axes[0].set_ylabel(r"largest stable step $\eta^*$")
    legend(figure, axes[0], below=True)
    return figure


def fig_bound(table: pd.DataFrame) -> Figure:
    """Weighted average of |grad f|^2 beside the theorem's right side."""
    groups = list(table.groupby(["function", "omega"], sort=False))
    figure, axes = panels(len(groups), width=2.9, height=3.3, beside=0.6)
    right, measured, last = styles(["right", "measured", "last"], lines=True).values()
    for ax, ((function, omega), part) in zip(axes, groups, strict=True):
        ax.plot(part.t, part.bound, label="right side of the theorem", **right)
        ax.plot(
            part.t, part.average_g2, label=r"measured $E|\nabla f(X_{\hat t})|^2 \pm 2$ standard errors", **measured
        )
        spread = 2 * part.standard_error
        band(ax, part.t, (part.average_g2 - spread).clip(lower=1e-3), part.average_g2 + spread, measured["color"])
        ax.plot(part.t, part.last_g2, linewidth=1, label=r"last iterate, $E|\nabla f(X_t)|^2$", **last)
        title = (
            rf"{function}, $\omega = {omega:g}$" + f"\ncondition holds at {part.share_admitted.iloc[-1]:.1%} of steps"
        )
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
        ax.plot(discrete.k, discrete.f_discrete, "o", color="0.25", markersize=2.5, label="discrete method")
        scale_line(ratio, 1, "")
        for (kind, label), look in zip(SDES.items(), styles(SDES, lines=True).values(), strict=True):
            curve = part[part.sde == kind]
            value = curve.f_sde / curve.f_discrete
            spread = 2 * value * np.hypot(curve.se_sde / curve.f_sde, curve.se_discrete / curve.f_discrete)
            ax.plot(curve.k, curve.f_sde, label=label, **look)
            ratio.plot(curve.k, value, **look)
            band(ratio, curve.k, value - spread, value + spread, look["color"])
            lost = int(curve.n_paths_exploded.iloc[-1])
            notes += [f"{kind.replace('_', ' ')}: {lost} of {curve.n_paths.iloc[0]} paths exploded"] if lost else []
        omega = f", $\\omega = {part.omega.iloc[0]:g}$" if method == "DCSGD" else ""
        ax.set_title(rf"{method}, $\eta = {part.eta.iloc[0]:g}${omega}" + "".join(f"\n{n}" for n in notes))
        ax.set_yscale("log")
        ratio.set_xlabel("step $k$")
    axes[0].set_ylabel("$E f$ over paths that stay finite")
    axes[len(groups)].set_ylabel("SDE / discrete, $\\pm 2$ s.e.")
    legend(figure, axes[0], below=True)
    return figure


def _losses(axes: list[Axes], table: pd.DataFrame, level: str, symbol: str) -> None:
    """A panel per rule, a line with a band over seeds per level; losses above 1000 nats are cut off."""
    finite = table.loss[np.isfinite(table.loss)]
    low, high = 0.7 * finite.min(), min(1.5 * finite.max(), 1e3)
    looks = styles(sorted(table[level].unique()), lines=True)
    for ax, (rule, part) in zip(axes, table.groupby("rule", sort=False), strict=False):
        ax.set(yscale="log", title=rule, xlabel="step $k$", xlim=(0, table.step.max()), ylim=(low, high))
        if high / low < 100:
            log_ticks(ax.yaxis, subs=(1, 2, 5))
        scale_line(ax, UNIFORM_GUESS, "uniform guess")
        for value, look in looks.items():
            runs = part[part[level] == value].groupby("seed")
            curves = pd.concat([_until_gone(run.sort_values("step"), "loss") for _, run in runs])
            seeds(ax, curves, "step", "loss", marker="", label=f"{symbol} = {value:g}", **look)


def _study(table: pd.DataFrame, level: str, symbol: str) -> Figure:
    figure, axes = panels(table.rule.nunique(), width=2.4, height=3, beside=0)
    _losses(axes, table, level, symbol)
    axes[0].set_ylabel("training loss (nats)")
    legend(figure, axes[0], below=True, columns=6)
    return figure


def fig_dcsgd(table: pd.DataFrame) -> Figure:
    """Training loss by rule and omega."""
    return _study(table, "omega", r"$\omega$")


def fig_dsign(table: pd.DataFrame) -> Figure:
    """Training loss by rule and scale of the Cauchy noise."""
    return _study(table, "scale", "noise scale")


def fig_real(table: pd.DataFrame) -> Figure:
    """Mini-batch training: two rows of panels per network, DCSGD by omega and DSignSGD by scale."""
    studies = list(table.groupby(["network", "study"], sort=False))
    columns = max(part.rule.nunique() for _, part in studies)
    size = (2.7 * columns + 1.2, 2.5 * len(studies))
    figure, axes = plt.subplots(len(studies), columns, figsize=size, squeeze=False)
    for row, ((network, study), part) in zip(axes, studies, strict=True):
        name, symbol = ("DCSGD", r"$\omega$") if study == "dcsgd" else ("DSignSGD", "scale")
        _losses(list(row), part, "level", symbol)
        for ax in row[part.rule.nunique() :]:
            ax.set_axis_off()
        row[0].set_ylabel(f"{network}, {name}\nmini-batch loss (nats)")
        row[-1].legend(*row[0].get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure

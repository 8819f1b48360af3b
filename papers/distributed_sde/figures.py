"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from papers.distributed_sde.theory import equal_clients, mean_square_threshold

MODELS = {
    "gd": "gradient descent",
    "ode1": "classical, 1st order",
    "ode2": "classical, 2nd order",
    "ode_new": "corrected",
}
SDES = {
    "classical_1": "classical SDE, 1st order",
    "classical_2": "classical SDE, 2nd order",
    "corrected": "corrected SDE",
}
DECAYS = {"constant": "constant", "inverse_sqrt": r"$1/\sqrt{k+1}$", "inverse": r"$1/(k+1)$"}


def _colours() -> list:
    return list(sns.color_palette("colorblind"))


def _finite_line(ax: Axes, x: pd.Series, y: pd.Series, **style: object) -> None:
    """Line through the finite values; a cross marks the last one before a divergence, at the edge if it lies outside.

    Set the limits of y first.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(y) & ((y > 0) | (ax.get_yscale() != "log"))
    stop = int(np.argmax(~np.isfinite(y))) if (~np.isfinite(y)).any() else len(y)
    (line,) = ax.plot(x[known], y[known], **style)
    if stop < len(y):
        at = max(stop - 1, 0)
        height = np.clip(y[at], *ax.get_ylim())
        ax.plot(x[at], height, "x", color=line.get_color(), markersize=7, markeredgewidth=2, clip_on=False)


def _legend_below(figure: Figure, ax: Axes, columns: int, title: str | None = None) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)


def fig_sanity(table: pd.DataFrame) -> Figure:
    """|x| over time on the parabola (above) and on the quartic (below)."""
    etas = [eta for eta in (0.5, 1.9, 2.1) if eta in set(table.eta)]
    starts = [2.5, 2.6, 4.48]
    figure, axes = plt.subplots(2, 3, figsize=(8, 4.8), sharey="row")
    panels = [("parabola", "eta", eta, rf"parabola, $\eta\lambda = {eta:g}$") for eta in etas]
    eta = table[table.function == "quartic"].eta.iloc[0]
    panels += [("quartic", "x0", x0, rf"quartic, $\eta x_0^2 = {eta * x0**2:.3g}$") for x0 in starts]
    styles = {"gd": dict(color="0.25", marker="o", markersize=2.5, linewidth=0.8)}
    styles |= {
        m: dict(color=c, linestyle=s) for m, c, s in zip(list(MODELS)[1:], _colours(), ("-", "--", "-."), strict=False)
    }
    for ax, (function, column, value, title) in zip(axes.flat, panels, strict=True):
        part = table[(table.function == function) & (table[column] == value)]
        limits = (1e-9, 1e3) if function == "parabola" else (0.05, 300)
        ax.set(yscale="log", title=title, xlabel=r"time $t = \eta k$", ylim=limits)
        for model, label in MODELS.items():
            line = part[part.model == model].sort_values("k")
            line = line[line.t <= (20 if function == "parabola" else 5)]
            _finite_line(ax, line.t, line.x.abs(), label=label, **styles[model])
    for row in axes:
        row[0].set_ylabel("$|x|$")
    _legend_below(figure, axes[0, 0], 4)
    return figure


def _cell_label(curve: pd.DataFrame) -> str:
    first, share = curve.iloc[0], curve.share_diverged.iloc[-1]
    name = {"normalised": "normalised, with $\\kappa$", "gnorm": "normalised, no $\\kappa$"}.get(
        first.method, first.method
    )
    parts = [name]
    if first.method in ("DSGD", "DSignSGD"):
        parts += [DECAYS[first.schedule]] + ([f"scale {first.scale:g}"] if first.method == "DSignSGD" else [])
    else:
        parts += [rf"$\omega = {first.omega:g}$"]
    return ", ".join(parts) + (f" ({share:.0%} diverged)" if share > 0 else "")


def fig_toy(table: pd.DataFrame) -> Figure:
    """Median |grad f|^2 over k: Cauchy noise, affine noise from near, affine noise from far."""
    table = table.assign(cell=table.groupby(["method", "schedule", "lr", "scale", "omega", "x0"], sort=False).ngroup())
    affine, far = table.noise == "affine", table[table.noise == "affine"].x0.max()
    panels = {
        "Cauchy noise": (table[~affine], (1e-3, 1e5)),
        f"affine noise, $x_0 = {table[affine].x0.min():g}$": (table[affine & (table.x0 < far)], (1e-9, 1e9)),
        f"affine noise, $x_0 = {far:g}$": (table[affine & (table.x0 == far)], (1e-30, 1e16)),
    }
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 4.6), height_ratios=[3, 1])
    for column, (title, (part, limits)) in enumerate(panels.items()):
        ax, below = axes[:, column]
        ax.set(xscale="log", yscale="log", title=title, xlabel="step $k$", ylim=limits)
        for colour, (_, curve) in zip(_colours() * 2, part.groupby("cell"), strict=False):
            _finite_line(ax, curve.k, curve.median_g2, color=colour, label=_cell_label(curve))
            high = curve.q75.clip(upper=limits[1])
            ax.fill_between(curve.k, curve.q25.clip(upper=limits[1]), high, color=colour, alpha=0.2, linewidth=0)
        below.set_axis_off()
        below.legend(*ax.get_legend_handles_labels(), loc="upper center", handlelength=1.2, borderpad=0)
    axes[0, 0].set_ylabel(r"median $|\nabla f|^2$ and quartiles, all runs")
    return figure


def _predictions(part: pd.DataFrame, column: str) -> tuple[np.ndarray, list[float], list[float]]:
    """Grid along one setting with the corrected and the classical boundary; the others are those of the first row."""
    values, first = part[column].to_numpy(float), part.iloc[0]
    grid = np.linspace(values.min(), values.max(), 200)
    if column != "omega":
        grid = np.unique(np.round(np.geomspace(values.min(), values.max(), 100)))
    settings = {name: first[name] for name in ("d", "N", "omega", "s1")}
    kappas = []
    for value in grid:
        d, clients, omega, s1 = (settings | {column: value}).values()
        kappas.append(equal_clients(int(d), int(clients), omega, 0.0, s1)[0])
    return grid, *([mean_square_threshold(first.lam, k) for k in shift] for shift in (kappas, np.array(kappas) - 1))


def fig_threshold(table: pd.DataFrame) -> Figure:
    """Stability boundary over omega, N and d: measured beside both predictions."""
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.2), sharey=True)
    labels = {"omega": r"compression $\omega$", "N": "clients $N$", "d": "dimension $d$"}
    colours, names = _colours(), {"omega": r"\omega", "N": "N", "d": "d"}
    for ax, (column, label) in zip(axes, labels.items(), strict=True):
        part = table[table.axis == {"N": "num_clients"}.get(column, column)].sort_values(column)
        grid, corrected, classical = _predictions(part, column)
        ax.plot(grid, corrected, color=colours[0], label=r"corrected, $2/(\lambda\kappa)$")
        ax.plot(grid, classical, "--", color=colours[1], label=r"classical, $2/(\lambda(\kappa-1))$")
        error = [part.eta_star_measured - part.ci_low, part.ci_high - part.eta_star_measured]
        style = {"fmt": "o", "markersize": 4, "color": "0.2", "capsize": 2, "label": "measured, 95% interval"}
        ax.errorbar(part[column], part.eta_star_measured, yerr=error, **style)
        title = ", ".join(rf"${names[c]} = {part[c].iloc[0]:g}$" for c in names if c != column)
        ax.set(yscale="log", xlabel=label, title=title)
        if column != "omega":
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(FixedLocator(list(part[column])))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xticklabels([str(v) for v in part[column]])
    axes[0].set_ylabel(r"largest stable step $\eta^*$")
    _legend_below(figure, axes[0], 3)
    return figure


def fig_bound(table: pd.DataFrame) -> Figure:
    """Weighted average of |grad f|^2 beside the theorem's right side."""
    groups = list(table.groupby(["function", "omega"], sort=False))
    figure, axes = plt.subplots(1, len(groups), figsize=(2.9 * len(groups) + 0.6, 3.3), sharey=True, squeeze=False)
    colours = _colours()
    for ax, ((function, omega), part) in zip(axes[0], groups, strict=True):
        share = part.share_admitted.iloc[-1]
        ax.plot(part.t, part.bound, "--", color=colours[1], label="right side of the theorem")
        ax.plot(part.t, part.average_g2, color=colours[0], label=r"measured $E|\nabla f(X_{\hat t})|^2$")
        ax.plot(part.t, part.last_g2, color="0.5", linewidth=1, label=r"last iterate, $E|\nabla f(X_t)|^2$")
        title = rf"{function}, $\omega = {omega:g}$"
        ax.set(
            xscale="log",
            yscale="log",
            title=f"{title}\ncondition holds at {share:.1%} of steps",
            xlabel=r"time $t = \eta k$",
        )
    axes[0, 0].set_ylabel(r"$|\nabla f|^2$")
    _legend_below(figure, axes[0, 0], 3)
    return figure


def fig_track(table: pd.DataFrame) -> Figure:
    """E f of the discrete method and of its SDE models (above), and their ratio (below)."""
    groups = list(table.groupby("method", sort=False))
    figure, axes = plt.subplots(2, len(groups), figsize=(3 * len(groups) + 0.4, 4.8), squeeze=False, sharex=True)
    styles = dict(zip(SDES, ("-", "--", "-."), strict=True))
    for (ax, ratio), (method, part) in zip(axes.T, groups, strict=True):
        discrete, notes = part[part.sde == part.sde.iloc[0]], []
        ax.plot(discrete.k, discrete.f_discrete, "o", color="0.25", markersize=2.5, label="discrete method")
        ratio.axhline(1, color="0.25", linewidth=0.8)
        for colour, (kind, label) in zip(_colours(), SDES.items(), strict=False):
            line = part[part.sde == kind]
            ax.plot(line.k, line.f_sde, styles[kind], color=colour, label=label)
            ratio.plot(line.k, line.f_sde / line.f_discrete, styles[kind], color=colour)
            lost = int(line.n_paths_exploded.iloc[-1])
            notes += [f"{kind.replace('_', ' ')}: {lost} of {line.n_paths.iloc[0]} paths exploded"] if lost else []
        omega = f", $\\omega = {part.omega.iloc[0]:g}$" if method == "DCSGD" else ""
        ax.set_title(rf"{method}, $\eta = {part.eta.iloc[0]:g}${omega}" + "".join(f"\n{n}" for n in notes))
        ax.set_yscale("log")
        ratio.set_xlabel("step $k$")
    axes[0, 0].set_ylabel("$E f$ over paths that stay finite")
    axes[1, 0].set_ylabel("SDE / discrete")
    _legend_below(figure, axes[0, 0], 4)
    return figure


def _losses(axes: list[Axes], table: pd.DataFrame, level: str, rules: list[str], symbol: str) -> None:
    """One panel per rule, one colour per level, one line per seed; losses above 1000 nats are cut off."""
    finite = table.loss[np.isfinite(table.loss)]
    limits = (0.7 * finite.min(), min(1.5 * finite.max(), 1e3))
    levels = sorted(table[level].unique())
    colours = dict(zip(levels, sns.color_palette("viridis", len(levels)), strict=True))
    for ax, rule in zip(axes, rules, strict=True):
        part = table[table.rule == rule]
        ax.set(yscale="log", title=rule, xlabel="step $k$", xlim=(0, table.step.max()), ylim=limits)
        for value in levels:
            for index, (_, run) in enumerate(part[part[level] == value].groupby("seed")):
                label = f"{symbol} = {value:g}" if index == 0 else None
                _finite_line(ax, run.step, run.loss, color=colours[value], label=label, linewidth=1.2)


def fig_dcsgd(table: pd.DataFrame) -> Figure:
    """Training loss by rule and omega."""
    rules = list(table.rule.unique())
    figure, axes = plt.subplots(1, len(rules), figsize=(2.4 * len(rules), 3), sharey=True)
    _losses(list(axes), table, "omega", rules, r"$\omega$")
    axes[0].set_ylabel("training loss (nats)")
    _legend_below(figure, axes[0], table.omega.nunique())
    return figure


def fig_dsign(table: pd.DataFrame) -> Figure:
    """Training loss by rule and scale of the Cauchy noise."""
    rules = list(table.rule.unique())
    figure, axes = plt.subplots(1, len(rules), figsize=(2.4 * len(rules), 3), sharey=True)
    _losses(list(axes), table, "scale", rules, "noise scale")
    axes[0].set_ylabel("training loss (nats)")
    _legend_below(figure, axes[0], table["scale"].nunique())
    return figure


def fig_real(table: pd.DataFrame) -> Figure:
    """Mini-batch training: two rows of panels per network, DCSGD by omega and DSignSGD by scale."""
    networks = list(table.network.unique())
    columns = max(part.rule.nunique() for _, part in table.groupby("study"))
    size = (2.7 * columns + 1.2, 2.5 * 2 * len(networks))
    figure, axes = plt.subplots(2 * len(networks), columns, figsize=size, squeeze=False)
    for row, (network, study) in enumerate((n, s) for n in networks for s in ("dcsgd", "dsign")):
        part = table[(table.network == network) & (table.study == study)]
        rules = list(part.rule.unique())
        symbol = r"$\omega$" if study == "dcsgd" else "scale"
        _losses(list(axes[row][: len(rules)]), part, "level", rules, symbol)
        for ax in axes[row][len(rules) :]:
            ax.set_axis_off()
        axes[row][0].set_ylabel(f"{network}, {'DCSGD' if study == 'dcsgd' else 'DSignSGD'}\nmini-batch loss (nats)")
        axes[row][-1].legend(*axes[row][0].get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure

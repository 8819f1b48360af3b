"""Panels of the largest stable steps: over the gradient norm beside both conditions, and over the compression."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.distributed_sde.labels import FUNCTIONS
from shared.artifacts.plots import legend, line, lines, log_ticks, panels, scale_line, styles, symlog_ticks


def over_gradient_norm(table: pd.DataFrame) -> Figure:
    """A row per function, a panel per omega."""
    groups, most = list(table.groupby(["function", "omega"], sort=False)), table.omega.nunique()
    figure, axes = panels(len(groups), most=most, width=2.1, height=2.3, sharex=True, beside=0)
    corrected, classical = styles(["corrected", "classical"], lines=True).values()
    for ax, ((function, omega), part) in zip(axes, groups, strict=True):
        part = part.sort_values("grad_norm")
        ax.plot(part.grad_norm, part.bound_corrected, label=r"corrected SDE, $2/(G\kappa)$", **corrected)
        ax.plot(part.grad_norm, part.bound_classical, label=r"classical SDE, $2/(G(\kappa-1))$", **classical)
        label = r"exact: $E f(x - \eta u) = f(x)$"
        ax.plot(part.grad_norm, part.eta_stable, "o", markersize=3.5, color="0.2", label=label)
        ax.set(xscale="log", yscale="log", title=rf"{FUNCTIONS[function]}, $\omega = {omega:g}$")
    for ax in axes[-most:]:
        ax.set_xlabel(r"$|\nabla f(x)|$")
    for ax in axes[::most]:
        ax.set_ylabel(r"largest stable step $\eta$")
    legend(figure, axes[0], below=True)
    return figure


def over_compression(table: pd.DataFrame) -> Figure:
    """A panel per function in units of the corrected condition; then where the classical condition fails, of both."""
    groups = list(table.groupby("function", sort=False))
    figure, axes = panels(len(groups) + 1, width=2.9, height=3.0, sharey=False)
    for ax, (function, part) in zip(axes, groups, strict=False):
        _ratios(ax, part)
        ax.set_title(FUNCTIONS[function])
    shares = table.groupby(["function", "omega"], sort=False).admits_unstable.mean().reset_index()
    looks = styles([function for function, _ in groups])
    lines(axes[-1], shares, "omega", "admits_unstable", by="function", looks=looks, shown=FUNCTIONS)
    scale_line(axes[-1], 0.5, "")
    axes[-1].set(title="classical condition too large", ylabel="share of gradient norms", ylim=(-0.05, 1.05))
    axes[-1].legend()
    axes[0].set_ylabel("largest stable step / corrected condition")
    for ax in axes:
        ax.set_xlabel(r"compression $\omega$")
        symlog_ticks(ax.xaxis, sorted(table.omega.unique()))
        ax.set_xlim(-0.2, 1.4 * table.omega.max())
    legend(figure, axes[:-1], r"$|\nabla f(x)|$")
    return figure


def _ratios(ax: Axes, part: pd.DataFrame) -> None:
    """Exact steps at the gradient norms that are powers of ten, and the classical condition, the same at each."""
    norms = [norm for norm in part.grad_norm.unique() if np.isclose(np.log10(norm), np.round(np.log10(norm)))]
    lines(ax, part, "omega", "stable", by="grad_norm", looks=styles(norms))
    first = part[part.grad_norm == norms[0]]
    look = {"color": "black", "linestyle": "--", "marker": ""}
    line(ax, first.omega, first.classical, label="classical\ncondition", **look)
    scale_line(ax, 1, "corrected\ncondition")
    ax.set(yscale="log", ylim=(0.8, 100))
    log_ticks(ax.yaxis, subs=(1, 2, 5))

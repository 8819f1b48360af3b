"""Figures of the language-model sweeps; a run that diverged, or lies above a panel, is a triangle at its edge."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from papers.signed_adam.tables.runs import METHODS
from shared.artifacts import plots

LOSS = "validation loss (nats per token)"


def _curves(panel: list[str], line: str, title: str, legend: str, headroom: float = 0.6) -> Callable[..., Figure]:
    """The figure of loss against learning rate: a panel per value of the columns `panel`, a line per value of `line`.

    Args:
        title: of a panel, a format of its values. headroom: nats shown above the best run, at most.
    Lines of equal betas are thick.
    """

    def figure(table: pd.DataFrame) -> Figure:
        if not len(table):
            return plots.nothing("These records hold no runs of this study.")
        look, losses = plots.styles(sorted(table[line].unique())), table.val_loss[np.isfinite(table.val_loss)]
        # most of the runs, so that what is compared is not pressed flat by bad learning rates
        limits = plots.limits(losses, min(1.8 * (losses.quantile(0.7) - losses.min()) + 0.02, headroom))
        groups = list(table.groupby(panel)) if panel else [((), table)]
        drawn, axes = plots.panels(len(groups), width=1.9 if len(groups) > 1 else 3.2)
        for value, style in look.items():  # the legend, in order
            axes[0].plot([], [], label=value if isinstance(value, str) else f"{value:g}", linewidth=1.1, **style)
        for ax, (values, rows) in zip(axes, groups, strict=True):
            for value, part in rows.groupby(line):
                is_diagonal = line == "beta2" and "beta1" in part and value == part.beta1.iloc[0]
                width = 2.8 if is_diagonal else 1.1
                plots.line(ax, part.lr, part.val_loss, top=limits[1], linewidth=width, **look[value])
            if "best_signum" in rows:
                plots.scale_line(ax, rows.best_signum.iloc[0], "best Signum", color="black", linestyle="--")
            ax.set_ylim(limits)
            ax.set_title(title.format(*(str(v).replace("_", " ") for v in values)), fontsize=8.5)
            ax.set_xlabel("learning rate")
            ax.tick_params(labelsize=8)
            plots.value_ticks(ax.xaxis, rows.lr, most=5, rotate=45)
        drawn.supylabel(LOSS, fontsize=9)
        plots.legend(drawn, axes, legend)
        return drawn

    return figure


def _adam(table: pd.DataFrame) -> Figure:
    """A panel per beta1 (and study), a line per beta2, beside the study's best Signum."""
    studies, name = (["study"], "{}, ") if table.study.nunique() > 1 else ([], "")
    return _curves([*studies, "beta1"], "beta2", name + "$\\beta_1 = {}$", "$\\beta_2$ (thick: $=\\beta_1$)")(table)


fig2_adam = fig5_larger = fig12_noclip = fig13_tokens = fig14_short = fig15_batches = fig18_fineweb = _adam
fig10_rmsprop = _curves([], "beta2", "", "$\\beta_2$ (0: SignSGD)", headroom=1.2)


def fig2_signum(table: pd.DataFrame) -> Figure:
    """One panel per beta, one line with and one without clipping."""
    names = table.clipped.map({True: "norm 1", False: "off"})
    return _curves(["beta1"], "clip", "$\\beta = {}$", "clipping")(table.assign(clip=names))


def fig4_mollified(table: pd.DataFrame) -> Figure:
    """One panel per initialisation of the buffer, one line per constant."""
    table = table.assign(start=table.gradient_init.map({0.0: "from zero", 1.0: "from the first gradient"}))
    return _curves(["start"], "eps", "{}", "constant\nunder the root")(table)


def fig8_sgd(table: pd.DataFrame) -> Figure:
    """A panel per form of clipping (and weight decay), a line per momentum."""
    decays = ["weight_decay"] if table.weight_decay.nunique() > 1 else []
    return _curves(["method", *decays], "beta1", "{}, decay {}" if decays else "{}", "momentum", headroom=2.0)(table)


def fig11_emasign(table: pd.DataFrame) -> Figure:
    """The sign before or after the average, at the betas that both have."""
    before = table[table.method == "EMASign"]
    table = table[table.beta1.isin(before.beta1)]
    names = [f"{method}, {beta:g}" for method, beta in zip(table.method, table.beta1, strict=True)]
    return _curves([], "name", "", "method, $\\beta$", headroom=1.5)(table.assign(name=names))


def fig20_adavar(table: pd.DataFrame) -> Figure:
    """The point gamma = tau = beta is Adam."""
    points = zip(table.beta1, table.gamma, table.tau, strict=True)
    names = [f"$\\gamma$ {g:g}, $\\tau$ {t:g}{' (Adam)' if b == g == t else ''}" for b, g, t in points]
    return _curves(["beta1"], "name", "$\\beta = {}$", "AdaVar")(table.assign(name=names))


def _over_tokens(table: pd.DataFrame, names: list[str], title: str) -> Figure:
    """Training loss over tokens: a line per value of the column `name`."""
    figure, (ax,) = plots.panels(1, width=4.4, height=3.0)
    look = plots.styles(names, lines=True)
    for name in [n for n in names if n in set(table.name)]:
        rows = table[table.name == name]
        ax.plot(rows.tokens, rows.loss, label=name, **look[name])
    late = table[table.tokens >= 0.15 * table.tokens.max()].loss
    ax.set(xlabel="training tokens", ylabel="training loss (nats per token)", xlim=(0, None))
    ax.set_ylim(table.loss.min() - 0.1, late.quantile(0.98) + 0.3)
    plots.legend(figure, ax, title)
    return figure


def fig1_tokens(table: pd.DataFrame) -> Figure:
    """Best setting of each method."""
    return _over_tokens(table.assign(name=table.method), METHODS, "best setting of")


def fig19_bias(table: pd.DataFrame) -> Figure:
    """Bias correction matters early only."""
    if not len(table):
        return plots.nothing("These records hold no runs without bias correction.")
    start = table.gradient_init.map({0.0: "from zero", 1.0: "from the first gradient"})
    corrected = table.bias_correction.map({0.0: ",\nnot corrected", 1.0: ",\ncorrected"})
    names = start + corrected.where(table.gradient_init == 0, "")
    return _over_tokens(table.assign(name=names), sorted(names.unique()), "Adam's averages")


def fig3_scores(table: pd.DataFrame) -> Figure:
    """Heat maps over (beta1, beta2): 1 at each row's best beta2; numbers are nats lost to it, frames the diagonal."""
    studies = list(dict.fromkeys(table.study))
    figure, axes = plots.panels(len(studies), most=3, width=3.5, height=2.5, beside=0.9, sharey=False)
    for ax, study in zip(axes, studies, strict=True):
        part = table[table.study == study]
        score, regret = (part.pivot(index="beta1", columns="beta2", values=name) for name in ("score", "regret"))
        marks = {"annot": regret.map(_nats_lost), "fmt": "", "annot_kws": {"fontsize": 5.8}, "cbar": False}
        sns.heatmap(score, ax=ax, cmap="viridis", vmin=0, vmax=1, xticklabels=True, yticklabels=True, **marks)
        for i, j in [(i, j) for i, a in enumerate(score.index) for j, b in enumerate(score.columns) if a == b]:
            ax.add_patch(Rectangle((j, i), 1, 1, fill=False, edgecolor="red", linewidth=1.3, clip_on=False))
        ax.set(xlabel="$\\beta_2$", ylabel="$\\beta_1$", title=part.title.iloc[0])
        ax.tick_params(axis="x", labelrotation=60)
        ax.tick_params(axis="y", labelrotation=0)
    figure.colorbar(axes[0].collections[0], ax=axes, label="score within the row", shrink=0.8)
    return figure


def _nats_lost(regret: float) -> str:
    if np.isinf(regret):
        return "div."
    return ">1" if regret > 1 else f"{regret:.3f}".lstrip("0")

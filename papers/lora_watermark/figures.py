"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from papers.lora_watermark.coloured import coloured_texts
from shared.artifacts.line_panels import decade_ticks
from shared.artifacts.plots import legend, line, lines, nothing, panels, scale_line, styles

TITLES = {"bigram": "bigram world (exact)", "language": "language model"}
KINDS = ["human", "base", "sft", "watermarked"]


def _worlds(table: pd.DataFrame) -> list[str]:
    return [world for world in TITLES if world in set(table.world)]


def fig_training(table: pd.DataFrame) -> Figure:
    """Scores of both sides, and the rises, along training; rows worlds."""
    shown = [
        ("score_samples", "B of samples"),
        ("score_human", "B of human text"),
        ("rise_performer", "rise of P's CE, nats/token"),
    ]
    shown += [("kl", "P's KL to base, nats/token")]
    worlds, every = _worlds(table), styles(zip(table.world, table.variant, strict=True), lines=True)
    figure, axes = panels(len(shown) * len(worlds), most=len(shown), width=2.3, height=2.2, sharey=False)
    for row, world in enumerate(worlds):
        part = table[table.world == world]
        looks = {v: look for (w, v), look in every.items() if w == world}
        for ax, (column, title) in zip(axes[row * len(shown) :], shown, strict=False):
            for variant, look in looks.items():
                own = part[part.variant == variant]
                how = {"error": own[f"{column}_error"], "marker": "", "label": f"{world}: {variant}"}
                line(ax, own.step, own[column], **how, **look)
            if column.startswith("score"):
                scale_line(ax, 1.0, "_one")
            ax.set(title=title, xlabel="updates" if row + 1 == len(worlds) else "")
        axes[row * len(shown)].set_ylabel(TITLES[world])
    legend(figure, axes)
    return figure


def fig_tradeoff(table: pd.DataFrame) -> Figure:
    """AUC over the performer's rise: detector filled, oracle as a grey line above."""
    worlds = _worlds(table)
    figure, axes = panels(len(worlds), width=3.4, height=3.0, beside=1.9)
    looks = styles(table.variant.unique())
    for ax, world in zip(axes, worlds, strict=True):
        part = table[table.world == world].assign(x=lambda t: t.rise_performer.clip(lower=1e-3))
        for variant, look in looks.items():
            own = part[part.variant == variant].sort_values("x")
            if len(own):
                ax.errorbar(own.x, own.auc, yerr=own.auc_error, markersize=5, linewidth=1, label=variant, **look)
                ax.plot(own.x, own.llr_auc, ":", linewidth=1, color=look["color"])
        ax.plot([], [], ":", color="0.3", label="oracle: likelihood ratio")
        scale_line(ax, 0.5, "chance", linestyle="--")
        ax.set(xlabel="rise of the performer's CE, nats/token", title=TITLES[world], ylim=(0, 1.02))
        decade_ticks(ax.xaxis)
    axes[0].set_ylabel("AUC at full length")
    legend(figure, axes)
    return figure


def fig_length(table: pd.DataFrame) -> Figure:
    """AUC over scored tokens; a band spans the seeds."""
    worlds = _worlds(table)
    figure, axes = panels(len(worlds), width=3.2, height=2.8, beside=1.7)
    table = table.assign(line=table.world + ": " + table.kind + ", eps " + table.eps.map("{:g}".format))
    looks = styles(table.line)
    for ax, world in zip(axes, worlds, strict=True):
        for name, part in table[table.world == world].groupby("line", sort=False):
            found = part.groupby("length").auc
            error = found.std() / np.sqrt(found.count())
            line(ax, found.mean().index, found.mean(), error=error, label=name, **looks[name])
        scale_line(ax, 0.5, "chance", linestyle="--")
        ax.set(xlabel="scored tokens", title=TITLES[world], ylim=(0, 1.02))
    axes[0].set_ylabel("AUC, watermarked against human")
    legend(figure, axes)
    return figure


def fig_roc(table: pd.DataFrame) -> Figure:
    """ROC by scored tokens."""
    variants = list(dict.fromkeys(table.variant))
    figure, axes = panels(len(variants), width=3.6, height=3.2, beside=1.3)
    for ax, variant in zip(axes, variants, strict=True):
        part, looks = table[table.variant == variant], styles(sorted(table.length.unique()))
        lines(ax, part, "fpr", "tpr", by="length", looks=looks, error="tpr_error")
        ax.plot([0, 1], [0, 1], "--", color="0.35", linewidth=1.1, label="chance")
        ax.set(xlabel="false positive rate", title=variant, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes[0].set_ylabel("true positive rate")
    legend(figure, axes, "scored tokens")
    return figure


def fig_scores(table: pd.DataFrame) -> Figure:
    """Distributions of B, a panel per variant."""
    variants, kinds = list(dict.fromkeys(table.variant)), [k for k in KINDS if k in set(table.texts)]
    figure, axes = panels(len(variants), most=5, width=2.0, height=2.5, beside=1.3)
    for ax, variant in zip(axes, variants, strict=True):
        for kind, look in styles(kinds, lines=True).items():
            own = table[(table.variant == variant) & (table.texts == kind)].sort_values("score")
            if not len(own):
                continue
            ax.step(own.score, own.share, where="post", label=kind, linewidth=1.4, **look)
            ax.axvline(own.mean_score.iloc[0], linewidth=0.8, alpha=0.6, **look)
        ax.set(title=variant, xlabel="score B", xlim=(0, 2))
    axes[0].set_ylabel("share of texts")
    legend(figure, axes)
    return figure


def fig_robust(table: pd.DataFrame) -> Figure:
    """AUC after each attack, from the strongest signal down; the bar is one standard error."""
    table = table[table.world == "language"].iloc[::-1]
    if not len(table):
        return nothing("no pair was attacked here")
    names = table.attack + np.where(table.attack == "none", "", table.strength.map(" {:g}".format))
    figure, ax = plt.subplots(figsize=(6.4, 0.8 + 0.19 * len(table)))
    rows = np.arange(len(table))
    untouched = table[table.attack == "none"]
    ax.errorbar(table.auc, rows, xerr=table.auc_error, fmt="o", markersize=4, color=styles("a")["a"]["color"])
    ax.axvline(0.5, color="0.35", linestyle="--", linewidth=1.1, label="chance")
    if len(untouched):
        ax.axvline(untouched.auc.iloc[0], color="0.35", linestyle=":", linewidth=1.1, label="no attack")
    ax.set(yticks=rows, xlabel="AUC, attacked watermarked text against human text", xlim=(-0.02, 1.02))
    ax.set_yticklabels(names, fontsize=7)
    ax.set_title(table.variant.iloc[0])
    legend(figure, ax)
    return figure


def fig_texts(table: pd.DataFrame) -> Figure:
    """Texts with the per-token score as colour; prompts are grey."""
    return coloured_texts(table, [k for k in KINDS if k in set(table.texts)])

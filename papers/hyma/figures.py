"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from papers.hyma import drawing
from papers.hyma.drawing import BEST, DEPTHS, LOOKS, NAMES, PICK, bars, curve_panels, delta_bars, gallery, heat
from shared.artifacts.line_panels import decade_ticks
from shared.artifacts.plots import legend, line, panels, scale_line, styles, value_ticks


def fig_unimodal(table: pd.DataFrame) -> Figure:
    """Bars of encoders alone and of pairs; ours above, for the smallest depth, the poster below."""
    pairs = table[(table.part == "pair") & table.score.notna()]
    depth = pairs.depth.min()
    ours = pd.concat([table[table.part.isin(["image", "text"]) & table.score.notna()], pairs[pairs.depth == depth]])
    theirs = table[table.reported.notna()].assign(score=lambda f: f.reported)
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.4), width_ratios=(1, 0.8, 2.6))
    for row, (part, label) in enumerate(((ours, "ours"), (theirs, "the poster's (%)"))):
        best = {k: p.groupby("name").score.mean().idxmax() for k, p in part.groupby("part")}
        unit = f"{best['image']} + {best['text']}"
        for ax, kind in zip(axes[row], ("image", "text", "pair"), strict=True):
            colours = {best[kind]: BEST if kind == "pair" else PICK} | ({unit: PICK} if kind == "pair" else {})
            bars(ax, part[part.part == kind], colours, from_zero=kind == "pair")
            titles = {"image": "image encoders", "text": "text encoders"}
            ax.set_title(titles.get(kind, f"pairs, {DEPTHS[depth]}" if row == 0 else "pairs"), fontsize=8.5)
        axes[row, 0].set_ylabel(f"score, {label}")
    boxes = [plt.Rectangle((0, 0), 1, 1, color=c) for c in (PICK, BEST)]
    figure.legend(boxes, ["best alone, and their pair (UniT-1)", "best pair"], loc="outside lower center", ncols=2)
    return figure


def fig_curve_vlm(table: pd.DataFrame) -> Figure:
    """Score over FLOPs."""
    return curve_panels(table, ("mean score of three pairs", "ImageNet top-1 (%)"), log=False)


def fig_curve_mllm(table: pd.DataFrame) -> Figure:
    """Perplexity over FLOPs."""
    return curve_panels(table, ("mean perplexity of the pairs", "perplexity on Flickr-8K"), log=True)


def fig_delta_vlm(table: pd.DataFrame) -> Figure:
    """Differences to each baseline, contrastive."""
    return delta_bars(table, "contrastive", 100, ("Hyma less baseline (points)", "points of ImageNet top-1"))


def fig_delta_mllm(table: pd.DataFrame) -> Figure:
    """Differences to each baseline, captioning."""
    return delta_bars(table, "captioning", 1, ("Hyma less baseline (perplexity)", "perplexity"))


def fig_heatmap(table: pd.DataFrame) -> Figure:
    """Image encoders down, text encoders across: a row of panels per depth, a column per method."""
    depths, methods = sorted(table.depth.unique()), ["grid", "hyma"]
    rows, columns = table.image.nunique(), table.text.nunique()
    size = (2.5 + 1.1 * columns, len(depths) * (0.8 + 0.27 * rows))
    figure, axes = plt.subplots(len(depths), 2, figsize=size, sharex=True, sharey=True, squeeze=False)
    for (i, depth), (j, method) in [(a, b) for a in enumerate(depths) for b in enumerate(methods)]:
        part = table[(table.depth == depth) & (table.method == method)]
        wide = part.pivot(index="image", columns="text", values="score")
        heat(axes[i, j], wide.loc[table.image.unique(), table.text.unique()], table.score.max())
        axes[i, j].set_title(f"{NAMES[method]}, {DEPTHS[depth]}", fontsize=8.5)
    return figure


def fig_score_flops(table: pd.DataFrame) -> Figure:
    """The pick's score over the cost of the search, a panel per depth."""
    depths = sorted(table.depth.unique())
    figure, axes = panels(len(depths), width=2.7, height=2.9, beside=1.7)
    for ax, depth in zip(axes, depths, strict=True):
        for row in table[table.depth == depth].itertuples():
            look = {k: v for k, v in LOOKS[row.method].items()} | {"markersize": 7, "linestyle": "none"}
            ax.errorbar(row.flops, row.own_score, yerr=row.own_score_error, label=NAMES[row.method], **look)
            if row.method != "grid":
                ax.plot(row.flops, row.pick_under_grid, **look | {"markerfacecolor": "none"})
        decade_ticks(ax.xaxis)
        ax.set(xlabel="training FLOPs of the search", title=DEPTHS[depth])
    hollow = {"color": "0.3", "markerfacecolor": "none", "linestyle": "none", "marker": "o", "markersize": 7}
    axes[0].plot([], [], label="pick with grid search's connector", **hollow)
    axes[0].set_ylabel("score of the pick")
    legend(figure, axes)
    return figure


def fig_scaling(table: pd.DataFrame) -> Figure:
    """Scores and the ratio of costs over the number of pairs."""
    figure, (left, right) = panels(2, width=3.2, height=2.8, sharey=False, beside=1.5)
    depths = sorted(table.depth.unique())
    look = dict(zip(depths, styles([DEPTHS[d] for d in depths]).values(), strict=True))
    for depth, part in table.groupby("depth"):
        error = part.hyma_error
        line(left, part.num_pairs, part.hyma, error=error, label=DEPTHS[depth], **look[depth])
        left.plot(part.num_pairs, part.grid, "--", color=look[depth]["color"], linewidth=1)
        line(right, part.num_pairs, part.ratio, label=DEPTHS[depth], **look[depth])
    left.plot([], [], "--", color="0.4", linewidth=1, label="grid search's own")
    scale_line(right, 1, "equal cost")
    left.set(xlabel="number of pairs", ylabel="mean score over the pairs")
    right.set(xlabel="number of pairs", ylabel="grid search's FLOPs / Hyma's")
    for ax in (left, right):
        value_ticks(ax.xaxis, table.num_pairs, log=2)
    legend(figure, [left, right])
    return figure


def fig_tuning(table: pd.DataFrame) -> Figure:
    """Validation score over the learning rate."""
    return drawing.rate_panels(table)


def fig_retrieval(table: pd.DataFrame) -> Figure:
    """A row per caption and method, its nearest images from left to right."""
    return gallery(table)

"""Shapes that several figures have, and the names and looks of methods."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shared.artifacts.line_panels import decade_ticks
from shared.artifacts.plots import legend, line, panels, scale_line, seeds, styles

NAMES = {"grid": "grid search", "hyma": "Hyma", "matched": "grid at Hyma's batch", "short": "short grid"}
NAMES |= {"halving": "successive halving"}
DEPTHS = {0: "linear", 1: "one hidden layer", 2: "two hidden layers"}
LOOKS = styles(["grid", "hyma", "matched", "short", "halving"])
PICK, BEST = "#d62728", "#2ca02c"


def curve_panels(table: pd.DataFrame, labels: tuple[str, str], log: bool) -> Figure:
    figure, axes = panels(2, width=3.4, height=2.9, sharey=False, beside=1.6)
    for ax, study, value, label in zip(axes, ("ours", "paper"), ("score", "reported"), labels, strict=True):
        part = table[table.study == study]
        for method, rows in part.groupby("method"):
            if study == "ours":
                seeds(ax, rows, "flops", value, label=NAMES[method], **LOOKS[method])
            else:
                line(ax, rows.flops, rows[value], label=NAMES[method], **LOOKS[method])
        final = part[part.method == "grid"]
        end = final[final.step == final.step.max()][value].mean()
        scale_line(ax, end if log else 0.95 * end, "grid search's end" if log else "95% of grid search's end")
        decade_ticks(ax.xaxis)
        if log:
            decade_ticks(ax.yaxis)
        title = "ours" if study == "ours" else "the poster"
        ax.set(title=title, xlabel="training FLOPs", ylabel=label)
    legend(figure, axes)
    return figure


def delta_bars(table: pd.DataFrame, objective: str, factor: float, labels: tuple[str, str]) -> Figure:
    table = table[table.objective == objective]
    names = ["Random", "UniT-1", "Ask-LLM", "AutoPair", "Oracle"]
    figure, axes = panels(2, width=3.2, height=2.8, sharey=False, beside=0.3)
    for ax, column, label in zip(axes, ("delta", "reported_delta"), labels, strict=True):
        for place, name in enumerate(names):
            own = table[table.baseline == name][column].dropna() * (factor if column == "delta" else 1)
            if len(own):
                ax.bar(place, own.mean(), color=plt.get_cmap("tab10")(place), width=0.65)
                if column == "delta" and len(own) > 1:
                    ax.plot(np.full(len(own), place), own, ".", color="0.15", markersize=4)
            else:
                ax.text(
                    place, 0, "not run" if column == "delta" else "not\nreadable", ha="center", fontsize=7, va="bottom"
                )
        ax.axhline(0, color="0.3", linewidth=0.8)
        ax.set_xticks(range(len(names)), names, rotation=30)
        ax.set(ylabel=label, title="ours" if column == "delta" else "the poster")
    return figure


def picture(ax: Axes, row) -> None:
    pixels = np.frombuffer(bytes.fromhex(row.pixels), dtype=np.uint8).reshape(3, int(row.height), int(row.width))
    ax.imshow(pixels.transpose(1, 2, 0))
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=BEST if row.right else PICK, linewidth=2.5)


def bars(ax: Axes, rows: pd.DataFrame, colours: dict[str, str], *, from_zero: bool) -> None:
    """A bar per name (mean) with a dot per seed; the named ones in colour, the others grey."""
    means = rows.groupby("name", sort=False).score.mean()
    ax.bar(range(len(means)), means, color=[colours.get(name, "0.75") for name in means.index], width=0.75)
    if rows.seed.nunique() > 1:
        ax.plot([list(means.index).index(name) for name in rows.name], rows.score, ".", color="0.2", markersize=3)
    ax.set_xticks(range(len(means)), means.index, rotation=90, fontsize=6.5)
    ax.set_ylim(0 if from_zero else 0.85 * means.min(), None)


def heat(ax: Axes, wide: pd.DataFrame, most: float) -> None:
    """Numbers in coloured cells, the largest boxed; `most` is the lightest colour's value."""
    values = wide.to_numpy()
    ax.imshow(values, vmin=0, vmax=most, cmap="viridis", aspect="auto")
    for place, value in np.ndenumerate(values):
        colour = "w" if value < 0.6 * most else "k"
        ax.text(place[1], place[0], f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    top = np.unravel_index(np.nanargmax(values), values.shape)
    ax.add_patch(plt.Rectangle((top[1] - 0.5, top[0] - 0.5), 1, 1, fill=False, edgecolor=PICK, linewidth=2))
    ax.set_xticks(range(values.shape[1]), wide.columns, rotation=25, fontsize=7)
    ax.set_yticks(range(values.shape[0]), wide.index, fontsize=7)


def gallery(table: pd.DataFrame) -> Figure:
    """A row per caption and method: the nearest images by rank, framed by whether they show what the caption says."""
    queries, most = list(dict.fromkeys(table["query"])), int(table["rank"].max())
    methods = ["grid", "hyma"]
    figure, axes = plt.subplots(
        len(queries) * len(methods),
        most + 1,
        figsize=(8.4, 0.78 * len(queries) * len(methods) + 0.5),
        width_ratios=[1.9, *[1] * most],
        squeeze=False,
    )
    for index, (query, method) in enumerate((q, m) for q in queries for m in methods):
        own = table[(table["query"] == query) & (table.method == method)].sort_values("rank")
        label = f"“{query}”\n{NAMES[method]}: {own.image.iloc[0]} + {own.text.iloc[0]}"
        axes[index, 0].text(0, 0.5, label, fontsize=6.5, va="center", wrap=True)
        axes[index, 0].axis("off")
        for ax, row in zip(axes[index, 1:], own.itertuples(), strict=True):
            picture(ax, row)
            if index == 0:
                ax.set_title(f"rank {row.rank}", fontsize=7.5)
    figure.legend(
        [Line2D([], [], color=c, linewidth=3) for c in (BEST, PICK)],
        ["as the caption says", "something else"],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def rate_panels(table: pd.DataFrame) -> Figure:
    """Validation score over the learning rate, a panel per depth and one of captioning's perplexities."""
    studies = table.study.unique()
    figure, axes = panels(len(studies), width=2.5, height=2.6, sharey=False, beside=1.4)
    for ax, study in zip(axes, studies, strict=True):
        own = table[table.study == study]
        for method, part in own.groupby("method"):
            line(ax, part.lr, part.value, label=NAMES[method], **LOOKS[method])
            used = part[part.used.astype(bool)]
            ax.plot(used.lr, used.value, "o", color="k", markerfacecolor="none", markersize=9)
        named = {f"depth {depth}": name for depth, name in DEPTHS.items()}
        ax.set(title=named.get(study, study), xlabel="learning rate", xscale="log")
        ax.set_ylabel("mean validation perplexity" if study == "captioning" else "mean validation score")
        if study != "captioning":
            ax.set_ylim(0, 1.12 * own.value.max())
    axes[0].plot([], [], "o", color="k", markerfacecolor="none", markersize=9, linestyle="none", label="used")
    legend(figure, axes)
    return figure

"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from papers.ar_scaling.names import COARSE, named, ordered
from shared.artifacts.line_panels import decade_ticks, heat_panels
from shared.artifacts.plots import band, legend, line, nothing, panels, scale_line, styles, value_ticks
from shared.artifacts.shapes import dots

LR = "learning rate"
BASELINE = "position-only rule"
SHARES = {"values": "on values", "induction": "on the right value", "previous": "on previous"}


def fig_1(table: pd.DataFrame) -> Figure:
    """Accuracy over the learning rate, a panel per model; seeds as a band."""
    table = named(table)
    names, looks = ordered(table.panel), styles(["mean of seeds", *dict.fromkeys(table["size"])])
    figure, axes = panels(len(names), most=5, width=1.7, height=2.3, sharex=True)
    coarse = [lr for lr in COARSE if table.lr.min() < lr < table.lr.max()]
    for ax, name in zip(axes, names, strict=True):
        own = table[table.panel == name]
        several = own["size"].nunique() > 1
        for size, part in own.groupby("size", sort=False):
            label = size if several else "mean of seeds"
            look = looks[label]
            line(ax, part.lr, part.accuracy, label=label, **look)
            part = part.sort_values("lr")
            band(ax, part.lr, part.low, part.high, look["color"])
        scale_line(ax, own.baseline.iloc[0], BASELINE)
        scale_line(ax, 0.9, "success, 0.9", linestyle="--", color="0.75")
        for lr in coarse:
            ax.axvline(lr, color="0.8", linewidth=1, zorder=0, label="rates of earlier work")
        ax.set(title=name, ylim=(-0.03, 1.03))
        decade_ticks(ax.xaxis)
    figure.supxlabel(LR, fontsize=9)
    figure.supylabel("test accuracy", fontsize=9)
    legend(figure, axes)
    return figure


def fig_window(table: pd.DataFrame) -> Figure:
    """Width of the window with its interval, a panel per threshold."""
    table = named(table).assign(by="width", width=table.width.where(table.width.notna(), -table.grid_step))
    order = {label: i for i, label in enumerate(ordered(table.label))}
    table = table.sort_values("label", key=lambda c: c.map(order), kind="stable")
    parts = {f"accuracy {t:g} or more": own for t, own in table.groupby("threshold")}
    figure = dots(parts, "label", "by", "width", {"width": "decades, 95 % over seeds"}, "decades of learning rates")
    for ax in figure.axes[: len(parts)]:
        ax.axvline(-table.grid_step.max(), color="0.85", linewidth=6, zorder=0)
        ax.axvline(table.decades.max(), color="0.35", linestyle=":", linewidth=1.1)
    return figure


def fig_3(table: pd.DataFrame) -> Figure:
    """Accuracy over the width, a panel per task and depth with several widths; a point where there is one or two."""
    grouped, looks = table.groupby(["task", "num_layers"], sort=True), styles(ordered(table.row))
    cells = {cell: own for cell, own in grouped if own.d_model.nunique() > 1} or dict(iter(grouped))
    figure, axes = panels(len(cells), most=4, width=2.7, height=2.6)
    for ax, ((task, depth), own) in zip(axes, cells.items(), strict=True):
        for name, look in looks.items():
            part = own[own.row == name].sort_values("d_model")
            if len(part):
                dash = {} if len(part) > 2 else {"linestyle": "none"}
                line(ax, part.d_model, part.accuracy, label=name, **(look | dash))
                ax.vlines(part.d_model, part.low, part.high, look["color"], linewidth=1.3)
        scale_line(ax, own.baseline.iloc[0], BASELINE)
        value_ticks(ax.xaxis, table.d_model, log=2)
        ax.set(xlabel="width", ylim=(-0.03, 1.03), xlim=(table.d_model.min() / 1.3, table.d_model.max() * 1.3))
        several = f"{task}, " if table.task.nunique() > 1 else ""
        ax.set_title(f"{several}{depth:g} layer" + ("s" if depth > 1 else ""))
    axes[0].set_ylabel("test accuracy at the best rate")
    legend(figure, axes)
    return figure


def fig_depth(table: pd.DataFrame) -> Figure:
    """Best accuracy by depth and width, a panel per model; what was not run is white."""
    table = table.sort_values("row", key=lambda c: c.map({row: i for i, row in enumerate(ordered(table.row))}))
    panel = ["row"] + ["task"] * (table.task.nunique() > 1)
    how = {"panel": panel, "rows": "num_layers", "columns": "d_model", "labels": ("width", "layers"), "most": 4}
    return heat_panels(table, "accuracy", **how, limits=(0, 1), error="standard_error", form="{:.2f}")


def fig_4(table: pd.DataFrame) -> Figure:
    """Accuracy over parameters, a panel per task; marker: model, dash: depth."""
    tasks = table.groupby("task", sort=True)
    figure, axes = panels(len(tasks), most=3, width=4.2, height=3.0, beside=2.0)
    table = named(table.assign(task=""))  # panels tell the tasks
    looks, dashes = styles(ordered(table.row)), {1: "-", 2: "--"}
    for ax, (task, rows) in zip(axes, tasks, strict=True):
        for name in ordered(table.panel):
            own = table.loc[rows.index][lambda t, name=name: t.panel == name].sort_values("params")
            if len(own):
                depth = int(own.num_layers.iloc[0])
                look = looks[own.row.iloc[0]] | {"markerfacecolor": None if depth == 1 else "white"}
                look |= {"linestyle": dashes.get(depth, ":") if len(own) > 2 else "none"}
                line(ax, own.params, own.accuracy, error=own.standard_error, label=name, **look)
        scale_line(ax, rows.baseline.iloc[0], BASELINE)
        ax.set(xlabel="parameters", ylim=(-0.03, 1.03), xscale="log", title=task if len(tasks) > 1 else "")
        decade_ticks(ax.xaxis)
    axes[0].set_ylabel("test accuracy at the best rate")
    legend(figure, axes)
    return figure


def fig_5(table: pd.DataFrame) -> Figure:
    """Accuracy of copying over the learning rate."""
    if not len(table):
        return nothing("copying is not run at this scale")
    figure, (ax,) = panels(1, width=4.0, height=2.8, beside=1.8)
    for row, look in styles(dict.fromkeys(table.row)).items():
        own = table[table.row == row].sort_values("lr")
        line(ax, own.lr, own.accuracy, label=row, **look)
        band(ax, own.lr, own.low, own.high, look["color"])
    scale_line(ax, table.guess.iloc[0], "uniform guess")
    ax.set(xlabel=LR, ylabel="share of letters copied", ylim=(-0.03, 1.03))
    decade_ticks(ax.xaxis)
    legend(figure, ax)
    return figure


def fig_6(table: pd.DataFrame) -> Figure:
    """Columns models; rows loss, accuracy, attention statistics."""
    table = named(table)
    labels = ordered(table.label)
    rows = {
        "loss, nats": {"loss": "training", "val_loss": "validation"},
        "accuracy": {"accuracy": "training", "val_accuracy": "validation"},
        "share of weight": {
            f"{name}_{layer}": f"{text}, layer {layer + 1}" for layer in (0, 1) for name, text in SHARES.items()
        },
    }
    size = {"most": len(labels), "width": 2.1, "height": 1.8, "beside": 2.2}
    figure, axes = panels(3 * len(labels), **size, sharex="col", sharey="row")
    looks = styles(["validation", "training", *rows["share of weight"].values()], lines=True)
    for index, (ylabel, measures) in enumerate(rows.items()):
        for ax, label in zip(axes[index * len(labels) :], labels, strict=False):
            own = table[table.label == label]
            for measure, text in measures.items():
                part = own[own.measure == measure].sort_values("step")
                if len(part):
                    line(ax, part.step, part.value, label=text, **(looks[text] | {"marker": ""}))
                    band(ax, part.step, part.low, part.high, looks[text]["color"])
            if ylabel != "loss, nats":
                ax.set_ylim(-0.03, 1.03)
            if ylabel == "accuracy":
                scale_line(ax, own.baseline.iloc[0], BASELINE)
            if index == 0:
                ax.set_title(label)
            if index == 2:
                ax.set_xlabel("updates")
                if not own.measure.str.startswith("values").any():
                    ax.text(0.5, 0.5, "no attention", ha="center", va="center", transform=ax.transAxes, color="0.5")
        axes[index * len(labels)].set_ylabel(ylabel)
    legend(figure, axes)
    return figure


def _asked(table: pd.DataFrame, xlabel: str) -> Figure:
    table = named(table)
    figure, (ax,) = panels(1, width=4.2, height=2.8, beside=1.9)
    for label, look in styles(ordered(table.label)).items():
        own = table[table.label == label].sort_values("at")
        line(ax, own["at"], own.accuracy, label=label, **look)
        band(ax, own["at"], own.low, own.high, look["color"])
    ax.set(xlabel=xlabel, ylabel="test accuracy", ylim=(-0.03, 1.03))
    return figure


def fig_gap(table: pd.DataFrame) -> Figure:
    """Accuracy by the distance between a key and its query."""
    figure = _asked(table, "positions from key to query, upper end of the bin")
    legend(figure, figure.axes)
    return figure


def fig_pairs(table: pd.DataFrame) -> Figure:
    """Accuracy by the number of pairs."""
    figure = _asked(table, "pairs")
    ax = figure.axes[0]
    for _, own in table.groupby("task"):
        base = own.drop_duplicates("at").sort_values("at")
        ax.plot(base["at"], base.baseline, ":", color="0.35", linewidth=1.1, label=BASELINE)
        ax.axvline(own.trained_on.iloc[0], color="0.8", linewidth=4, zorder=0, label="trained on")
    value_ticks(ax.xaxis, table["at"], log=None)
    legend(figure, ax)
    return figure


def fig_ablation(table: pd.DataFrame) -> Figure:
    """Every variant's seeds as a row, the paper's number beside it."""
    own = table[table.accuracy.notna()]
    found = own.groupby("row", sort=False).agg(
        value=("accuracy", "mean"), low=("accuracy", "min"), high=("accuracy", "max"), reported=("reported_v2", "first")
    )
    ours = found[["value", "low", "high"]].assign(by="ours")
    theirs = pd.DataFrame({"value": found.reported / 100, "by": "paper"}).assign(
        low=lambda t: t.value, high=lambda t: t.value
    )
    part = pd.concat([ours, theirs]).reset_index()
    labels = {"ours": "ours, range over seeds", "paper": "paper, at its own size"}
    figure = dots({"one layer": part}, "row", "by", "value", labels, "test accuracy", width=4.4, limits=(-0.02, 1.03))
    ax = figure.axes[0]
    ax.axvline(own.baseline.iloc[0], color="0.35", linestyle=":", linewidth=1.1)
    ax.set_title(f"one layer; dotted: {BASELINE}", fontsize=8)
    return figure


def fig_capacity(table: pd.DataFrame) -> Figure:
    """Accuracy of DeltaNet's construction over the width of random keys."""
    figure, (ax,) = panels(1, width=4.0, height=2.8, beside=1.4)
    for num_pairs, look in styles(sorted(table.num_pairs.unique())).items():
        cells = table[table.num_pairs == num_pairs].groupby("key_width").accuracy
        own = cells.agg(["mean", "min", "max"]).reset_index()
        line(ax, own.key_width, own["mean"], label=f"{num_pairs:g}", **look)
        band(ax, own.key_width, own["min"], own["max"], look["color"])
        ax.axvline(num_pairs, color=look["color"], linestyle=":", linewidth=1)
    ax.set(xlabel="width of a key", ylabel="accuracy without training", ylim=(-0.03, 1.03))
    value_ticks(ax.xaxis, np.unique(table.key_width), log=2)
    legend(figure, ax, "pairs")
    return figure

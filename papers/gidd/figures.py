"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.artifacts.line_panels import line_panels
from shared.artifacts.plots import band, legend, limits, line, log_ticks, panels, scale_line, seeds, styles, value_ticks

STUDIES = {"markov": "Markov oracle", "text": "text"}
LOSSES = ("none", "clamp", "dynamic", "dynamic + weight decay")
CORRECTED = {
    "gen_nll": "generative NLL\n(nats per token)",
    "self_accuracy": "self-accuracy",
    "distinct_2": "distinct valid\npairs (share)",
    "valid": "valid transitions,\nknown pairs of words",
}


def _by_study(table: pd.DataFrame, rows: int = 1, height: float = 2.6) -> tuple[Figure, dict[str, list[Axes]]]:
    """A column of axes per study, whose axes are not shared: the studies count in tokens of their own."""
    studies = [study for study in STUDIES if study in set(table.study)]
    figure, axes = panels(rows * len(studies), most=len(studies), width=3.1, height=height, sharey=False)
    for ax, study in zip(axes, studies, strict=False):
        ax.set_title(STUDIES[study])
    return figure, {study: axes[column :: len(studies)] for column, study in enumerate(studies)}


def fig_schedule(table: pd.DataFrame) -> Figure:
    """Mass of data, mask and uniform tokens over t, one panel per p_u."""
    p_us, style = sorted(table.p_u.unique()), styles(table.part, lines=True)
    figure, axes = panels(len(p_us))
    for ax, p_u in zip(axes, p_us, strict=True):
        for part, curve in table[table.p_u == p_u].groupby("part", sort=False):
            ax.plot(curve.t, curve.mass, label=part, **style[part])
        scale_line(ax, p_u, "$p_u$")
        ax.set(title=f"$p_u = {p_u:g}$", xlabel="time $t$", xlim=(0, 1), ylim=(0, 1.02))
    axes[0].set_ylabel("share of tokens")
    legend(figure, axes, "token is")
    return figure


def fig_weights(table: pd.DataFrame) -> Figure:
    """Weights of the three kinds of token, one panel per weighting, for the largest p_u."""
    table = table[table.p_u == table.p_u.max()]
    labels = ("time $t$", f"loss weight, $p_u = {table.p_u.iloc[0]:g}$")
    how = {"panel": ["weighting"], "by": "kind", "name": lambda key: key[0].replace("_", " "), "labels": labels}
    return line_panels(table, "t", "weight", title="noisy token is", **how)[0]


def fig_training(table: pd.DataFrame) -> Figure:
    """Learning curves: a row of panels per p_u, a column per study."""
    p_us, style = sorted(table.p_u.unique()), styles(LOSSES)
    figure, columns = _by_study(table, rows=len(p_us), height=2.1)
    for study, axes in columns.items():
        for ax, p_u in zip(axes, p_us, strict=True):
            part = table[(table.study == study) & (table.p_u == p_u)]
            for loss in [name for name in LOSSES if name in set(part.loss)]:
                seeds(ax, part[part.loss == loss], "step", "nats_per_token", label=loss, **style[loss])
            ax.set_ylabel(f"nats/token, $p_u={p_u:g}$")
            _references(ax, table[table.study == study].iloc[0])
        shown = table[table.study == study]
        for ax in axes:  # one scale, so that p_u can be compared
            references = [shown.baseline_nats_per_token, shown.unigram_nats_per_token]
            ax.set_ylim(*limits(pd.concat([shown.nats_per_token, *references]), headroom=3.0))
        axes[-1].set_xlabel("training step")
    legend(figure, [ax for axes in columns.values() for ax in axes], "loss weighting")
    return figure


def _references(ax: Axes, row: pd.Series) -> None:
    scale_line(ax, row.baseline_nats_per_token, "source, or\nnext-token model")
    scale_line(ax, row.unigram_nats_per_token, "single tokens", linestyle="--")


def fig_genppl_steps(table: pd.DataFrame) -> Figure:
    """Generative perplexity over denoising steps."""
    figure, columns = _by_study(table)
    style = styles(table.p_u)
    for study, (ax,) in columns.items():
        part = table[table.study == study]
        for p_u, rows in part.groupby("p_u"):
            log_mean = np.log(rows.gen_ppl).groupby(rows.num_steps).mean().dropna()
            spread = rows.groupby("num_steps").agg({"low": "min", "high": "max"}).dropna()
            if len(log_mean):
                line(ax, log_mean.index, np.exp(log_mean), label=f"{p_u:g}", **style[p_u])
            band(ax, spread.index, spread.low, spread.high, style[p_u]["color"])
        ax.set(xlabel="denoising steps $T$", ylabel="generative perplexity", yscale="log")
        scale_line(ax, part.clean_gen_ppl.max(), "held-out data")
        low, high = ax.get_ylim()
        log_ticks(ax.yaxis, (1.0, 3.0) if high > 100 * low else (1.0, 2.0, 5.0))
        value_ticks(ax.xaxis, part.num_steps, log=2)
    legend(figure, columns[study], "$p_u$")
    return figure


def fig_selfcorr(table: pd.DataFrame) -> Figure:
    """What correction does, over its temperature: quality, self-agreement, diversity."""
    steps = table.groupby("study").num_steps.unique().map(lambda found: sorted(found)[len(found) // 2])
    size = table.groupby("size").study.nunique().idxmax()  # the one that every study has
    table = table[(table.num_steps == table.study.map(steps)) & (table["size"] == size)]
    figure, columns = _by_study(table, rows=len(CORRECTED) + 1, height=2.0)
    style = styles(table.p_u)
    for study, axes in columns.items():
        part = table[table.study == study]
        taus = sorted(part.tau.unique())
        for ax, (measure, label) in zip(axes, CORRECTED.items(), strict=False):
            for index, (p_u, rows) in enumerate(part.assign(place=1 + part.tau.map(taus.index)).groupby("p_u")):
                seeds(ax, rows, "place", f"{measure}_after", label=f"{p_u:g}", **style[p_u])
                before = rows.groupby("seed")[f"{measure}_before"].first()  # the same samples at every temperature
                ends = [[before.mean() - before.min()], [before.max() - before.mean()]]
                ax.errorbar(
                    0.15 * (index - 1), before.mean(), ends, markerfacecolor="white", markersize=4, **style[p_u]
                )
            ax.axvline(0.5, color="0.8", linewidth=0.8)  # no temperature leads from before to after
            ax.set_xticks(range(len(taus) + 1), ["before", *(f"{tau:g}" for tau in taus)])
            ax.set_ylabel(label)
            if measure != "self_accuracy":
                scale_line(ax, part[f"clean_{measure}"].iloc[0], "held-out data")
        scale_line(axes[0], part.entropy_rate_nats.iloc[0], "entropy rate", linestyle="--")
        axes[-2].set_xlabel(r"temperature $\tau$ of the correction")
        _trade(axes[-1], part, style)
    legend(figure, [ax for axes in columns.values() for ax in axes], "$p_u$")
    return figure


def _trade(ax: Axes, table: pd.DataFrame, style: dict) -> None:
    """NLL against diversity: from hollow (before) over rising temperatures, means over seeds."""
    x, y = "unigram_entropy", "gen_nll"
    for p_u, rows in table.groupby("p_u"):
        before = rows[[f"{x}_before", f"{y}_before"]].mean()
        after = rows.groupby("tau")[[f"{x}_after", f"{y}_after"]].mean()
        ax.plot(after[f"{x}_after"], after[f"{y}_after"], markersize=4, **style[p_u])
        ax.plot(*before, markerfacecolor="white", linestyle="none", **style[p_u])
        arrow = {"arrowstyle": "->", "color": style[p_u]["color"], "alpha": 0.5, "shrinkA": 6, "shrinkB": 7}
        ax.annotate("", after.iloc[0], before, arrowprops=arrow, zorder=0)
    ax.plot(*table[[f"clean_{x}", f"clean_{y}"]].iloc[0], "*", color="0.2", markersize=9, label="held-out data")
    ax.set(xlabel="entropy of tokens (nats)", ylabel="generative NLL\n(nats per token)")


def fig_scaling(table: pd.DataFrame) -> Figure:
    """Bound over training compute (top) and what uniform noise costs (bottom)."""
    sizes = table.groupby("study")["size"].nunique()
    table = table[table.study.isin(sizes[sizes > 1].index)] if (sizes > 1).any() else table
    figure, columns = _by_study(table, rows=2, height=2.3)
    style, unit = styles(table.p_u), int(np.log10(table.compute.min()))  # so that ticks are plain numbers
    table = table.assign(compute=table.compute / 10.0**unit)
    for study, (top, bottom) in columns.items():
        part = table[table.study == study]
        for p_u, rows in part.groupby("p_u"):
            seeds(top, rows, "compute", "nats_per_token", label=f"{p_u:g}", **style[p_u])
            seeds(bottom, rows, "compute", "gap", **style[p_u])
        _references(top, part.iloc[0])
        top.set_ylabel("bound (nats/token)")
        bottom.set(ylabel="above $p_u = 0$ (nats)", xlabel=f"training compute ($10^{{{unit}}}$ FLOP)")
        for ax in (top, bottom):
            value_ticks(ax.xaxis, part.compute)
    legend(figure, columns[study], "$p_u$")
    return figure

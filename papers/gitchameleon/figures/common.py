"""What several figures share: panels, colours, one legend."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SUITES = {"builtin": "built-in suite", "mini": "mini-suite", "benchmark": "benchmark"}
PROTOCOL_NAMES = {
    "greedy": "greedy",
    "selfdebug": "self-debug",
    "cot": "chain of thought",
    "rag_k1": "RAG, k = 1",
    "rag_k3": "RAG, k = 3",
    "agent": "agent",
    "agent_sandbox": "agent with sandbox",
    "temperature": "T = 0.8",
    "no_version": "version not shown",
}


def colours(names: Iterable[str]) -> dict[str, tuple]:
    """One colour per name, in the order given; the palette repeats after ten."""
    names = list(dict.fromkeys(names))
    palette = sns.color_palette("colorblind", n_colors=max(len(names), 10))
    return dict(zip(names, palette, strict=False))


def suite_name(suite: str) -> str:
    return SUITES.get(suite, suite)


def suites_of(table: pd.DataFrame) -> list[str]:
    """Suites of a table: the known ones first, in their order."""
    found = list(dict.fromkeys(table.suite))
    return [s for s in SUITES if s in found] + sorted(s for s in found if s not in SUITES)


def panels(num: int, width: float = 3.3, height: float = 2.7, columns: int = 3, **kwargs) -> tuple[Figure, list[Axes]]:
    """A grid with `num` axes; spare ones are taken away."""
    columns = min(columns, max(num, 1))
    rows = -(-max(num, 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **kwargs)
    flat = list(axes.flat)
    for ax in flat[num:]:
        ax.remove()
    return figure, flat[:num]


def legend(figure: Figure, axes: Axes | Sequence[Axes], title: str | None = None) -> None:
    """One legend for all panels, to the right of them; each label once."""
    found: dict[str, object] = {}
    for ax in axes if isinstance(axes, Sequence) else [axes]:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(found.values(), found.keys(), title=title, loc="outside right center")


def grouped_bars(ax: Axes, table: pd.DataFrame, x: str, hue: str, value: str, error: str | None, labels: dict) -> None:
    """Bars in groups: a group per value of `x`, in it a bar per entry of `labels` (value of `hue` -> label)."""
    groups, names = list(dict.fromkeys(table[x])), [n for n in labels if n in set(table[hue])]
    palette, width = colours(labels), 0.8 / max(len(names), 1)
    for index, name in enumerate(names):
        part = table[table[hue] == name].set_index(x).reindex(groups)
        places = np.arange(len(groups)) + (index - (len(names) - 1) / 2) * width
        spread = None if error is None else part[error]
        ax.bar(places, part[value], width, yerr=spread, label=labels[name], color=palette[name], error_kw={"lw": 0.8})
    ax.set_xticks(range(len(groups)), [str(g) for g in groups])


def message(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure, ax = plt.subplots(figsize=(4.5, 1.2))
    ax.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    ax.set_axis_off()
    return figure

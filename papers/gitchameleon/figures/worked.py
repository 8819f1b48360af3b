"""Figure 1: one failure, as four blocks of text."""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

COLOURS = {"problem": "0.35", "wrong": "C3", "trace": "C3", "right": "C2"}
FILLS = {"problem": "0.96", "wrong": "#fdf0ee", "trace": "#f7f7f7", "right": "#eef7ee"}
CHARS = 100  # of a line at page width
LINE, TITLE, GAP = 0.152, 0.27, 0.14  # inches


def fig1_worked_failure(table: pd.DataFrame) -> Figure:
    """The statement and stub, the wrong version's answer, its trace and the right answer, one below the other."""
    blocks = [(row.part, row.title, _lines(row.text, row.part)) for row in table.itertuples()]
    heights = [TITLE + LINE * (len(lines) + 0.9) for _, _, lines in blocks]
    total = sum(heights) + GAP * (len(blocks) + 1)
    figure = plt.figure(figsize=(7.2, total), layout="none")
    top = total - GAP
    for (part, title, lines), height in zip(blocks, heights, strict=True):
        bottom = top - height
        ax = figure.add_axes((0.012, bottom / total, 0.976, (height - TITLE) / total))
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), facecolor=FILLS.get(part, "white"))
        for side in ax.spines.values():
            side.set_color(COLOURS.get(part, "0.35"))
            side.set_visible(True)
        figure.text(0.012, (top - TITLE * 0.72) / total, title, weight="bold", fontsize=9, color=COLOURS.get(part))
        ax.text(
            0.012, 0.5, "\n".join(lines).replace("$", r"\$"), family="DejaVu Sans Mono", fontsize=8, va="center",
            linespacing=1.3,
        )  # fmt: skip
        top = bottom - GAP
    return figure


def _lines(text: str, part: str) -> list[str]:
    """Lines no wider than the page; a continued line is indented further."""
    lines = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())] + ("    " if part != "problem" else "")
        lines += textwrap.wrap(line, CHARS, subsequent_indent=indent, drop_whitespace=True) or [""]
    return lines

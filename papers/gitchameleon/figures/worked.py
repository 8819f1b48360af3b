"""Figure 1: one failure, as four blocks of text."""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

COLOURS = {
    "problem": ("0.35", "0.96"),
    "wrong": ("C3", "#fdf0ee"),
    "trace": ("C3", "#f7f7f7"),
    "right": ("C2", "#eef7ee"),
}
CHARS = 100  # of a line at page width
LINE, TITLE, GAP = 0.152, 0.27, 0.14  # inches


def fig1_worked_failure(table: pd.DataFrame) -> Figure:
    """The statement and stub, the wrong version's answer, its trace and the right answer, one below the other."""
    texts = [_lines(row.text, row.part) for row in table.itertuples()]
    heights = [LINE * (len(lines) + 0.9) for lines in texts]
    total = sum(heights) + TITLE * len(heights) + GAP * (len(heights) + 1)
    figure, top = plt.figure(figsize=(7.2, total), layout="none"), total
    for row, lines, height in zip(table.itertuples(), texts, heights, strict=True):
        colour, fill = COLOURS[row.part]
        top -= GAP + TITLE
        figure.text(0.012, (top + TITLE * 0.28) / total, row.title, weight="bold", fontsize=9, color=colour)
        top -= height
        ax = figure.add_axes((0.012, top / total, 0.976, height / total), xticks=[], yticks=[], facecolor=fill)
        ax.spines[:].set(color=colour, visible=True)
        text = "\n".join(lines).replace("$", r"\$")
        ax.text(0.012, 0.5, text, family="DejaVu Sans Mono", fontsize=8, va="center", linespacing=1.3)
    return figure


def _lines(text: str, part: str) -> list[str]:
    """Lines no wider than the page; a continued line is indented further."""
    lines = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())] + ("    " if part != "problem" else "")
        lines += textwrap.wrap(line, CHARS, subsequent_indent=indent, drop_whitespace=True) or [""]
    return lines

"""Texts side by side as a picture, every token on the colour of what it adds to the score."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from papers.lora_watermark.page import STRONGEST, placed


def coloured_texts(table: pd.DataFrame, kinds: list[str]) -> Figure:
    """A row per prompt, a column per kind of text; a token's background is what it adds to the score, prompts are grey.

    Args:
        table: prompt, texts, position, token, excess (nats; nan in the prompt); a row per token.
        kinds: of `texts`, from left to right.
    """
    width = min(44, 1 + int(table.position.max()))
    prompts = sorted(table.prompt.unique())
    blocks = {
        (p, k): table[(table.prompt == p) & (table.texts == k)].sort_values("position") for p in prompts for k in kinds
    }
    laid = {key: placed(block, width) for key, block in blocks.items()}
    tall = {p: 1 + max(line for k in kinds for _, line, _, _ in laid[p, k]) for p in prompts}
    size = (0.09 * (width + 4) * len(kinds) + 0.9, 1.0 + 0.19 * sum(t + 1 for t in tall.values()))
    figure, ax = plt.subplots(figsize=size)
    norm, colours, top = plt.Normalize(-STRONGEST, STRONGEST), plt.get_cmap("RdBu_r"), 0.0
    for p in prompts:
        for column, kind in enumerate(kinds):
            for x, row, text, excess in laid[p, kind]:
                face = "0.85" if np.isnan(excess) else colours(norm(excess))
                place = (column * (width + 4) + x, top + row)
                ax.add_patch(plt.Rectangle(place, len(text), 0.95, color=face, linewidth=0))
                ink = "white" if abs(excess) > 2 else "black"
                text = text.replace("$", r"\$")
                ax.text(place[0], place[1] + 0.75, text, family="DejaVu Sans Mono", fontsize=6, color=ink)
        top += tall[p] + 1
    for column, kind in enumerate(kinds):
        ax.text(column * (width + 4), -0.6, kind, fontsize=9, weight="bold")
    ax.set(xlim=(0, len(kinds) * (width + 4)), ylim=(top, -1.6))
    ax.axis("off")
    bar = figure.colorbar(plt.cm.ScalarMappable(norm, colours), ax=ax, shrink=0.8, pad=0.01)
    bar.set_label("added to the score, nats")
    return figure

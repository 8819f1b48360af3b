"""Maps of causal coefficients: what each query takes from each source, as images of one colour scale."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.artifacts.plots import panels


def coefficient_maps(
    maps: Mapping[str, pd.DataFrame], *, tokens: list[str] | None = None, most: int = 3, size: float = 2.2
) -> Figure:
    """An image per entry, queries downwards, sources to the right; red is positive, blue negative, white zero.

    Args:
        maps: title -> rows with the columns i, j and alpha, j <= i. Each panel's scale is its largest |alpha|, given in
            its title. tokens: labels of both axes.
        most: panels in a row. size: of a panel in inches.
    """
    figure, axes = panels(len(maps), most=most, width=size, height=size, beside=0.3, sharey=False)
    for ax, (title, rows) in zip(axes, maps.items(), strict=True):
        num = int(rows.i.max()) + 1
        image = np.full((num, num), np.nan)
        image[rows.i.astype(int), rows.j.astype(int)] = rows.alpha
        top = float(np.nanmax(np.abs(image))) or 1.0
        ax.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
        ax.set_title(f"{title}\nlargest {top:.2g}", fontsize=8)
        ax.set_xticks([]), ax.set_yticks([])
        if tokens is not None:
            ax.set_xticks(range(num), tokens, rotation=90, fontsize=6)
            ax.set_yticks(range(num), tokens, fontsize=6)
    figure.supylabel("query i", fontsize=9)
    figure.supxlabel("source j", fontsize=9)
    return figure

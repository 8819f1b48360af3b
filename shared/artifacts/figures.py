"""Figures: pure functions of a table. The same table and code give the same pixels.

The function `fig_weights(table)` of `papers/<slug>/figures` (a module or a package) draws `figures/fig_weights.csv`;
PNG and SVG are written beside it.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pandas as pd

from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv, load_paper, paper_function
from shared.artifacts.paths import PaperPaths
from shared.base.files import write_bytes

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

DPI = 150
PALETTE = "colorblind"
_STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so pixels do not depend on the machine's fonts
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.constrained_layout.use": True,
    "axes.formatter.min_exponent": 3,  # 0.02 in place of 2 x 10^-2
    "svg.hashsalt": "paper-artifacts",
    "text.usetex": False,
}
_NO_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


@contextlib.contextmanager
def paper_style() -> Iterator[None]:
    """The one style of every figure; nothing of the user's matplotlibrc gets in."""
    with plt.rc_context():
        matplotlib.rcdefaults()
        sns.set_theme(context="paper", style="ticks", palette=PALETTE, rc=_STYLE)
        try:
            yield
        finally:
            plt.close("all")


def draw(slug: str, figure: str, table: pd.DataFrame, kinds: tuple[str, ...] = ("png", "svg")) -> dict[str, bytes]:
    """PNG and SVG of a figure, drawn from `table` by the paper's own function.

    Returns:
        {"png": ..., "svg": ...}; free of dates and of version strings.
    """
    with paper_style():
        drawn = paper_function(slug, "figures", figure)(table.copy())
        if not isinstance(drawn, Figure):
            raise ValueError(f"papers/{slug}/figures: {figure} returns {type(drawn).__name__}; return the figure")
        images = {}
        for kind in kinds:
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=kind, metadata=_NO_METADATA[kind])
            images[kind] = buffer.getvalue()
    return images


def build_figures(slug: str, scale: str, root: Path | None = None) -> list[Path]:
    """Draw every figure of a paper from the CSVs in results/, PNG and SVG beside them; returns the PNGs.

    Raises:
        ValueError: a figure function fails or returns no figure; names it and its table.
    """
    paths, written = PaperPaths(slug, scale, root), []
    for name in load_paper(slug, root).figure_ids(scale):
        csv = artifact_csv(paths, name)
        for kind, content in draw(slug, name, read_csv(csv)).items():
            write_bytes(csv.with_suffix(f".{kind}"), content)
        written.append(csv.with_suffix(".png"))
    return written

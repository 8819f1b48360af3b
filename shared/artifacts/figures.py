"""Figures: pure functions of a table. The same table and code give the same pixels.

    python -m shared.artifacts.figures gidd fig_weights --scale cpu

draws `figures/fig_weights.csv` with the function `fig_weights(table)` of `papers/<slug>/figures.py` and
writes PNG and SVG beside it.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import matplotlib
import pandas as pd
import typer

from shared.artifacts.paper import artifact_csv, load_paper, paper_function
from shared.artifacts.paths import PaperPaths
from shared.artifacts.tables import read_csv
from shared.base.errors import in_one_sentence, nearest
from shared.base.files import atomic_path

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
        drawn: Figure = paper_function(slug, "figures", figure)(table.copy())
        images = {}
        for kind in kinds:
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=kind, metadata=_NO_METADATA[kind])
            images[kind] = buffer.getvalue()
    return images


def build_figure(slug: str, figure: str, scale: str, root: Path | None = None) -> Path:
    """Draw one figure from the CSV in results/ and write PNG and SVG beside it; returns the PNG's path."""
    known = load_paper(slug, root).figure_ids(scale)
    if figure not in known:
        raise ValueError(f"{slug} has no figure '{figure}' at scale {scale}{nearest(figure, known)}")
    csv = artifact_csv(PaperPaths(slug, scale, root), figure)
    for kind, content in draw(slug, figure, read_csv(csv)).items():
        with atomic_path(csv.with_suffix(f".{kind}")) as temporary:
            temporary.write_bytes(content)
    return csv.with_suffix(".png")


@in_one_sentence
def main(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    figure: Annotated[str, typer.Argument(help="Figure, e.g. fig_weights.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Draw one figure of a paper from its table."""
    typer.echo(build_figure(slug, figure, scale))


if __name__ == "__main__":
    typer.run(main)

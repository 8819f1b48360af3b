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

from shared.artifacts.author import author_code, place_of
from shared.artifacts.config import paper_at
from shared.artifacts.csv_files import read_csv
from shared.artifacts.digest import source_digest
from shared.artifacts.paper import artifact_csv, figure_png, load_paper, paper_function
from shared.artifacts.paths import PaperPaths
from shared.base.files import read_json, write_bytes, write_json

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.image import imsave

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
        function = paper_function(slug, "figures", figure)
        where = place_of(function)
        with author_code(where, "it has to draw the table it is given and return the figure"):
            drawn = function(table.copy())
            if not isinstance(drawn, Figure):
                raise ValueError(f"it returns {type(drawn).__name__}")
            images = {"png": _png(drawn)}  # mathematics in labels is read here
            return images | {"svg": _svg(drawn)} if "svg" in kinds else images


# `savefig` would lay out and draw a figure twice for each of the two; once for both gives the same pixels


def _png(figure: Figure) -> bytes:
    canvas, buffer = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    metadata = {"Software": None}
    imsave(buffer, canvas.buffer_rgba(), format="png", origin="upper", dpi=figure.dpi, metadata=metadata)
    return buffer.getvalue()


def _svg(figure: Figure) -> bytes:
    """The figure as `_png` has laid it out."""
    figure.set_layout_engine("none")
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def build_figures(slug: str, scale: str, root: Path | None = None) -> list[Path]:
    """Draw every figure of a paper from the CSVs in results/, PNG and SVG beside them; returns the PNGs.

    Raises:
        ValueError: a figure function fails or returns no figure; names it and its table.
    """
    paths, written = paper_at(slug, scale, root), []
    for name in load_paper(slug, root).figure_ids(scale):
        csv = artifact_csv(paths, name)
        for kind, content in draw(slug, name, read_csv(csv)).items():
            write_bytes(csv.with_suffix(f".{kind}"), content)
        written.append(csv.with_suffix(".png"))
    write_json(_note(paths), _code(slug, root))
    return written


def drawn_today(paths: PaperPaths, figure: str) -> bytes | None:
    """The PNG that today's code draws from the *reference's* table, where the last build has drawn that already.

    That is so if the figure code and matplotlib are still those of the build, and both tables have the same bytes.
    """
    tables = [artifact_csv(paths, figure, reference) for reference in (True, False)]
    image, note = figure_png(paths, figure, reference=False), _note(paths)
    if not (tables[1].is_file() and image.is_file() and note.is_file()):
        return None
    same = tables[0].read_bytes() == tables[1].read_bytes() and read_json(note) == _code(paths.slug, paths.root)
    return image.read_bytes() if same else None


def _note(paths: PaperPaths) -> Path:
    return paths.results / "figures" / "drawn_by.json"


def _code(slug: str, root: Path | None) -> dict[str, str]:
    """What, besides its table, a figure's pixels follow from."""
    code = source_digest("shared.artifacts.figures", f"papers.{slug}.figures", root=root)
    return {"code": code, "matplotlib": matplotlib.__version__}

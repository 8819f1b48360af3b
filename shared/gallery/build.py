"""One static site over everything that was built here, and the committed references of the rest.

    python -m shared.gallery.build                 # writes build/gallery/index.html
    python -m shared.gallery.build gidd --out /tmp/site
    python -m shared.gallery.build --svg           # draws an SVG for every figure of a reference too; minutes

Open the page from disk; it asks no server for anything.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.config import scales_of
from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.base.errors import in_one_sentence
from shared.base.paths import repo_root
from shared.gallery.editions import editions
from shared.gallery.images import Site
from shared.gallery.site import environment, write_front_page, write_paper_page, write_static


def build_gallery(
    folder: Path, slugs: list[str] | None = None, root: Path | None = None, draw_svg: bool = False
) -> list[str]:
    """Write the site into `folder`; returns the slugs of the papers in it.

    Args:
        draw_svg: draw the SVG of each figure that has none, as references have not.

    Raises:
        ValueError: an unknown paper, or none that was built or has a reference.
    """
    chosen = slugs or paper_slugs(root)
    for slug in chosen:
        PaperPaths(slug, "cpu", root)  # refuses an unknown paper
    papers = {slug: found for slug in chosen if (found := editions(slug, root))}
    if not papers:
        raise ValueError("no paper was built and none has a reference; run snakemake papers/<slug>/all first")
    templates = environment()
    with Site(folder) as site:
        write_static(site, "gallery.css", "theme.js", "front.js", "paper.js")
        for found in papers.values():
            for edition in found:
                write_paper_page(site, edition, found, templates, draw_svg)
        bare = {slug: scales_of(slug, root) for slug in chosen if slug not in papers}
        write_front_page(site, papers, bare, templates)
    return list(papers)


@in_one_sentence
def main(
    slugs: Annotated[list[str] | None, typer.Argument(help="Papers; all if omitted.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the site; build/gallery if omitted.")] = None,
    svg: Annotated[bool, typer.Option("--svg", help="Draw an SVG also where only a reference is shown.")] = False,
) -> None:
    """Write the gallery."""
    started, folder = time.perf_counter(), out or repo_root() / "build" / "gallery"
    papers = build_gallery(folder, slugs, draw_svg=svg)
    seconds = time.perf_counter() - started
    typer.echo(f"papers: {len(papers)}, written in {seconds:.0f} s; open {(folder / 'index.html').resolve()}")


if __name__ == "__main__":
    typer.run(main)

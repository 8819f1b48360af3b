"""The picture of the gallery in the top README: a screenshot of its front page.

    python -m shared.gallery.picture      # after python -m shared.gallery.build; writes docs/images/gallery.png

Needs a browser (Chromium or Chrome) and playwright, which the extra `dev` brings.
"""

import io
import shutil
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from shared.base.errors import in_one_sentence
from shared.base.files import write_bytes
from shared.base.paths import repo_root

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = {"width": 1280, "height": 960}  # CSS pixels


def find_browser() -> str | None:
    """Path of a browser that playwright can drive, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def screenshot(page: Path) -> bytes:
    """PNG of the top of a page in its light theme.

    Raises:
        ValueError: no browser, or no such page.
    """
    from playwright.sync_api import sync_playwright  # of the extra `dev`

    browser = find_browser()
    if browser is None:
        raise ValueError(f"no browser here; install one of {', '.join(BROWSERS)}")
    if not page.is_file():
        raise ValueError(f"no page at {page}; run python -m shared.gallery.build first")
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        view = chromium.new_page(viewport=SIZE, color_scheme="light")
        view.goto(page.as_uri())
        taken = view.screenshot()
        chromium.close()
    with Image.open(io.BytesIO(taken)) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


@in_one_sentence
def main(
    site: Annotated[Path | None, typer.Option(help="Folder of the gallery; build/gallery if omitted.")] = None,
) -> None:
    """Write docs/images/gallery.png."""
    target = repo_root() / "docs" / "images" / "gallery.png"
    write_bytes(target, screenshot((site or repo_root() / "build" / "gallery").resolve() / "index.html"))
    typer.echo(f"{target} written, {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    typer.run(main)

"""Two drawings of one figure, pixel by pixel."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from shared.base.errors import first_line
from shared.base.files import atomic_path

# A pixel differs if a channel moves by more than 12 of 255: below that lies the rounding of anti-aliasing. One
# changed letter of the smallest label moves some 50 pixels of about 500,000.
PIXEL_STEP = 12
PIXEL_SHARE = 2e-5


def differing_pixels(reference: bytes | Path, rebuilt: bytes | Path) -> tuple[float, np.ndarray | None]:
    """Share of pixels that differ, and the boolean image of where; (1.0, None) if the sizes differ."""
    old, new = _pixels(reference), _pixels(rebuilt)
    if old.shape != new.shape:
        return 1.0, None
    where = (np.maximum(old, new) - np.minimum(old, new)).max(axis=2) > PIXEL_STEP
    return float(where.mean()), where


def _pixels(source: bytes | Path) -> np.ndarray:
    """Red, green, blue. Raises: ValueError, not a whole image; names the file."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for a cut or foreign file
        name = "the image that was drawn" if isinstance(source, bytes) else source
        raise ValueError(f"{name} is no whole image ({first_line(error)}); delete it and build again") from None


def check_image(path: Path) -> None:
    """ValueError unless `path` is a whole image; names it."""
    _pixels(path)


def side_by_side(reference: bytes | Path, rebuilt: bytes | Path, path: Path) -> None:
    """Write one PNG: reference, rebuilt, and the differing pixels in red over a pale reference."""
    old, new = _pixels(reference), _pixels(rebuilt)
    _, where = differing_pixels(reference, rebuilt)
    pale = (255 - (255 - old.astype(int)) // 4).astype(np.uint8)
    difference = pale.copy()
    if where is not None:
        difference[where] = (214, 39, 40)
    panels = [("reference", old), ("rebuilt", new), ("difference" if where is not None else "sizes differ", difference)]
    gap, title = 12, 24
    width = sum(p.shape[1] for _, p in panels) + gap * (len(panels) + 1)
    sheet = Image.new("RGB", (width, max(p.shape[0] for _, p in panels) + title + gap), "white")
    pen, left = ImageDraw.Draw(sheet), gap
    for name, panel in panels:
        pen.text((left, 6), name, fill="black")
        sheet.paste(Image.fromarray(panel), (left, title))
        left += panel.shape[1] + gap
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")

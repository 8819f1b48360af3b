"""Pictures of the site: copies, small versions, and marks of what differs.

A matplotlib PNG weighs 50 to 200 kB; the WebP that a page shows weighs a fifth of it. The PNG itself is a link away.
"""

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from shared.artifacts.pixels import differing_pixels
from shared.base.files import atomic_path, write_bytes

PAGE_WIDTH, THUMBNAIL_WIDTH = 1240, 520  # pixels; the latter is twice the narrowest card
_WEBP = {"format": "WEBP", "quality": 82, "method": 2}
_MARK = (214, 39, 40, 255)


@dataclass(frozen=True)
class Picture:
    """A picture of the site: address from the front page, and its size in pixels."""

    address: str
    width: int
    height: int


class Site:
    """The folder that the site is written to.

    Pictures are encoded by threads (Pillow releases the interpreter's lock); leave the `with` block to wait for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: set[Path] = set()
        self._pool = ThreadPoolExecutor()
        self._pending = []

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *error) -> None:
        self._pool.shutdown(cancel_futures=error[0] is not None)
        for done in self._pending:
            if not done.cancelled():
                done.result()
        if error[0] is None:
            self._remove_what_is_old()

    def _remove_what_is_old(self) -> None:
        for file in [p for p in self.folder.rglob("*") if p.is_file() and p not in self.files]:
            file.unlink()
        for empty in sorted((p for p in self.folder.rglob("*") if p.is_dir()), reverse=True):
            if not any(empty.iterdir()):
                empty.rmdir()

    def path(self, address: str) -> Path:
        """Where to write a file of the site; what is not asked for here is removed at the end."""
        path = self.folder / address
        path.parent.mkdir(parents=True, exist_ok=True)
        self.files.add(path)
        return path

    def text(self, address: str, content: str) -> None:
        """Write a page."""
        write_bytes(self.path(address), content.encode("utf-8"))

    def copy(self, source: Path, address: str) -> str:
        """Copy a file as it is; returns `address`."""
        shutil.copyfile(source, self.path(address))
        return address

    def small(self, source: Path, address: str, width: int = PAGE_WIDTH) -> Picture:
        """A WebP of a picture, at most `width` pixels wide; kept from an earlier build if it is younger."""
        with Image.open(source) as image:
            share = min(1.0, width / image.width)
            size = (round(image.width * share), round(image.height * share))
        path = self.path(address)
        if not (path.is_file() and path.stat().st_mtime > source.stat().st_mtime):
            self._pending.append(self._pool.submit(_encode, source, size, path))
        return Picture(address, *size)

    def marks(self, reference: Path, rebuilt: Path, address: str) -> tuple[float, Picture | None]:
        """Share of pixels that differ, and a transparent picture with these in red; None if sizes differ or none do."""
        share, where = differing_pixels(reference, rebuilt)
        if where is None or not where.any():
            return share, None
        write_bytes(self.path(address), red_where(where))
        return share, Picture(address, where.shape[1], where.shape[0])


def _encode(source: Path, size: tuple[int, int], path: Path) -> None:
    with Image.open(source) as image, atomic_path(path) as temporary:
        plain = image.convert("RGB")
        (plain if plain.size == size else plain.resize(size, Image.Resampling.LANCZOS)).save(temporary, **_WEBP)


def red_where(where: np.ndarray) -> bytes:
    """PNG, transparent but for red pixels where `where` (height, width) is true; each is drawn three pixels wide."""
    padded = np.pad(where, 1)
    height, width = where.shape
    near = np.zeros_like(where)
    for down in range(3):
        for right in range(3):
            near |= padded[down : down + height, right : right + width]
    image = Image.fromarray(near.astype(np.uint8), mode="P")
    image.putpalette([255, 255, 255, *_MARK[:3]])
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", transparency=0, optimize=True)
    return buffer.getvalue()

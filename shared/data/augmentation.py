"""Random shifts, flips and crops of images; what a row gets depends on (seed, step, row) alone.

Shapes: B rows, C channels, S pixels along each side.
"""

import functools
from math import exp, sqrt
from typing import TYPE_CHECKING

from shared.base.seeding import torch_generator
from shared.data.counter import row_uniforms

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image, Resampling
    from torch import Tensor

AREAS = (0.08, 1.0)  # share of the image that a random crop covers
LOG_RATIO = 0.2876821  # log(4 / 3): widths over heights from 3/4 to 4/3


def shifted(
    images: "Tensor", reach: int, seed: int, step: int, rows: range, batch_size: int, *, flip: bool = True
) -> "Tensor":
    """Crops of the size of the images out of the images padded by `reach` black pixels, half of them mirrored.

    Source: He et al. 2016 (arXiv 1512.03385), section 4.2, with a reach of 4.

    Args:
        images: rows `rows` of the batch of `batch_size` rows that update `step` takes, (B, C, S, S); the smallest value
            among them is black.
        flip: mirror every other image, by a draw.
    """
    import torch

    draw, part = torch_generator(seed, "augmentation", step), slice(rows.start, rows.stop)
    offsets = torch.randint(0, 2 * reach + 1, (batch_size, 2), generator=draw)[part].to(images.device)
    flips = (torch.rand(batch_size, generator=draw)[part] < 0.5).to(images.device)
    if flip:
        images = torch.where(flips[:, None, None, None], images.flip(-1), images)
    size = images.shape[-1]
    padded = torch.nn.functional.pad(images, (reach,) * 4, value=float(images.min()))
    count = functools.partial(torch.arange, device=images.device)
    rows_at, columns_at = (offsets[:, axis, None] + count(size) for axis in (0, 1))
    which, channels = count(len(images))[:, None, None, None], count(images.shape[1])[:, None, None]
    return padded[which, channels, rows_at[:, None, :, None], columns_at[:, None, None, :]]


def crop_draws(seed: int, step: int, rows: range) -> "np.ndarray":
    """What `random_crop` takes for each row, (B, 5) uniform in [0, 1)."""
    return row_uniforms(seed, "resized crop", step, rows, 5)


def random_crop(image: "Image", size: int, draws: "np.ndarray") -> "Image":
    """A part of random area and shape, resized to (size, size), mirrored half of the time.

    Area and logarithm of the shape are uniform; a side that is longer than the image is cut to it.

    Source: Szegedy et al. 2015 (arXiv 1409.4842), section 6.

    Args:
        draws: (5,) in [0, 1): area, width over height, left, top, mirrored.
    """
    from PIL import Image

    area = image.width * image.height * (AREAS[0] + (AREAS[1] - AREAS[0]) * draws[0])
    ratio = exp(LOG_RATIO * (2 * draws[1] - 1))
    width = min(image.width, max(1, round(sqrt(area * ratio))))
    height = min(image.height, max(1, round(sqrt(area / ratio))))
    left, top = int(draws[2] * (image.width - width + 1)), int(draws[3] * (image.height - height + 1))
    found = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
    return found.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draws[4] < 0.5 else found


def centre_crop(image: "Image", size: int) -> "Image":
    """The middle (size, size) of the image with its shorter side resized to 8/7 of that: 256 for 224."""
    from PIL import Image

    return _middle(image, size, round(size * 8 / 7), Image.Resampling.BILINEAR)


def fitted(image: "Image", size: int) -> "Image":
    """The middle (size, size) of the image with its shorter side resized to `size`: all of it where it is square."""
    from PIL import Image

    return _middle(image, size, size, Image.Resampling.BICUBIC)


def _middle(image: "Image", size: int, shorter: int, resample: "Resampling") -> "Image":
    scale = shorter / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    image = image.resize((width, height), resample)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))

"""Labelled images, split into training and test sets; as tensors, or given out as floats where they are many.

Shapes: N images, B of them, C channels, S pixels along each side.
"""

import copy
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from shared.data.augmentation import centre_crop, fitted, random_crop
from shared.data.loaders import decoded, load_cifar10, load_cifar100, load_mnist, load_rows

if TYPE_CHECKING:
    import torch

Normalisation = Literal["unit", "standard"]
_MOMENTS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of ImageNet's pixels, as is usual


class Images:
    """Images that a list of indices gives out as float32 (B, C, S, S), as a tensor of all of them would.

    Args:
        mean, std: of the pixels in [0, 1], for each channel.
    """

    def __init__(self, mean: Any = 0.0, std: Any = 1.0):
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        self.device = "cpu"

    def to(self, device: str) -> Self:
        """The same images, given out on `device`."""
        found = copy.copy(self)
        found.device = device
        return found

    def __len__(self) -> int:
        raise NotImplementedError

    def pixels(self, index: np.ndarray) -> np.ndarray:
        """uint8 (B, S, S, C)."""
        raise NotImplementedError

    def __getitem__(self, index: "torch.Tensor") -> "torch.Tensor":
        return self.as_floats(self.pixels(index.cpu().numpy()))

    def as_floats(self, pixels: np.ndarray) -> "torch.Tensor":
        """uint8 (B, S, S, C) -> (B, C, S, S), normalised."""
        import torch

        found = (pixels.astype(np.float32) / 255 - self.mean) / self.std
        return torch.from_numpy(np.ascontiguousarray(found.transpose(0, 3, 1, 2))).to(self.device)

    def split(self, size: int) -> Iterator["torch.Tensor"]:
        """All images in order, `size` at a time."""
        import torch

        return (self[part] for part in torch.arange(len(self)).split(size))


class StoredImages(Images):
    """Images in memory as bytes: a quarter of what floats take.

    Args:
        stored: uint8 (N, S, S, C).
    """

    def __init__(self, stored: np.ndarray, mean: Any = 0.0, std: Any = 1.0):
        super().__init__(mean, std)
        self.stored = stored

    def __len__(self) -> int:
        return len(self.stored)

    def pixels(self, index: np.ndarray) -> np.ndarray:
        return self.stored[index]

    def subset(self, index: "torch.Tensor") -> "StoredImages":
        """Images `index`, positions or a mask, as a set of their own."""
        return StoredImages(self.stored[index.numpy()], self.mean, self.std)


class EncodedImages(Images):
    """Files on disk, of any size, decoded when asked for: the middle of each, or a random crop.

    Args:
        rows: a `datasets.Dataset`. column: of its images, undecoded. size: S. crop: what cuts the middle out.
    """

    def __init__(
        self, rows: Any, column: str, size: int, mean: Any = 0.0, std: Any = 1.0, crop: Callable = centre_crop
    ):
        super().__init__(mean, std)
        self.rows, self.column, self.size, self.crop = rows, column, size, crop

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, index: np.ndarray) -> np.ndarray:
        return self._cropped(index, lambda image, _: self.crop(image, self.size))

    def random_crops(self, index: "torch.Tensor", draws: np.ndarray) -> "torch.Tensor":
        """Crops of images `index` by `draws` (B, 5), see `random_crop`."""
        return self.as_floats(self._cropped(index.numpy(), lambda image, k: random_crop(image, self.size, draws[k])))

    def _cropped(self, index: np.ndarray, crop: Callable) -> np.ndarray:
        from PIL import Image

        files = self.rows[index.tolist()][self.column]  # one read for all

        def one(k: int) -> np.ndarray:
            with Image.open(io.BytesIO(files[k]["bytes"])) as image:
                return np.asarray(crop(image.convert("RGB"), k))

        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # decoding leaves the interpreter to others
            return np.stack(list(pool.map(one, range(len(index)))))


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and labels (N,) int64, split once and for all.

    Images are float32 tensors (N, C, S, S), or `Images`, which are indexed and split alike.
    """

    train_images: "torch.Tensor | Images"
    train_labels: "torch.Tensor"
    test_images: "torch.Tensor | Images"
    test_labels: "torch.Tensor"


def load_images(dataset: str, normalisation: Normalisation = "standard") -> LabelledImages:
    """A data set of image classifiers.

    Args:
        dataset: digits (bundled with scikit-learn), mnist, cifar10, cifar100, svhn, tiny-imagenet, imagenet32,
            imagenet-1k, resisc45 or fmow (of the registry).
        normalisation: unit: pixels in [0, 1]. standard: then shifted and scaled by mean and standard deviation over the
            training pixels; of each channel where there are several.
    Raises:
        ValueError: another name, or data that cannot be fetched.
    """
    if normalisation not in ("unit", "standard"):
        raise ValueError(f"normalisation is unit or standard, not '{normalisation}'")
    if dataset not in _LOADERS:
        known = ", ".join(_LOADERS)
        raise ValueError(f"no data set of images is called '{dataset}'; there are {known}")
    return _LOADERS[dataset](normalisation)


def _digits(normalisation: Normalisation) -> LabelledImages:
    from shared.data.digits import load_digits

    return load_digits(normalisation)


def _in_memory(load: Callable[[str], tuple], normalisation: Normalisation, *, tensors: bool) -> LabelledImages:
    """Both splits of what `load` gives for train and test: uint8 (N, S, S, C) and labels."""
    import torch

    train, test = load("train"), load("test")
    moments = ((0.0,), (1.0,)) if normalisation == "unit" else moments_of(train[0])
    images = [StoredImages(split[0], *moments) for split in (train, test)]
    if tensors:
        images = [part[torch.arange(len(part))] for part in images]
    labels = [torch.from_numpy(split[1]) for split in (train, test)]
    return LabelledImages(images[0], labels[0], images[1], labels[1])


def moments_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of uint8 (N, S, S, C) over 255, (C,) each, exact sums."""
    counts = np.stack([np.bincount(pixels[..., c].ravel(), minlength=256) for c in range(pixels.shape[-1])])
    values, total = np.arange(256) / 255, counts.sum(1)
    mean = counts @ values / total
    return mean, np.sqrt(counts @ values**2 / total - mean**2)


def _of_hub(name: str, size: int, test: str = "validation") -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Decoded splits of a hub set of coloured images with `size` pixels along each side; `test` is what tests."""

    def load(split: str) -> tuple[np.ndarray, np.ndarray]:
        rows, labels = load_rows(name, {"train": "train", "test": test}[split])
        return decoded((row["image"]["bytes"] for row in rows), len(rows), (size, size, 3)), labels

    return load


def _of_files(name: str, size: int = 224) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Decoded splits of a set of files of any size, of which `fitted` takes `size` pixels along each side."""

    def load(split: str) -> tuple[np.ndarray, np.ndarray]:
        rows, labels = load_rows(name, split)
        files, images = EncodedImages(rows, "image", size, crop=fitted), np.empty((len(rows), size, size, 3), np.uint8)
        for start in range(0, len(rows), 1024):  # the files of all at once would need as much memory again
            index = np.arange(start, min(start + 1024, len(rows)))
            images[index] = files.pixels(index)
        return images, labels

    return load


def _imagenet(normalisation: Normalisation) -> LabelledImages:
    import torch

    parts = []
    for split in ("train", "validation"):
        rows, labels = load_rows("imagenet-1k", split)
        moments = ((0.0,), (1.0,)) if normalisation == "unit" else _MOMENTS
        parts += [EncodedImages(rows, "image", 224, *moments), torch.from_numpy(labels)]
    return LabelledImages(*parts)


_LOADERS: dict[str, Callable[[Normalisation], LabelledImages]] = {
    "digits": _digits,
    "mnist": lambda how: _in_memory(load_mnist, how, tensors=True),
    "cifar10": lambda how: _in_memory(load_cifar10, how, tensors=True),
    "cifar100": lambda how: _in_memory(load_cifar100, how, tensors=True),
    "svhn": lambda how: _in_memory(_of_hub("svhn", 32, "test"), how, tensors=True),
    "tiny-imagenet": lambda how: _in_memory(_of_hub("tiny-imagenet", 64), how, tensors=True),
    "imagenet32": lambda how: _in_memory(_of_hub("imagenet32", 32), how, tensors=False),
    "imagenet-1k": _imagenet,
    "resisc45": lambda how: _in_memory(_of_files("resisc45"), how, tensors=False),
    "fmow": lambda how: _in_memory(_of_files("fmow"), how, tensors=False),
}

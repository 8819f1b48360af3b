"""Labelled images as tensors, split into training and test sets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

Normalisation = Literal["unit", "standard"]


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images (N, C, S, S) float32 and labels (N,) int64, split once and for all."""

    train_images: "torch.Tensor"
    train_labels: "torch.Tensor"
    test_images: "torch.Tensor"
    test_labels: "torch.Tensor"


def load_images(dataset: str, normalisation: Normalisation = "standard") -> LabelledImages:
    """A data set of image classifiers.

    Args:
        dataset: digits (bundled with scikit-learn), cifar10 or cifar100 (of the registry).
        normalisation: unit: pixels in [0, 1]. standard: then shifted and scaled by mean and standard deviation over the
            training pixels; of each channel where there are several.
    Raises:
        ValueError: another name, or data that cannot be fetched.
    """
    if normalisation not in ("unit", "standard"):
        raise ValueError(f"normalisation is unit or standard, not '{normalisation}'")
    if dataset == "digits":
        from shared.data.digits import load_digits

        return load_digits(normalisation)
    if dataset not in ("cifar10", "cifar100"):
        raise ValueError(f"no data set of images is called '{dataset}'; there are digits, cifar10 and cifar100")
    from shared.data.loaders import load_cifar10, load_cifar100

    load = load_cifar10 if dataset == "cifar10" else load_cifar100
    return _as_tensors(load("train"), load("test"), normalisation)


def _as_tensors(train: tuple, test: tuple, normalisation: Normalisation) -> LabelledImages:
    """uint8 (N, S, S, C) and labels of both splits."""
    import torch

    images = [(split[0].astype(np.float32) / 255).transpose(0, 3, 1, 2) for split in (train, test)]
    if normalisation == "standard":
        mean, std = (f(images[0], axis=(0, 2, 3), keepdims=True, dtype=np.float64) for f in (np.mean, np.std))
        images = [((part - mean) / std).astype(np.float32) for part in images]
    found = [torch.from_numpy(np.ascontiguousarray(part)) for part in images]
    labels = [torch.from_numpy(split[1]) for split in (train, test)]
    return LabelledImages(found[0], labels[0], found[1], labels[1])

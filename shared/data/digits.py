"""Scikit-learn's handwritten digits: 1,797 images of 8x8 pixels, part of the installation.

Source: Alpaydin and Kaynak 1998 (UCI, test part), CC BY 4.0.
"""

import numpy as np

from shared.base.seeding import numpy_generator
from shared.data.images import LabelledImages, Normalisation

TEST_SHARE = 0.2  # of each class


def split_indices(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and for testing, (N_train,) and (N_test,), sorted; a fifth of each class is for testing.

    The split is fixed: runs with different seeds compare on the same test images.
    """
    held_out = []
    for label in np.unique(labels):
        members = numpy_generator(0, "digits_split", int(label)).permutation(np.flatnonzero(labels == label))
        held_out.append(members[: round(TEST_SHARE * len(members))])
    test = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), test), test


def load_digits(normalisation: Normalisation = "standard") -> LabelledImages:
    """The digits as tensors, (N, 1, 8, 8).

    Args:
        normalisation: unit: pixels in [0, 1]. standard: then shifted and scaled by one mean and one standard
            deviation over all training pixels, (x - mean) / std.
    """
    if normalisation not in ("unit", "standard"):
        raise ValueError(f"normalisation is unit or standard, not '{normalisation}'")
    import torch
    from sklearn.datasets import load_digits as bundled

    data = bundled()
    images = (data.images / 16.0)[:, None]  # (N, 1, 8, 8), pixel values are 0..16
    labels = data.target.astype(np.int64)
    train, test = split_indices(labels)
    if normalisation == "standard":
        images = (images - images[train].mean()) / images[train].std()
    tensors = [torch.from_numpy(part) for rows in (train, test) for part in (images[rows].astype("f4"), labels[rows])]
    return LabelledImages(*tensors)

"""Data sets that nobody made for this question, on the sphere: digits, wine, breast cancer, by two classes at a time.

Every feature is centred (and divided by its standard deviation where units differ), rows are projected onto principal
components and divided by their norms, labels are folded in. The data come with scikit-learn.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from sklearn import datasets

from papers.logistic_gd.settings import RealData
from shared.base.seeding import numpy_generator


def two_classes(source: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Problems of a source: features (n, p) and which of two classes each row is, (n,) bool.

    Raises:
        ValueError: unknown source.
    """
    if source not in LOADERS:
        raise ValueError(f"unknown source '{source}'; known are {', '.join(LOADERS)}")
    x, classes = LOADERS[source](return_X_y=True)
    if source in ("wine", "breast cancer"):
        x = x / x.std(0)
    if source == "digits":
        yield x, classes % 2 == 0
        return
    for one, other in combinations(np.unique(classes), 2):
        rows = np.isin(classes, (one, other))
        yield x[rows], classes[rows] == one


LOADERS = {
    "digits": datasets.load_digits,  # even against odd
    "digit pairs": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
}


def on_sphere(x: np.ndarray, num_components: int) -> np.ndarray:
    """Rows of x (n, p), centred, on `num_components` principal components, each of norm one.

    Raises:
        ValueError: the rows spread over fewer dimensions.
    """
    centred = x - x.mean(0)
    _, spread, components = np.linalg.svd(centred, full_matrices=False)
    if (rank := int((spread > 1e-9 * spread[0]).sum())) < num_components:
        raise ValueError(f"the rows spread over {rank} dimensions only, so {num_components} components are too many")
    x = centred @ components[:num_components].T
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def real_sets(settings: RealData, dim: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All problems of a source in `dim` dimensions, each with `num_draws` draws of flipped labels.

    Returns:
        z (S, n, dim), labels folded in, and counts (S, n); the rows of smaller problems end with rows of count zero.
    """
    parts = []
    for problem, (x, positive) in enumerate(two_classes(settings.source)):
        rows = on_sphere(x, dim)
        for draw in range(settings.num_draws if noise else 1):
            rng = numpy_generator(seed, "label_noise", settings.source, dim, f"{noise:g}", problem, draw)
            labels = np.where(positive ^ (rng.random(len(rows)) < noise), 1.0, -1.0)
            parts.append(labels[:, None] * rows)
    size = max(map(len, parts))
    z = np.stack([np.pad(part, ((0, size - len(part)), (0, 0))) for part in parts])
    counts = np.stack([np.arange(size) < len(part) for part in parts]).astype(float)
    return z, counts

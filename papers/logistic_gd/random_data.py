"""Random data sets that have a minimiser: equal norms in any dimension, unequal ones on the line."""

from dataclasses import dataclass

import numpy as np

from papers.logistic_gd.logistic import hessian, is_separable, newton
from shared.base.seeding import numpy_generator


@dataclass(frozen=True, eq=False)
class Batch:
    """S data sets with a minimiser, and how many were drawn for them.

    Args:
        z: (S, n, d). weights: (S, n). w_star: (S, d). eigenvalues: of the Hessian there, (S, d) ascending.
        num_drawn: S, num_separable and num_open together.
        num_separable: draws without a minimiser, as a w shows that separates them.
        num_open: draws of which neither is known: Newton's method ends without a minimiser, yet no such w was found.
    """

    z: np.ndarray
    weights: np.ndarray
    w_star: np.ndarray
    eigenvalues: np.ndarray
    num_drawn: int
    num_separable: int
    num_open: int

    @property
    def sharpness(self) -> np.ndarray:
        return self.eigenvalues[:, -1]


def on_sphere(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Uniform unit vectors, (*shape)."""
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def draw(kind: str, rng: np.random.Generator, num: int, n: int, d: int, flip: float, max_count: int):
    """Rows (num, n, d) of norm one, labels folded in, and counts (num, n).

    uniform: directions and labels independent. teacher: labels of a linear teacher, a share `flip` of them flipped.
    skewed: as uniform, with log-uniform counts from 1 to `max_count`.
    """
    z = on_sphere(rng, num, n, d)
    if kind == "teacher":
        teacher = on_sphere(rng, num, 1, d)
        labels = np.where((z * teacher).sum(-1) < 0, -1.0, 1.0) * np.where(rng.random((num, n)) < flip, -1.0, 1.0)
        z = z * labels[..., None]
    counts = np.ones((num, n))
    if kind == "skewed":
        counts = np.floor(np.exp(rng.uniform(0, np.log(max_count + 1), (num, n))))
    return z, counts


def with_minimiser(z: np.ndarray, counts: np.ndarray) -> Batch:
    """Those of the data sets z (S, n, d) with counts (S, n) that have a minimiser; rows of count zero do not count."""
    return _batch(z, counts, *_newton(z, counts))


def draw_with_minimiser(make, num_sets: int, max_batches: int = 400) -> Batch:
    """The first `num_sets` sets with a minimiser of batches that `make(index)` draws as (z, counts).

    Draws after the last of them are not counted.

    Raises:
        ValueError: too few such sets in `max_batches` batches.
    """
    drawn, kept = [], 0
    for index in range(max_batches):
        z, counts = make(index)
        w, found = _newton(z, counts)
        drawn.append((z, counts, w, found))
        kept += int(found.sum())
        if kept >= num_sets:
            arrays = [np.concatenate(parts) for parts in zip(*drawn, strict=True)]
            end = np.flatnonzero(arrays[-1])[num_sets - 1] + 1
            return _batch(*(array[:end] for array in arrays))
    raise ValueError(f"only {kept} of {num_sets} sets are non-separable in {max_batches} batches; raise n over d")


def _newton(z: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return newton(z, counts / counts.sum(-1, keepdims=True))


def _batch(z: np.ndarray, counts: np.ndarray, w: np.ndarray, found: np.ndarray) -> Batch:
    failed = zip(z[~found], counts[~found], w[~found], strict=True)
    separable = sum(is_separable(rows[n > 0], end) for rows, n, end in failed)
    z, weights, w = z[found], (counts / counts.sum(-1, keepdims=True))[found], w[found]
    eigenvalues = np.linalg.eigvalsh(hessian(w[:, None], z, weights)[:, 0])
    return Batch(z, weights, w, eigenvalues, len(found), separable, int((~found).sum()) - separable)


def starts_around(rng: np.random.Generator, w_star: np.ndarray, num_starts: int) -> np.ndarray:
    """Starts (S, num_starts, d): zero, and the others uniform in the ball of radius 2 |w*| + 2 around w*."""
    num_sets, d = w_star.shape
    radius = (2 * np.linalg.norm(w_star, axis=1) + 2)[:, None, None]
    share = rng.random((num_sets, num_starts - 1, 1)) ** (1 / d)
    around = w_star[:, None] + radius * share * on_sphere(rng, num_sets, num_starts - 1, d)
    return np.concatenate([np.zeros((num_sets, 1, d)), around], axis=1)


def line_sets(seed: int, num_sets: int) -> Batch:
    """Sets on the line with 2 to 6 distinct magnitudes over three decades and log-uniform counts up to 100."""

    def make(index: int):
        rng = numpy_generator(seed, "line", index)
        size = (num_sets, 6)
        z = 10 ** rng.uniform(-3, 0, size) * rng.choice([-1.0, 1.0], size)
        counts = np.floor(np.exp(rng.uniform(0, np.log(101), size)))
        dropped = np.arange(6) >= rng.integers(2, 7, (num_sets, 1))
        z[dropped], counts[dropped] = 0.0, 0.0  # a row of zero pulls nowhere
        z /= np.abs(z).max(1, keepdims=True)
        return z[..., None], counts

    return draw_with_minimiser(make, num_sets)

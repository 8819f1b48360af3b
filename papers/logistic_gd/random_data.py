"""Random data sets that have a minimiser: equal norms in any dimension, unequal ones on the line, digits."""

from dataclasses import dataclass

import numpy as np

from papers.logistic_gd.logistic import Data, hessian, is_separable, make_data, newton
from shared.base.seeding import numpy_generator

NEWTON_STEPS = 120  # a minimiser within MAX_MARGIN takes fewer than 20; separable sets take all
MAX_MARGIN = 30  # of a row at the minimiser: from 37 on GD, whose pulls are exact to 1e-16, would not see it


@dataclass(frozen=True, eq=False)
class Batch:
    """S data sets with a minimiser: z (S, n, d), weights (S, n), w_star (S, d), eigenvalues (S, d) ascending."""

    z: np.ndarray
    weights: np.ndarray
    w_star: np.ndarray
    eigenvalues: np.ndarray
    num_drawn: int
    num_separable: int

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


def draw_with_minimiser(make, num_sets: int, max_batches: int = 400) -> Batch:
    """The first `num_sets` non-separable sets of batches that `make(index)` draws as (z, counts).

    A set is taken if its minimiser is found and has no margin beyond MAX_MARGIN. What is left out counts as separable
    where a linear program says so.

    Raises:
        ValueError: too few non-separable sets in `max_batches` batches.
    """
    parts, drawn, separable, kept = [], 0, 0, 0
    for index in range(max_batches):
        z, counts = make(index)
        weights = counts / counts.sum(-1, keepdims=True)
        w, found = newton(z, weights, NEWTON_STEPS)
        separable += sum(is_separable(one) for one in z[~found])
        drawn += len(z)
        seen = np.abs(w[:, None] @ z.swapaxes(-1, -2)).max((-1, -2)) < MAX_MARGIN
        room = np.flatnonzero(found & seen)[: num_sets - kept]
        kept += len(room)
        parts.append((z[room], weights[room], w[room]))
        if kept == num_sets:
            z, weights, w = (np.concatenate(p) for p in zip(*parts, strict=True))
            eigenvalues = np.linalg.eigvalsh(hessian(w[:, None], z, weights)[:, 0])
            return Batch(z, weights, w, eigenvalues, drawn, separable)
    raise ValueError(f"only {kept} of {num_sets} sets are non-separable in {max_batches} batches; raise n over d")


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


def digits_data(num_components: int, label_noise: float, seed: int) -> Data:
    """Even against odd digits: centred, projected, normalised to norm one, with a share of labels flipped.

    Raises:
        ValueError: the rows are separable, as make_data says.
    """
    from shared.data.digits import load_digits  # loads torch; only this one needs it

    digits = load_digits("unit")
    pixels = np.concatenate([part.numpy().reshape(len(part), -1) for part in (digits.train_images, digits.test_images)])
    classes = np.concatenate([digits.train_labels.numpy(), digits.test_labels.numpy()])
    centred = pixels.astype(float) - pixels.mean(0, dtype=float)
    components = np.linalg.svd(centred, full_matrices=False)[2][:num_components]
    x = centred @ components.T
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    flipped = numpy_generator(seed, "label_noise", num_components, f"{label_noise:g}").random(len(x)) < label_noise
    labels = np.where((classes % 2 == 0) ^ flipped, 1.0, -1.0)
    return make_data(x, labels, sphere=True)

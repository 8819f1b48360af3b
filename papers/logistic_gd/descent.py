"""Gradient descent as a map on many points, step sizes and data sets at once; shapes as in `logistic`."""

import numpy as np

from papers.logistic_gd.logistic import namespace, wrong_side


def gd_step(w, z, weights, eta):
    """w - eta grad L(w); `eta` broadcasts against (S, B, 1)."""
    return w + eta * (wrong_side(w, z, weights) @ z)


def descend(w, z, weights, eta, num_steps: int):
    """w after `num_steps` steps; `gd_step` in place, to the same bits, without its temporaries."""
    xp, transposed, weights = namespace(w), z.swapaxes(-1, -2), weights[..., None, :]
    for _ in range(num_steps):
        pull = w @ transposed
        pull *= 0.5
        xp.tanh(pull, out=pull)
        pull *= -0.5
        pull += 0.5
        pull *= weights
        w = w + eta * (pull @ z)
    return w


def orbit(w: np.ndarray, z: np.ndarray, weights: np.ndarray, eta, num_steps: int) -> np.ndarray:
    """The points at steps 0..num_steps, (num_steps + 1, S, B, d)."""
    points = np.empty((num_steps + 1, *w.shape))
    points[0] = w
    for step in range(num_steps):
        points[step + 1] = gd_step(points[step], z, weights, eta)
    return points

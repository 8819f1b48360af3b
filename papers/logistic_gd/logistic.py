"""The logistic loss on rows with counts, its derivatives, its minimiser, and the data it accepts.

Labels are folded into the rows: z_i = y_i x_i. A data set is its distinct rows and how often each occurs, so that
ten thousand copies cost as much as one. Shapes: S data sets (any leading axes, or none), m rows, B points, d
dimensions; z (S, m, d), weights (S, m) summing to one, w (S, B, d). Arrays are numpy or torch, always float64.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit

GRAD_TOLERANCE = 1e-13  # of the gradient's norm at the minimiser, absolute
MAX_CONDITION = 1e12  # of the Hessian at a minimiser that float64 can tell from none
NEWTON_STEPS = 120  # where there is a minimiser, fewer than 20 are enough; on separable sets all are taken
NORM_TOLERANCE = 1e-9  # within which all rows have to have one norm to lie on a sphere


@dataclass(frozen=True, eq=False)
class Data:
    """Distinct rows z (m, d), labels folded in, and integer counts (m,)."""

    z: np.ndarray
    counts: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Share of each row, (m,)."""
        return self.counts / self.counts.sum()

    @property
    def num_examples(self) -> int:
        return int(self.counts.sum())


def make_data(rows: np.ndarray, labels: np.ndarray | None = None, counts=None, sphere: bool = False) -> Data:
    """A checked data set; no intercept is added.

    Args:
        rows: x_i, (m, d), or z_i if `labels` is omitted.
        labels: y_i in {-1, +1}, (m,).
        counts: how often each row occurs, (m,), positive integers; one each if omitted.
        sphere: refuse rows whose norms differ.
    Raises:
        ValueError: not finite; wrong labels or counts; unequal norms although `sphere`; rows that do not span R^d, or
            separable data, for both of which no unique minimiser exists; or of which float64 cannot tell.
    """
    z = np.atleast_2d(np.asarray(rows, float))
    if not np.isfinite(z).all():
        raise ValueError("rows contain nan or infinity; remove these examples")
    if labels is not None:
        labels = np.asarray(labels, float)
        wrong = labels[~np.isin(labels, (-1.0, 1.0))]
        if wrong.size:
            raise ValueError(f"labels have to be -1 or +1; got {wrong[0]:g}")
        z = z * labels[:, None]
    counts = np.ones(len(z), int) if counts is None else np.asarray(counts)
    if len(counts) != len(z) or (counts < 1).any() or (counts != np.round(counts)).any():
        raise ValueError("counts have to be positive integers, one per row")
    norms = np.linalg.norm(z, axis=1)
    if sphere and np.ptp(norms) > NORM_TOLERANCE:
        raise ValueError(
            f"rows have norms from {norms.min():.9g} to {norms.max():.9g}, which is no sphere; "
            "normalise them (an intercept column counts in the norm)"
        )
    if np.linalg.matrix_rank(z) < z.shape[1]:
        raise ValueError(f"the rows span less than all {z.shape[1]} dimensions; project them onto their span first")
    data = Data(z, counts.astype(int))
    minimizer(data)
    return data


def is_separable(z: np.ndarray, *hints: np.ndarray) -> bool:
    """Whether some w is known that has z_i.w >= 0 for all i and > 0 for one; z is (m, d), `hints` are tried too.

    Linear programs propose w, and their tolerance of 1e-7 decides nothing: a w counts if no margin of a row, divided by
    its norm, is negative beyond the rounding of the sum that it is. Where the answer is no, there may still be one that
    was not found; but then Newton's method finds no minimiser either.
    """
    rows = z[np.abs(z).max(1) > 0]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    m, d = rows.shape
    ends = [(-1, 1)] * d
    # the sum of all margins is positive exactly if such a w exists, the least one if it may be > 0 for all
    whole = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(m), bounds=ends, method="highs")
    apart = np.hstack([-rows, np.ones((m, 1))])
    least = linprog([0.0] * d + [-1.0], A_ub=apart, b_ub=np.zeros(m), bounds=[*ends, (0, 1)], method="highs")
    found = [program.x[:d] for program in (whole, least) if program.x is not None]
    return any(_separates(rows, w) for w in (*found, *hints))


def _separates(rows: np.ndarray, w: np.ndarray) -> bool:
    margins, size = rows @ w, len(w) * np.finfo(float).eps * np.linalg.norm(w)
    return bool(margins.min() >= -size and margins.max() > 1e-7 * np.linalg.norm(w))


def namespace(array):
    """numpy, or torch for a tensor; both have the few functions used here under one name."""
    if isinstance(array, np.ndarray):
        return np
    import torch  # only where a step asked for an accelerator

    return torch


def wrong_side(w, z, weights):
    """weights_i sigma(-z_i.w) at every point, (S, B, m): by how much each row pulls.

    In tanh form: absolute error below 1e-16, no overflow at any margin.
    """
    margins = w @ z.swapaxes(-1, -2)
    return (0.5 - 0.5 * namespace(margins).tanh(0.5 * margins)) * weights[..., None, :]


def loss(w, z, weights):
    """Mean logistic loss, (S, B)."""
    margins = w @ z.swapaxes(-1, -2)
    xp = namespace(margins)
    return (xp.logaddexp(xp.zeros_like(margins), -margins) * weights[..., None, :]).sum(-1)


def gradient(w, z, weights):
    """Gradient of the mean loss, (S, B, d)."""
    return -(wrong_side(w, z, weights) @ z)


def hessian(w, z, weights):
    """Hessian of the mean loss, (S, B, d, d)."""
    margins = w @ z.swapaxes(-1, -2)
    curvature = 0.25 * (1 - namespace(margins).tanh(0.5 * margins) ** 2) * weights[..., None, :]  # sigma sigma(-)
    rows = z[..., None, :, :]  # (S, 1, m, d)
    return (rows * curvature[..., None]).swapaxes(-1, -2) @ rows


def newton(z: np.ndarray, weights: np.ndarray, max_steps: int = NEWTON_STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Minimisers of S data sets at once by damped Newton.

    A full step is taken where it lowers the loss by a quarter of what its slope promises, else the share log(1 + c) / c
    of it, c being the largest change of a margin: that one lowers the logistic loss from everywhere.

    Args:
        z: (S, m, d); rows of weight zero do not count.
        weights: (S, m).
    Returns:
        Points (S, d), and whether each is known to be the minimiser (S,): gradient below 1e-13, and a last step that
        changes no margin by 1e-6. On separable data every Newton step changes some margin by 1 or more, so these end
        with False, and so does what float64 cannot tell from them: a Hessian with a condition number above 1e12.
    Source: Bach 2010, arXiv 0910.4627, proposition 1 (the safe step).
    """
    w = np.zeros((*z.shape[:-2], 1, z.shape[-1]))
    for _ in range(max_steps):
        step, change, grad, _ = _newton_step(w, z, weights)
        full = loss(w + step, z, weights) <= loss(w, z, weights) + 0.25 * (grad * step).sum(-1)
        w = w + np.where(full, 1.0, np.log1p(change) / np.maximum(change, 1e-300))[..., None] * step
        if (change < 1e-14 * (1 + np.abs(w @ z.swapaxes(-1, -2)).max(-1))).all():
            break
    _, change, grad, h = _newton_step(w, z, weights)
    eigenvalues = np.linalg.eigvalsh(h)[..., 0, :]
    found = (np.linalg.norm(grad, axis=-1) < GRAD_TOLERANCE) & (change < 1e-6)
    return w[..., 0, :], found[..., 0] & (eigenvalues[..., 0] * MAX_CONDITION > eigenvalues[..., -1])


def _newton_step(w, z, weights):
    """Newton's step (S, 1, d), the largest change of a margin by it (S, 1), gradient (S, 1, d), Hessian (S, 1, d, d).

    Unlike `wrong_side`, which is absolute, pulls are exact to relative rounding, so that those of large margins count.
    """
    margins = w @ z.swapaxes(-1, -2)
    pull = expit(-margins) * weights[..., None, :]
    grad, rows = -(pull @ z), z[..., None, :, :]
    h = (rows * (pull * expit(margins))[..., None]).swapaxes(-1, -2) @ rows
    # keeps the vanishing Hessians of separable data invertible; below rounding for all others
    ridge = 1e-15 * np.trace(h, axis1=-2, axis2=-1)[..., None, None] + 1e-300
    step = np.nan_to_num(np.linalg.solve(h + ridge * np.eye(z.shape[-1]), -grad[..., None])[..., 0])
    moved = np.abs(step @ z.swapaxes(-1, -2)) * (weights[..., None, :] > 0)
    return step, moved.max(-1), grad, h


@dataclass(frozen=True, eq=False)
class Solution:
    """Minimiser of a data set: w (d,), eigenvalues of the Hessian there, ascending (d,), and the gradient's norm."""

    w: np.ndarray
    eigenvalues: np.ndarray
    grad_norm: float

    @property
    def sharpness(self) -> float:
        """lambda, the largest eigenvalue; GD is locally stable for eta < 2 / lambda."""
        return float(self.eigenvalues[-1])

    def eta(self, gamma: float | np.ndarray) -> float | np.ndarray:
        """Step size gamma / lambda.

        Raises:
            ValueError: gamma is not positive.
        """
        if not np.all(np.asarray(gamma) > 0):
            raise ValueError(f"gamma has to be positive; got {gamma}")
        return gamma / self.sharpness


def minimizer(data: Data) -> Solution:
    """The minimiser, with the gradient certified below 1e-13.

    Raises:
        ValueError: the data are separable, or float64 cannot decide whether they are.
    """
    w, found = newton(data.z, data.weights)
    if not found:
        if is_separable(data.z[data.counts > 0], w):
            raise ValueError("the data are separable, so the loss has no minimiser; add examples or label noise")
        raise ValueError(
            f"float64 cannot decide whether the data have a minimiser: Newton's method ends at |w| = "
            f"{np.linalg.norm(w):.3g}, where some direction is all but flat; add examples on its wrong side"
        )
    grad = gradient(w[None], data.z, data.weights)[0]
    eigenvalues = np.linalg.eigvalsh(hessian(w[None], data.z, data.weights)[0])
    return Solution(w, eigenvalues, float(np.linalg.norm(grad)))

"""Toy losses of the paper, each with its gradient, for many points at once.

Shapes: M points ("lanes"), D coordinates. A landscape is a function x (M, D), step -> loss (M,), gradient (M, D); only
sampled losses look at the step.
"""

from collections.abc import Callable

import numpy as np

Landscape = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def quartic(x: np.ndarray, step: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """x^2 + x^4 (Figure E.1), D = 1."""
    return (x**2 + x**4)[:, 0], 2 * x + 4 * x**3


def rosenbrock(x: np.ndarray, step: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(x - 1)^2 + 100 (y - x^2)^2 (Figures 1c, 1d, H.2, H.3), D = 2."""
    u, v = x[:, 0], x[:, 1] - x[:, 0] ** 2
    return (u - 1) ** 2 + 100 * v**2, np.stack([2 * (u - 1) - 400 * u * v, 200 * v], axis=1)


def many_minima(x: np.ndarray, step: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """0.01 x^2 + sin(2x)^2 (1 - exp(-x^2 / 4)), D = 1: sharp minima with a flat, global one at 0.

    A stand-in: the formula of the paper's Eq. 67 could not be retrieved.
    """
    e, sine = np.exp(-(x**2) / 4), np.sin(2 * x)
    loss = 0.01 * x**2 + sine**2 * (1 - e)
    return loss[:, 0], 0.02 * x + 2 * np.sin(4 * x) * (1 - e) + sine**2 * (x / 2) * e


def diabetes(largest_eigenvalue: float) -> tuple[np.ndarray, np.ndarray]:
    """Design (442, 10) and target (442,) of scikit-learn's diabetes data.

    The target is standardised and the design scaled so that A^T A has the given largest eigenvalue. The paper's data,
    cited as the Pima study, are not part of any installation.
    Source: Efron et al. 2004, as bundled with scikit-learn.
    """
    from sklearn.datasets import load_diabetes

    a, b = load_diabetes(return_X_y=True)
    return a * np.sqrt(largest_eigenvalue / np.linalg.eigvalsh(a.T @ a)[-1]), (b - b.mean()) / b.std()


def least_squares(a: np.ndarray, b: np.ndarray) -> tuple[Landscape, np.ndarray, float]:
    """1/2 |A x - b|^2 with its minimiser (D,) and its minimum.

    Args:
        a: (N, D) of full column rank. b: (N,).
    """
    solution = np.linalg.lstsq(a, b, rcond=None)[0]

    def landscape(x: np.ndarray, step: int = 0) -> tuple[np.ndarray, np.ndarray]:
        residual = x @ a.T - b
        return 0.5 * np.square(residual).sum(1), residual @ a

    return landscape, solution, float(landscape(solution[None])[0][0])


def rotated_quadratics(matrices: np.ndarray, targets: np.ndarray) -> tuple[Landscape, np.ndarray]:
    """A landscape whose lane i is 1/2 |M_i x - y_i|^2 in the basis of M_i's right singular vectors; their conditions.

    There the loss is 1/2 |s z - U^T y|^2 with s the singular values. Every method here is invariant to rotations, so
    losses are those of the problem itself, at a D-th of the cost.

    Args:
        matrices: (N, D, D). targets: (N, D).

    Returns:
        The landscape, for R lanes a problem, problem by problem: (N R, D); condition numbers of M^T M, (N,).
    """
    u, s, _ = np.linalg.svd(matrices)
    rotated = np.einsum("nij,ni->nj", u, targets)

    def landscape(z: np.ndarray, step: int = 0) -> tuple[np.ndarray, np.ndarray]:
        residual = s[:, None] * z.reshape(len(s), -1, s.shape[1]) - rotated[:, None]
        gradient = s[:, None] * residual
        return 0.5 * np.square(residual).sum(2).reshape(-1), gradient.reshape(z.shape)

    return landscape, (s[:, 0] / s[:, -1]) ** 2

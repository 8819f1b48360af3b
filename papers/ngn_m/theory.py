"""The paper's theorems as numbers: bounds, the averaged form of NGN-M with sampled rows, the companion matrix.

Notation: c learning rate, L smoothness, lam with beta = lam / (1 + lam), K updates, s2_int = E[f* - f_S*] and
s2_pos = E[f_S*] with f_S the loss of a sample, r2 = |x_0 - x*|^2.

Source: Islamov et al. 2025, arXiv 2508.15071, Theorems 4.3, D.2, D.5, C.1, C.2, E.5. The exponents were read there; the
constants were derived, as the displayed formulas could not be retrieved.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from papers.ngn_m.descents import ngn_step


def momentum_limit(c: np.ndarray, smooth: float) -> np.ndarray:
    """The largest lam of Theorem 4.3: min{c L, 1/2 / ((1 + c L)(1 + 2 c L))}."""
    cl = c * smooth
    return np.minimum(cl, 0.5 / ((1 + cl) * (1 + 2 * cl)))


def convex_bound(c, smooth: float, r2: float, num_steps, s2_int: float, s2_pos: float):
    """Theorem 4.3, convex and L-smooth: bound on E f(mean of the iterates) - f*."""
    cl = c * smooth
    grown = (1 + cl) * (1 + 2 * cl)
    return (
        r2 * grown / (c * num_steps)
        + 8 * cl * (1 + cl) * (1 + 2 * cl) * s2_int
        + 2 * cl * np.maximum(0, 2 * cl - 1) * s2_pos
    )


def interpolation_bound(c, smooth: float, r2: float, num_steps):
    """Theorem D.2, interpolation, c <= min{1 / (4 Lam L), 1 / (2 L)} and lam <= Lam: bound on E f(mean) - f*."""
    return 2 * (1 + c * smooth) * r2 / (c * num_steps)


def sampled_gaps(
    a: np.ndarray,
    b: np.ndarray,
    offset: float,
    c: Callable[[int], np.ndarray],
    lam: Callable[[int], np.ndarray],
    lanes: np.ndarray,
    num_seeds: int,
    log_at: Sequence[int],
    rng: np.random.Generator,
) -> np.ndarray:
    """f(mean of the iterates) - f* of NGN-M on sampled rows, (len(log_at), lanes, seeds).

    The loss of row i is 1/2 (a_i x - b_i)^2 + offset, from x = 0. The iterates are averaged with weights c_k, the plain
    mean where c is constant. The averaged form of the method is used, z <- z - gamma g,
    x <- (lam x + z) / (1 + lam); lanes share the rows of a seed.

    Args:
        a: (N, D). c, lam: step -> (lanes,). lanes: (lanes,) of anything, for their number. log_at: ascending.
    """
    size, width = len(lanes), a.shape[1]
    gap, sums = full_gap(a, b), np.zeros((size, num_seeds, width))
    x, weight, found, logged = np.zeros_like(sums), np.zeros(size), [], set(log_at)
    z = x.copy()
    for step in range(max(log_at)):
        rate = c(step)
        sums, weight = sums + rate[:, None, None] * x, weight + rate
        rows = rng.integers(len(a), size=num_seeds)
        residual = np.einsum("lsd,sd->ls", x, a[rows]) - b[rows]
        f, g = 0.5 * residual**2 + offset, residual[..., None] * a[rows]
        gamma = ngn_step(rate[:, None], f, np.square(g).sum(-1))
        z = z - gamma[..., None] * g
        following = lam(step + 1)[:, None, None]
        x = (following * x + z) / (1 + following)
        if step + 1 in logged:
            found.append(gap(sums / weight[:, None, None]))
    return np.array(found)


def full_gap(a: np.ndarray, b: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """x (..., D) -> f(x) - f* of f = mean over rows of 1/2 (a_i x - b_i)^2; exact: 1/2 |A (x - x*)|^2 / N."""
    solution = np.linalg.lstsq(a, b, rcond=None)[0]
    return lambda x: 0.5 * np.square((x - solution) @ a.T).mean(-1)


def random_rows(num_rows: int, width: int, noise: float, rng: np.random.Generator) -> dict:
    """A least-squares problem of rows: a (N, D), b = A x + noise, with smoothness, r2 from 0, and s2_int (offset 0)."""
    a = rng.standard_normal((num_rows, width))
    b = a @ rng.standard_normal(width) + noise * rng.standard_normal(num_rows)
    solution = np.linalg.lstsq(a, b, rcond=None)[0]
    return {
        "a": a,
        "b": b,
        "smooth": float(np.square(a).sum(1).max()),
        "r2": float(solution @ solution),
        "s2_int": float(0.5 * np.square(a @ solution - b).mean()),
    }


# --- Theorem E.5: one dimension, f = x^2 (1 + p(x)^2) with C (1 + p^2) >= x p p' ----------------------------------


def smallest_momentum(constant: float) -> float:
    """The beta from which any c >= 1/2 converges: ((2 (1 + C) - 1) / (2 (1 + C) + 1))^2; 9/25 for C = 1."""
    twice = 2 * (1 + constant)
    return ((twice - 1) / (twice + 1)) ** 2


def spectral_radius(ghat: np.ndarray, beta: float) -> np.ndarray:
    """Largest modulus of the eigenvalues of [[1 + beta - (1 - beta) ghat, -beta], [1, 0]]."""
    trace = 1 + beta - (1 - beta) * np.asarray(ghat, dtype=float)
    root = np.sqrt((trace**2 - 4 * beta).astype(complex))
    return np.maximum(np.abs(trace + root), np.abs(trace - root)) / 2


# --- Theorems C.1 and C.2: NGN-D with c_j = 1 / (2 L_j) -----------------------------------------------------------


def separable(scale: np.ndarray, convex: bool) -> tuple[Callable, np.ndarray, float]:
    """sum_j a_j phi(x_j) with gradient, the coordinates' smoothness L_j = 2 a_j, and mu of the PL condition.

    phi is x^2 / (1 + x^2), not convex (mu is 0), or x^2 (mu = 2 min a_j).
    """

    def landscape(x: np.ndarray) -> tuple[float, np.ndarray]:
        if convex:
            return float((scale * x**2).sum()), 2 * scale * x
        return float((scale * x**2 / (1 + x**2)).sum()), 2 * scale * x / (1 + x**2) ** 2

    return landscape, 2 * scale, 2 * float(scale.min()) if convex else 0.0


def ngn_d_path(landscape: Callable, c: np.ndarray, x: np.ndarray, num_steps: int) -> Iterator[tuple[float, float]]:
    """(loss, |grad|^2) before each update x_j <- x_j - c_j g_j / (1 + c_j g_j^2 / (2 f)), and after the last."""
    for _ in range(num_steps):
        f, g = landscape(x)
        yield f, float(g @ g)
        x = x - ngn_step(c, f, g**2) * g
    f, g = landscape(x)
    yield f, float(g @ g)

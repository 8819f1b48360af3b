"""Readout maps phi: rank of phi(Q K^T) (principle 1), near-zero sets and what a query can ignore (principle 2).

Shapes: T keys, n their width.
"""

from collections.abc import Iterator
from math import comb, exp, log, log1p

import numpy as np
import torch
from scipy.optimize import nnls
from scipy.special import ndtr

from papers.sequence_framework.settings import Cover, Ranks
from shared.base.seeding import numpy_generator, torch_generator
from shared.models.mixers.readouts import READOUTS

POWERS = {"identity": 1, "square": 2, "cube": 3}
INF = float("inf")


def predicted_rank(phi: str, n: int, num_keys: int) -> int:
    """Rank of phi(Q K^T) for generic Q, K (T, n): C(n + p - 1, p) for x^p, else T; never above T."""
    power = POWERS.get(phi)
    return num_keys if power is None else min(num_keys, comb(n + power - 1, power))


def numerical_rank(matrix: np.ndarray, tolerance: float) -> int:
    """Number of singular values above `tolerance` times the largest."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > tolerance * values[0]).sum())


def rank_rows(settings: Ranks) -> Iterator[dict]:
    """phi(q_i . k_j / sqrt(n)) of Gaussian q and k, A = I, without a mask (a mask alone has full rank)."""
    for n, num_keys in settings.shapes:
        for seed in range(settings.num_seeds):
            draw = torch_generator(seed, "rank", n, num_keys)
            q, k = (torch.randn(num_keys, n, generator=draw, dtype=torch.float64) for _ in range(2))
            for phi in settings.readouts:
                rank = numerical_rank(READOUTS[phi](q @ k.T / n**0.5).numpy(), settings.tolerance)
                row = {"phi": phi, "n": n, "T": num_keys, "seed": seed, "rank": rank}
                yield row | {"predicted": predicted_rank(phi, n, num_keys), "linear": phi == "identity"}


def near_zero_set(phi: str, epsilon: float) -> tuple[float, float]:
    """The interval of x with |phi(x)| <= epsilon, in closed form.

    Raises:
        ValueError: a readout whose set is no single interval here, or is not known in closed form.
    """
    sets = {
        "identity": (-epsilon, epsilon),
        "relu": (-INF, epsilon),
        "relu2": (-INF, epsilon**0.5),
        "exp": (-INF, log(epsilon)),
        "softplus": (-INF, log(exp(epsilon) - 1)),
        "sigmoid": (-INF, log(epsilon) - log1p(-epsilon)),
        "elu": (log1p(-epsilon), epsilon),
        "elu1": (-INF, log(epsilon)),
    }
    if phi not in sets:
        raise ValueError(f"no closed form of the near-zero set of {phi!r}; known are {', '.join(sets)}")
    return sets[phi]


def zero_set_rows(epsilon: float, grid: np.ndarray) -> Iterator[dict]:
    """phi on a grid, with the ends of its near-zero set and the set's probability under N(0, 1)."""
    for phi in ("identity", "elu", "relu", "relu2", "exp", "softplus", "sigmoid", "elu1"):
        low, high = near_zero_set(phi, epsilon)
        # the smaller tail: a difference of two numbers near 1 would lose it
        mass = float(ndtr(high) - ndtr(low)) if high > 0 else float(ndtr(high)) - float(ndtr(low))
        values = READOUTS[phi](torch.from_numpy(grid)).numpy()
        inside = (grid >= low) & (grid <= high)
        for x, value, near in zip(grid, values, inside, strict=True):
            row = {"phi": phi, "x": float(x), "value": float(value), "near_zero": bool(near)}
            yield row | {"low": low, "high": high, "probability": mass}


def cover_count(num_keys: int, n: int) -> int:
    """Subsets of T points in general position that a hyperplane through 0 cuts off: 2 sum_{m<n} C(T - 1, m) (Cover)."""
    return 2 * sum(comb(num_keys - 1, m) for m in range(n)) if num_keys else 1


def linear_count(num_keys: int, n: int) -> int:
    """Kept subsets that zeros of a linear readout leave: at most n - 1 keys can be zeroed."""
    return sum(comb(num_keys, m) for m in range(min(n, num_keys + 1)))


def separable(keys: np.ndarray, kept: np.ndarray) -> bool:
    """Whether some q has q.k > 0 on the kept keys and q.k < 0 on the others; keys (T, n).

    By Gordan's alternative: there is none exactly if the signed keys have 0 as a convex combination, which non-negative
    least squares decides a hundred times faster than a linear program.
    """
    signed = np.where(kept[:, None], 1.0, -1.0) * keys
    _, distance = nnls(np.vstack([signed.T, np.ones(len(keys))]), np.append(np.zeros(keys.shape[1]), 1.0))
    return bool(distance > 1e-9)


def ignorable(keys: np.ndarray, kept: np.ndarray, tolerance: float = 1e-9) -> bool:
    """Whether some q has q.k = 0 on the keys that are not kept and q.k != 0 on each kept one."""
    ignored, n = keys[~kept], keys.shape[1]
    _, values, right = np.linalg.svd(ignored, full_matrices=True) if len(ignored) else (None, np.zeros(0), np.eye(n))
    null = right[int((values > tolerance).sum()) :]
    if not len(null):
        return False
    return bool((np.linalg.norm(keys[kept] @ null.T, axis=1) > tolerance).all())  # a generic q of the null space then


def cover_rows(settings: Cover) -> Iterator[dict]:
    """Shares of random subsets of T Gaussian keys that a query can keep, beside the counts.

    largest_ignored: the most keys that some query can ignore at once: n - 1 zeros, or a whole half-space.
    """
    for n in settings.ns:
        for ratio in settings.ratios:
            num_keys = round(ratio * n)
            rng = numpy_generator(0, "cover", n, num_keys)
            half = linear = 0
            for _ in range(settings.num_subsets):
                keys, kept = rng.standard_normal((num_keys, n)), rng.random(num_keys) < 0.5
                half, linear = half + separable(keys, kept), linear + ignorable(keys, kept)
            found = {"half-space": (half, cover_count), "linear": (linear, linear_count)}
            for readout, (hits, count) in found.items():
                half_space = readout == "half-space"
                share, exact = hits / settings.num_subsets, count(num_keys, n) / 2**num_keys
                error = (exact * (1 - exact) / settings.num_subsets) ** 0.5
                row = {"readout": readout, "n": n, "T": num_keys, "ratio": num_keys / n}
                row |= {
                    "num_subsets": settings.num_subsets,
                    "largest_ignored": num_keys if half_space else min(n - 1, num_keys),
                }
                yield row | {"measured": share, "exact": exact, "standard_error": error}

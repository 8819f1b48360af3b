"""The best element of a group for a table of scores, and relaxations of it that can be trained.

Shapes: N size of a space; leading dimensions are independent problems.
"""

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def best_permutation(scores: Tensor) -> Tensor:
    """Index (..., N) that maximises sum_i scores[i, index[i]]; scores (..., N, N).

    Raises:
        ValueError: scores that are not finite, such as those of a network with NaN weights.
    """
    _check_finite(scores)
    tables = scores.detach().to("cpu", torch.float64, copy=True).numpy()
    found = [linear_sum_assignment(_costs(table))[1] for table in tables.reshape(-1, *scores.shape[-2:])]
    return torch.from_numpy(np.array(found)).to(scores.device).reshape(scores.shape[:-1])


def _costs(table: np.ndarray) -> np.ndarray:
    """Costs with the same best assignment and a zero in each row and column, written over the table.

    The nearer they are to the optimum's reduced costs, the shorter are the solver's paths: large tables are reduced by
    the dual variables of entropic transport first.
    """
    costs = np.subtract(table.max(axis=1, keepdims=True), table, out=table)
    costs -= costs.min(axis=0)
    if len(costs) < 100:  # solved in less time than that takes
        return costs
    potentials = _potentials(costs)
    if np.isfinite(potentials).all():
        costs -= potentials
        costs -= costs.min(axis=1, keepdims=True)
        costs -= costs.min(axis=0)
    return costs


def _potentials(costs: np.ndarray, temperature: float = 0.02, rounds: int = 8, relaxation: float = 1.6) -> np.ndarray:
    """Dual variables of the columns in entropic transport, (N,); not finite where the iteration overflows.

    Args:
        temperature: in units of the mean cost. relaxation: 1 is Sinkhorn's iteration.
    Source: Thibault et al. 2017 (arXiv 1711.01851), over-relaxed Sinkhorn iterations.
    """
    temperature *= costs.mean()
    with np.errstate(all="ignore"):
        kernel = np.divide(costs, -temperature, dtype=np.float32, casting="same_kind")
        np.exp(kernel, out=kernel)
        rows, columns = np.ones((2, len(costs)), np.float32)
        for _ in range(rounds):
            rows *= (rows * (kernel @ columns)) ** -relaxation
            columns *= (columns * (rows @ kernel)) ** -relaxation
        return temperature * np.log(columns.astype(np.float64))


def _check_finite(scores: Tensor) -> None:
    if not all(math.isfinite(edge) for edge in scores.detach().aminmax()):  # nan spreads to both
        raise ValueError("scores of a matching are not finite; look for NaN or infinite weights")


def procrustes(scores: Tensor) -> Tensor:
    """Orthogonal O (..., N, N) that maximises sum O * scores: the polar factor, by SVD.

    With scores = A B^T, O minimises |A - O B|_F (Schoenemann 1966).
    """
    _check_finite(scores)
    u, _, vh = torch.linalg.svd(scores, full_matrices=False)
    return u @ vh


def polar(z: Tensor) -> Tensor:
    """Polar factor U V^T of z = U S V^T, (..., M, N) with M >= N and full rank.

    Its gradient is finite where singular values coincide, at z = I above all; torch's SVD gives NaN there.
    """
    return _Polar.apply(z)


class _Polar(torch.autograd.Function):
    """With K = U^T G V: dZ = U [(K - K^T) / (s_i + s_j)] V^T + (I - U U^T) G V diag(1/s) V^T."""

    @staticmethod
    def forward(ctx, z: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(z, full_matrices=False)
        ctx.save_for_backward(u, s, vh)
        return u @ vh

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        u, s, vh = ctx.saved_tensors
        v = vh.transpose(-2, -1)
        k = u.transpose(-2, -1) @ grad @ v
        inner = (k - k.transpose(-2, -1)) / (s[..., :, None] + s[..., None, :])
        found = u @ inner @ vh
        if u.shape[-2] > u.shape[-1]:
            scaled = (grad @ v) / s[..., None, :]
            found = found + (scaled - u @ (u.transpose(-2, -1) @ scaled)) @ vh
        return found


def straight_through_permutation(z: Tensor) -> Tensor:
    """The permutation matrix nearest to z, (..., N, N), whose gradient is passed on to z unchanged."""
    hard = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)[best_permutation(z)]
    return z + (hard - z).detach()


def sinkhorn(z: Tensor, rounds: int = 20) -> Tensor:
    """Doubly stochastic matrix from exp(z), (..., N, N): `rounds` times rows, then columns, divided by their sums.

    In log space, so that large entries do not overflow (Sinkhorn 1964; Cuturi 2013).
    """
    for _ in range(rounds):
        z = z - z.logsumexp(-1, keepdim=True)
        z = z - z.logsumexp(-2, keepdim=True)
    return z.exp()


def sinkhorn_start(permutation: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """log(P + U(0, 2 a)) entrywise, a = spread * sqrt(3) * sqrt(2 / (2 N)): strictly positive, near a permutation.

    Args:
        permutation: matrices (..., N, N). spread: relative to the standard deviation of Xavier's initialisation.
    """
    bound = 2 * spread * (3 / permutation.shape[-1]) ** 0.5
    noise = torch.rand(permutation.shape, generator=generator, dtype=permutation.dtype) * bound
    return (permutation + noise.to(permutation.device).clamp(min=1e-12)).log()

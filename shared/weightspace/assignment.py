"""The best element of a group for a table of scores, and relaxations of it that can be trained.

Shapes: N size of a space; leading dimensions are independent problems.
"""

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
    found = [linear_sum_assignment(_costs(table))[1] for table in _tables(scores)]
    return torch.from_numpy(np.stack(found)).to(scores.device).reshape(scores.shape[:-1])


def _costs(table: np.ndarray) -> np.ndarray:
    """Costs with the same best assignment and a zero in each row and column: the solver's paths are shorter then."""
    costs = table.max(axis=1, keepdims=True) - table
    costs -= costs.min(axis=0)
    return costs


def _check_finite(scores: Tensor) -> None:
    if not all(bool(edge.isfinite()) for edge in scores.aminmax()):  # nan spreads to both
        raise ValueError("scores of a matching are not finite; look for NaN or infinite weights")


def _tables(scores: Tensor) -> np.ndarray:
    return scores.detach().cpu().double().numpy().reshape(-1, *scores.shape[-2:])


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

"""Mixing coefficients alpha (B, H, T, T) of the matrix-state recurrences in closed form: o_i = sum_{j<=i} alpha_ij v_j.

O(T^2) memory, or O(T^2 K) for vector decays: for analysis and tests. Shapes: B batch, T time, H heads, K key width.
"""

import torch
from torch import Tensor


def decay_matrix(log_decay: Tensor) -> Tensor:
    """exp(sum of log_decay over j < t <= i) where j <= i, else 0; (B, T, H, ...) -> (B, H, ..., T, T)."""
    total = log_decay.movedim(1, -1).cumsum(-1)  # (B, H, ..., T)
    difference = total.unsqueeze(-1) - total.unsqueeze(-2)
    future = torch.ones(total.shape[-1], total.shape[-1], dtype=torch.bool, device=total.device).triu(1)
    return difference.masked_fill(future, float("-inf")).exp()


def linear_attention_coefficients(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """(q_i . k_j) decayed from j to i; q, k (B, T, H, K), log_decay (B, T, H) or (B, T, H, K)."""
    if log_decay.ndim == 3:
        return torch.einsum("bihk,bjhk->bhij", q, k) * decay_matrix(log_decay)
    return torch.einsum("bihk,bjhk,bhkij->bhij", q, k, decay_matrix(log_decay))


def delta_rule_coefficients(q: Tensor, k: Tensor, beta: Tensor, log_decay: Tensor | None) -> Tensor:
    """tril(q k^T) (I + diag(beta) stril(k k^T))^{-1} diag(beta), both products decayed from j to i.

    beta, log_decay (B, T, H). Source: Yang et al. 2024 (arXiv 2406.06484), the WY form of section 3.2.
    """
    decay = decay_matrix(torch.zeros_like(beta) if log_decay is None else log_decay)
    beta = beta.transpose(1, 2).unsqueeze(-1)  # (B, H, T, 1)
    reads = torch.einsum("bihk,bjhk->bhij", q, k) * decay
    overlaps = (torch.einsum("bihk,bjhk->bhij", k, k) * decay).tril(-1)
    system = torch.eye(q.shape[1], dtype=q.dtype, device=q.device) + beta * overlaps
    return torch.linalg.solve_triangular(system, reads, upper=False, left=False, unitriangular=True) * beta.mT

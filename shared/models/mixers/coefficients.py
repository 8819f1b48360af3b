"""Pre-activations p_ij = q_i^T A_i ... A_{j+1} b_j k_j in closed form for each structure of A_t, O(T^2) memory.

For analysis, tests and small models. Shapes: B batch, T time, H heads, K key width; p is (B, H, T, T), 0 where j > i.
"""

import torch
from torch import Tensor


def decay_matrix(log_decay: Tensor) -> Tensor:
    """exp(sum of log_decay over j < t <= i) where j <= i, else 0; (B, T, H, ...) -> (B, H, ..., T, T), real or complex.

    Differences of sums, masked before exp: factoring into exp(G_i) exp(-G_j) overflows over long ranges.
    """
    total = log_decay.movedim(1, -1).cumsum(-1)  # (B, H, ..., T)
    difference = total.unsqueeze(-1) - total.unsqueeze(-2)
    past = torch.ones(total.shape[-1], total.shape[-1], dtype=torch.bool, device=total.device).tril()
    return difference.masked_fill(~past, 0.0).exp() * past


def linear_attention_coefficients(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """(q_i . k_j) decayed from j to i; q, k (B, T, H, K), log_decay (B, T, H) or (B, T, H, K)."""
    if log_decay.ndim == 3:
        return torch.einsum("bihk,bjhk->bhij", q, k) * decay_matrix(log_decay)
    return torch.einsum("bihk,bjhk,bhkij->bhij", q, k, decay_matrix(log_decay))


def householder_coefficients(q: Tensor, k: Tensor, beta: Tensor, log_decay: Tensor | None) -> Tensor:
    """tril(q k^T) (I + diag(beta) stril(k k^T))^{-1}, both products decayed from j to i.

    The coefficients of A_t = exp(log_decay_t) (I - beta_t k_t k_t^T) for impulses k_j. beta, log_decay (B, T, H).
    Source: Yang et al. 2024 (arXiv 2406.06484), the WY form of section 3.2.
    """
    decay = decay_matrix(torch.zeros_like(beta) if log_decay is None else log_decay)
    reads = torch.einsum("bihk,bjhk->bhij", q, k) * decay
    overlaps = (torch.einsum("bihk,bjhk->bhij", k, k) * decay).tril(-1)
    system = torch.eye(q.shape[1], dtype=q.dtype, device=q.device) + beta.transpose(1, 2).unsqueeze(-1) * overlaps
    return torch.linalg.solve_triangular(system, reads, upper=False, left=False, unitriangular=True)


def delta_rule_coefficients(q: Tensor, k: Tensor, beta: Tensor, log_decay: Tensor | None) -> Tensor:
    """`householder_coefficients` for impulses beta_j k_j: what the delta rule writes."""
    return householder_coefficients(q, k, beta, log_decay) * beta.transpose(1, 2).unsqueeze(-2)


def turned(x: Tensor, angles: Tensor, sign: int) -> Tensor:
    """x_t turned by sign * t * angles in the planes (m, m + K/2); x (B, T, H, K), angles (K/2,) radians a step."""
    phase = sign * torch.arange(x.shape[1], dtype=angles.dtype, device=x.device)[:, None] * angles
    cos, sin = (part.to(x.dtype).unsqueeze(1) for part in (phase.cos(), phase.sin()))  # (T, 1, K/2)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def shift_coefficients(q: Tensor, k: Tensor) -> Tensor:
    """A moves coordinate m of the state to m + 1: sum_m q_i[m + i - j] k_j[m]; q, k (B, T, H, K)."""
    num_steps, width = q.shape[1], q.shape[-1]
    p = q.new_zeros(q.shape[0], q.shape[2], num_steps, num_steps)
    for lag in range(min(num_steps, width)):
        products = (q[:, lag:, :, lag:] * k[:, : num_steps - lag, :, : width - lag]).sum(-1)  # (B, T - lag, H)
        p.diagonal(-lag, -2, -1).copy_(products.transpose(1, 2))
    return p

"""The dense recurrence that the iteration converges to where nothing depends on the state, and its transition A_t.

    h_t = (I - (I - L_t)(I - Q_t))^-1 (L_t h_{t-1} + (I - L_t) Q_t v_t),   A_t = (I + (L_t^-1 - I) Q_t)^-1

Shapes: T time, D channels; float64. Source: Movahedi, Sarnthein et al. 2025 (arXiv 2503.10799), section 3 and
appendix B.2, which calls A_t contractive: its eigenvalues lie in (0, 1], its norm is not bounded by 1.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def iteration_matrix(lam: Tensor, q: Tensor) -> Tensor:
    """(I - L)(I - Q) of every token: lam (..., D), q (..., D, D)."""
    eye = torch.eye(q.shape[-1], dtype=q.dtype)
    return (1 - lam).unsqueeze(-1) * (eye - q)


def transition(lam: Tensor, q: Tensor) -> Tensor:
    """A = (I - (I - L)(I - Q))^-1 L."""
    eye = torch.eye(q.shape[-1], dtype=q.dtype)
    return torch.linalg.solve(eye - iteration_matrix(lam, q), torch.diag_embed(lam))


def transition_by_inverse(lam: Tensor, q: Tensor) -> Tensor:
    """A = (I + (L^-1 - I) Q)^-1; lam above 0."""
    eye = torch.eye(q.shape[-1], dtype=q.dtype)
    return torch.linalg.inv(eye + (1 / lam - 1).unsqueeze(-1) * q)


def dense_states(lam: Tensor, q: Tensor, v: Tensor) -> Tensor:
    """h_1 .. h_T from h_0 = 0, step by step; lam, v (T, D), q (T, D, D)."""
    eye, h, states = torch.eye(q.shape[-1], dtype=q.dtype), torch.zeros_like(v[0]), []
    for lam_t, q_t, v_t in zip(lam, q, v, strict=True):
        driven = lam_t * h + (1 - lam_t) * (q_t @ v_t)
        h = torch.linalg.solve(eye - iteration_matrix(lam_t, q_t), driven)
        states.append(h)
    return torch.stack(states)


def diagonal_map(lam: Tensor, q: Tensor, v: Tensor) -> Callable[[Tensor], Tensor]:
    """f(h): one diagonal recurrence with input (I - L)(Q (v - h) + h), by a plain loop; h (T, D)."""

    def f(h: Tensor) -> Tensor:
        mixed = (1 - lam) * ((q @ (v - h).unsqueeze(-1)).squeeze(-1) + h)
        state, states = torch.zeros_like(v[0]), []
        for lam_t, mixed_t in zip(lam, mixed, strict=True):
            state = lam_t * state + mixed_t
            states.append(state)
        return torch.stack(states)

    return f


def sequence_jacobian(lam: Tensor, q: Tensor) -> Tensor:
    """df/dh over the whole sequence, (T D, T D)."""
    zero = torch.zeros_like(lam)
    jacobian = torch.autograd.functional.jacobian(diagonal_map(lam, q, zero), zero)
    return jacobian.reshape(lam.numel(), lam.numel())

"""Noise on the gradients of N clients: additive, growing with the gradient, Gaussian or heavy-tailed.

Z_i = sqrt(s0_i^2 + s1_i^2 |g|_2^2) * xi_i, coordinates of xi_i independent: standard normal, or Student-t with nu
degrees of freedom (nu = 1: Cauchy, no mean; nu <= 2: no variance).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.optim.draws import Stream, standard_normal, uniform

Scale = float | tuple[float, ...]


def student_t(like: Tensor, nu: float, stream: Stream) -> Tensor:
    """Student-t draws shaped like `like`: sqrt(nu (u^(-2/nu) - 1)) cos(2 pi v) with u, v uniform on (0, 1].

    No quotient of two draws, so no zero denominator. Source: Bailey 1994, Math. Comp. 62, the polar method.
    """
    if not nu > 0:
        raise ValueError(f"the degrees of freedom nu must be positive; got {nu}")
    u, v = uniform(like, stream), uniform(like, stream)
    return (nu * torch.expm1(-2 / nu * u.log())).sqrt() * torch.cos(2 * math.pi * v)


@dataclass(frozen=True)
class GradientNoise:
    """Law of Z_i.

    Args:
        additive: s0, standard deviation (scale, for Student-t) at zero gradient; one per client, or one for all.
        relative: s1, per coordinate and unit of |g|_2; likewise.
        nu: degrees of freedom; infinity is Gaussian.
    """

    additive: Scale = 0.0
    relative: Scale = 0.0
    nu: float = math.inf

    def __post_init__(self) -> None:
        for name in ("additive", "relative"):
            value = getattr(self, name)
            if isinstance(value, Sequence):
                object.__setattr__(self, name, value := tuple(value))
            if any(not s >= 0 for s in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"a noise scale is at least 0; got {name} {value}")
        if not self.nu > 0:
            raise ValueError(f"the degrees of freedom nu must be positive; got {self.nu}")

    @property
    def is_zero(self) -> bool:
        return self.additive == 0 and self.relative == 0

    def scale(self, g: Tensor) -> Tensor:
        """sqrt(s0_i^2 + s1_i^2 |g|^2): (..., N, 1) for g (..., N or 1, d)."""
        s0, s1 = (_per_client(value, g) for value in (self.additive, self.relative))
        if self.relative == 0:  # heavy tails: |g|^2 may overflow, and is not needed
            return torch.as_tensor(s0, dtype=g.dtype, device=g.device)
        return (s0**2 + s1**2 * g.square().sum(-1, keepdim=True)).sqrt()

    def __call__(self, g: Tensor, num_clients: int, stream: Stream) -> Tensor:
        """Noisy gradients g + Z_i, (..., N, d).

        Args:
            g: (..., N, d), or (..., 1, d) where all clients share the exact gradient.
        """
        shared = g.expand(*g.shape[:-2], num_clients, g.shape[-1])
        if self.is_zero:
            return shared
        draws = standard_normal(shared, stream) if math.isinf(self.nu) else student_t(shared, self.nu, stream)
        return shared + self.scale(g) * draws


def _per_client(value: Scale, g: Tensor) -> float | Tensor:
    return g.new_tensor(value).unsqueeze(-1) if isinstance(value, tuple) else value

"""Distributed methods over N simulated clients: DSGD, DCSGD, DSignSGD, and DCSGD with normalised steps.

    x+ = x - h u,  u = (1/N) sum_i C_i(g_i + Z_i)

Shapes: leading axes (runs, settings ...), N clients, d coordinates. The same code serves (runs, d) arrays of a toy and
the flat gradient (P,) of a network; `shared/train/compressed.py` has the form for N processes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from shared.optim.compression import Compressor, Identity, Sign, require_unbiased
from shared.optim.draws import ClientDraws
from shared.optim.gradient_noise import GradientNoise

Decay = Literal["constant", "inverse_sqrt", "inverse"]
_POWERS = {"constant": 0.0, "inverse_sqrt": 0.5, "inverse": 1.0}
CAP = 1e8  # a run with a coordinate beyond it counts as diverged


def decay_factor(decay: Decay, k: int) -> float:
    """(k + 1)^0, (k + 1)^(-1/2) or (k + 1)^(-1): the factor of step k, counted from 0."""
    if decay not in _POWERS:
        raise ValueError(f"unknown decay '{decay}'; known are {', '.join(get_args(Decay))}")
    return (k + 1) ** -_POWERS[decay]


@dataclass(frozen=True)
class Normalisation:
    """A step size that shrinks with the gradient norm, 2 eps / ((L0 + L1 |g|) kappa + L1 noise).

    Args:
        l0, l1: constants of (L0, L1)-smoothness, |H| <= L0 + L1 |grad f|.
        kappa: E|u|^2 <= kappa |grad f|^2 + noise; 1 gives plain normalisation 2 eps / (L0 + L1 |g|).
        noise: the second constant.
        eps: in (0, 1): share of the largest stable step.
    """

    l0: float
    l1: float
    kappa: float = 1.0
    noise: float = 0.0
    eps: float = 0.5

    def __post_init__(self) -> None:
        if not (self.l0 >= 0 and self.l1 >= 0 and self.l0 + self.l1 > 0 and self.kappa >= 1 and self.noise >= 0):
            raise ValueError(
                "a normalisation needs l0, l1 and noise of at least 0, l0 + l1 > 0 and kappa of at least 1; got"
                f" l0 {self.l0:g}, l1 {self.l1:g}, noise {self.noise:g}, kappa {self.kappa:g}"
            )
        if not 0 < self.eps < 1:
            raise ValueError(f"eps lies in (0, 1); got {self.eps:g}")

    def factor(self, grad_norm: Tensor) -> Tensor:
        return 2 * self.eps / ((self.l0 + self.l1 * grad_norm) * self.kappa + self.l1 * self.noise)


@dataclass(frozen=True)
class DistributedMethod:
    """One method: what the clients send, and how far the server steps.

    Args:
        lr: eta, in parameter units per unit of u; with a normalisation a factor of its step.
        num_clients: N.
        noise: law of Z_i.
        compressor: C, independent for each client.
        decay: factor of step k.
        normalisation: None for steps that do not look at the gradient.
    """

    lr: float
    num_clients: int
    noise: GradientNoise
    compressor: Compressor
    decay: Decay = "constant"
    normalisation: Normalisation | None = None

    def __post_init__(self) -> None:
        if not self.lr > 0 or not math.isfinite(self.lr):
            raise ValueError(f"lr must be positive and finite; got {self.lr}")
        if self.num_clients < 1:
            raise ValueError(f"there must be at least one client; got num_clients {self.num_clients}")
        decay_factor(self.decay, 0)

    def message_mean(self, grad: Tensor, draws: ClientDraws) -> Tensor:
        """u, (..., d): mean over clients of C_i(grad + Z_i), compressed after the noise.

        Args:
            grad: exact gradient (..., d) for all clients; or (..., N, d), one per client, is `client_mean`'s.
        """
        return self.client_mean(grad.unsqueeze(-2), draws)

    def client_mean(self, grads: Tensor, draws: ClientDraws) -> Tensor:
        """u for gradients that differ by client, (..., N, d) -> (..., d)."""
        noisy = self.noise(grads, self.num_clients, draws.noise)
        return self.compressor(noisy, draws.masks).mean(-2)

    def step_size(self, k: int, grad_norm: Tensor | None = None) -> float | Tensor:
        """h of step k; (..., 1) with a normalisation, from |g| of shape (..., 1)."""
        h = self.lr * decay_factor(self.decay, k)
        if self.normalisation is None:
            return h
        if grad_norm is None:
            raise ValueError("a normalised step needs the gradient norm; give grad_norm")
        return h * self.normalisation.factor(grad_norm)

    def step(self, x: Tensor, grad: Tensor, k: int, draws: ClientDraws) -> Tensor:
        """x after step k (counted from 0); normalises by the exact gradient's norm."""
        norm = None
        if self.normalisation is not None:
            norm = torch.linalg.vector_norm(grad, dim=-1, keepdim=True)
        return x - self.step_size(k, norm) * self.message_mean(grad, draws)


def dsgd(lr: float, num_clients: int, noise: GradientNoise, decay: Decay = "constant") -> DistributedMethod:
    """Distributed SGD: the mean of noisy gradients."""
    return DistributedMethod(lr, num_clients, noise, Identity(), decay)


def dcsgd(
    lr: float, num_clients: int, noise: GradientNoise, compressor: Compressor, decay: Decay = "constant"
) -> DistributedMethod:
    """Distributed compressed SGD; the compressor has to be unbiased."""
    return DistributedMethod(lr, num_clients, noise, require_unbiased(compressor), decay)


def normalised_dcsgd(
    num_clients: int,
    noise: GradientNoise,
    compressor: Compressor,
    normalisation: Normalisation,
    decay: Decay = "constant",
    lr: float = 1.0,
) -> DistributedMethod:
    """DCSGD with a step size inversely proportional to the gradient norm."""
    return replace(dcsgd(lr, num_clients, noise, compressor, decay), normalisation=normalisation)


def dsignsgd(lr: float, num_clients: int, noise: GradientNoise, decay: Decay = "constant") -> DistributedMethod:
    """Distributed SignSGD: the mean of the clients' signs (not the sign of a mean, nor a majority vote)."""
    return DistributedMethod(lr, num_clients, noise, Sign(), decay)


@dataclass(frozen=True)
class Descent:
    """What was recorded of R runs.

    Attributes:
        steps: recorded step numbers.
        states: (K, ..., d); +inf from the first record after a run has diverged.
        diverged_at: (...) step at which a run passed the cap or stopped being finite; -1 for never.
    """

    steps: tuple[int, ...]
    states: Tensor
    diverged_at: Tensor


@torch.no_grad()
def descend(
    method: DistributedMethod,
    gradient: Callable[[Tensor], Tensor],
    x0: Tensor,
    record_at: Sequence[int],
    draws: ClientDraws,
    cap: float = CAP,
) -> Descent:
    """Runs of a method from x0 (..., d), to the last of `record_at`.

    Args:
        gradient: exact gradient, (..., d) -> (..., d).
        record_at: step numbers to record, rising; 0 is x0.
        cap: a run diverges once the largest |x_j| is above it or not a number. It is frozen there.
    """
    wanted = tuple(record_at)
    if not wanted or list(wanted) != sorted(set(wanted)) or wanted[0] < 0:
        raise ValueError(f"record_at must be rising step numbers from 0; got {list(wanted)}")
    x, frozen = x0, None
    diverged_at = torch.full(x0.shape[:-1], -1, device=x0.device)
    records = [x0] if wanted[0] == 0 else []
    for k in range(wanted[-1]):
        new = method.step(x, gradient(x), k, draws)
        if frozen is not None:
            new = torch.where(frozen, x, new)
        low, high = torch.aminmax(new)
        if not (float(low) >= -cap and float(high) <= cap):  # also where there is a NaN
            gone = ~(new.abs() <= cap).all(-1)
            diverged_at[gone & (diverged_at < 0)] = k + 1
            frozen = (diverged_at >= 0).unsqueeze(-1)
            new = torch.where(frozen, x, new)
        x = new
        if k + 1 in wanted:
            records.append(x if frozen is None else torch.where(frozen, math.inf, x))
        if frozen is not None and bool(frozen.all()):
            missing = len(wanted) - len(records)
            records += [torch.full_like(x, math.inf)] * missing
            break
    return Descent(wanted, torch.stack(records), diverged_at)

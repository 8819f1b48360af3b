"""The SDE models of the methods, time t = eta k: classical of first and second order, and the corrected one.

    dX = -h g dt + c (eta h^2 / 2) H g dt + h sqrt(eta) Sigma_u^{1/2} dW,  c = 0, -1, +1

Toys are separable, so Sigma_u is diagonal and each coordinate sees itself alone.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from papers.distributed_sde.toys import Toy
from shared.sde.problem import SDE, Time

CURVATURE = {"classical_1": 0.0, "classical_2": -1.0, "corrected": 1.0}
Schedule = Callable[[Time], Time]


def curvature_sign(kind: str) -> float:
    if kind not in CURVATURE:
        raise ValueError(f"unknown SDE model '{kind}'; known are {', '.join(CURVATURE)}")
    return CURVATURE[kind]


def gradient_model(
    kind: str, f: Toy, eta: float, num_clients: int, s0: float, omega: float, schedule: Schedule = lambda t: 1.0
) -> SDE:
    """D(C)SGD with additive noise of standard deviation s0 and Bernoulli compression.

    Sigma_u = diag((1 + omega) s0^2 + omega (d_j f)^2) / N, exact for the Bernoulli sparsifier.
    """
    sign = curvature_sign(kind)

    def drift(x: Tensor, t: Time) -> Tensor:
        h, g = schedule(t), f.gradient(x)
        return -h * g if sign == 0 else -h * g + (sign * eta / 2) * h**2 * f.hessian_diagonal(x) * g

    def diffusion(x: Tensor, t: Time) -> Tensor | float:
        front = schedule(t) * math.sqrt(eta / num_clients)
        if omega == 0:
            return front * s0
        return front * ((1 + omega) * s0**2 + omega * f.gradient(x).square()).sqrt()

    return SDE(drift, diffusion, noise="additive" if omega == 0 else "componentwise")


def sign_model(kind: str, f: Toy, eta: float, num_clients: int, scale: float, nu: float) -> SDE:
    """DSignSGD with Student-t noise of one scale: drift -m + c (eta / 2) (Dm) m, variance (1 - m^2) / N.

    The classical part is standard; that the corrected one has this form is reconstructed.
    """
    sign = curvature_sign(kind)

    def mean(x: Tensor) -> Tensor:
        return student_sign_mean(f.gradient(x) / scale, nu)

    def drift(x: Tensor, t: Time) -> Tensor:
        m = mean(x)
        if sign == 0:
            return -m
        slope = 2 * student_density(f.gradient(x) / scale, nu) / scale * f.hessian_diagonal(x)
        return -m + (sign * eta / 2) * slope * m

    def diffusion(x: Tensor, t: Time) -> Tensor:
        return math.sqrt(eta / num_clients) * (1 - mean(x).square()).clamp(min=0).sqrt()

    return SDE(drift, diffusion, noise="componentwise")


def student_sign_mean(u: Tensor, nu: float) -> Tensor:
    """2 F_nu(u) - 1 for whole nu by a finite series in theta = atan(u / sqrt nu), erf for infinite nu.

    Source: Abramowitz and Stegun 1964, 26.7.3 (odd nu) and 26.7.4 (even nu).
    """
    if math.isinf(nu):
        return torch.erf(u / math.sqrt(2))
    if nu != int(nu) or nu < 1:
        raise ValueError(f"the sign model needs whole degrees of freedom or infinity; got {nu}")
    theta = torch.atan(u / math.sqrt(nu))
    sin, cos_squared = theta.sin(), theta.cos().square()
    odd = int(nu) % 2 == 1
    term = theta.cos() if odd else torch.ones_like(u)
    total = torch.zeros_like(u)
    for j in range(1, int(nu) // 2 + 1):
        total = total + term
        term = term * cos_squared * ((2 * j) / (2 * j + 1) if odd else (2 * j - 1) / (2 * j))
    return (2 / math.pi) * (theta + sin * total) if odd else sin * total


def student_density(u: Tensor, nu: float) -> Tensor:
    """Density of Student's t, normal for infinite nu."""
    if math.isinf(nu):
        return torch.exp(-u.square() / 2) / math.sqrt(2 * math.pi)
    front = math.exp(math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2)) / math.sqrt(nu * math.pi)
    return front * (1 + u.square() / nu) ** (-(nu + 1) / 2)

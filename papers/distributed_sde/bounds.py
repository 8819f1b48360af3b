"""Weighted averages of |grad f|^2 under eta_t = 1 / sqrt(t + 1), beside the right sides of theorems 4.2 and 4.3."""

from collections.abc import Iterator

import torch
from torch import Tensor

from papers.distributed_sde.settings import DrawnBound, Linear
from papers.distributed_sde.theory import (
    dcsgd_bound,
    descent_bound,
    dsign_bound,
    equal_clients,
    sign_descent_bound,
)
from papers.distributed_sde.toys import Toy, toy
from shared.optim.compression import Bernoulli, Sign
from shared.optim.distributed import CAP, DistributedMethod
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise


def bound_rows(settings: Linear) -> Iterator[dict]:
    """fig_bound: every run, at log-spaced steps."""
    for bound in settings.bounds_drawn:
        common = {"method": bound.method, "function": bound.function, "omega": bound.omega, "num_runs": bound.num_runs}
        for row in weighted_averages(bound, settings.seed):
            yield common | row


def admitted(bound: DrawnBound, f: Toy, step: float, grad: Tensor) -> Tensor:
    """Whether a run meets the theorem's condition on its step at gradients (R, d): (R,).

    Of theorem 4.3 that no |d_j f| passes the noise scale too, since ell_nu is a slope up to there.
    """
    if bound.method == "DSignSGD":
        limit = dsign_bound(f.l0, f.l1, bound.d, bound.num_clients, bound.s0, bound.nu).corrected
        return (grad.abs() <= bound.s0).all(-1) & (step <= bound.eps * limit)
    kappa, noise = equal_clients(bound.d, bound.num_clients, bound.omega, bound.s0, 0.0)
    limits = [dcsgd_bound(f.l0, f.l1, float(norm), kappa, noise, bound.eps).corrected for norm in grad.norm(dim=-1)]
    return step < torch.tensor(limits)


def right_side(bound: DrawnBound, f: Toy, time: float) -> float:
    """The theorem's bound on the average up to `time`."""
    gap = float(f.value(torch.full((bound.d,), bound.x0, dtype=torch.float64)))
    if bound.method == "DSignSGD":
        sizes = (bound.d, bound.num_clients, bound.s0, bound.nu, bound.eps)
        return sign_descent_bound(gap, time, bound.eta, f.l0, f.l1, *sizes)
    _, noise = equal_clients(bound.d, bound.num_clients, bound.omega, bound.s0, 0.0)
    return descent_bound(gap, time, bound.eta, f.l0, f.l1, noise, bound.eps)


def weighted_averages(bound: DrawnBound, seed: int) -> Iterator[dict]:
    """E|grad f(x at t^)|^2 of the discrete method, t^ drawn independently with density eta_s / phi1."""
    f = toy(bound.function)
    f.check_smoothness()
    checkpoints = {round(bound.num_steps ** (i / 24)) for i in range(25)}
    compressor = Sign() if bound.method == "DSignSGD" else Bernoulli.with_omega(bound.omega)
    method = DistributedMethod(1.0, bound.num_clients, GradientNoise(additive=bound.s0, nu=bound.nu), compressor)
    draws, x = joint_draws(seed, "bound"), torch.full((bound.num_runs, bound.d), bound.x0, dtype=torch.float64)
    total, share, weight = torch.zeros(len(x), dtype=torch.float64), 0.0, 0.0
    for k in range(bound.num_steps):
        h, g = (bound.eta * k + 1) ** -0.5, f.gradient(x)
        if k % CHECK_EVERY == 0:
            share += float(admitted(bound, f, bound.eta * h, g).double().mean())  # along each path
        total, weight = total + h * g.square().sum(-1), weight + h
        x = x - bound.eta * h * method.message_mean(g, draws)
        if k + 1 in checkpoints:
            time, mean = bound.eta * (k + 1), total / weight
            yield {
                "k": k + 1,
                "t": time,
                "average_g2": float(mean.mean()),
                "standard_error": float(mean.std() / len(mean) ** 0.5),
                "last_g2": float(f.gradient(x).square().sum(-1).mean()),
                "bound": right_side(bound, f, time),
                "share_admitted": share / (k // CHECK_EVERY + 1),
                "num_diverged": int((~(x.abs() <= CAP).all(-1)).sum()),
            }


CHECK_EVERY = 10  # steps between two looks at the condition

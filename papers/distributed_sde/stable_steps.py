"""The largest stable step over the gradient norm, measured, beside the conditions of the classical and corrected SDE.

One coordinate is away from the optimum, so that |H| = f'' and |grad f| = |f'| are those of one coordinate and
(L0, L1)-smoothness is as tight as the function allows. A step eta is stable there if E f(x - eta u) <= f(x).
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from papers.distributed_sde.settings import StableSteps
from papers.distributed_sde.theory import dcsgd_bound, equal_clients
from papers.distributed_sde.toys import Toy, toy
from shared.optim.compression import Bernoulli
from shared.optim.distributed import dcsgd
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise

GROUPS = 8  # of draws, for the standard error


def place_of(f: Toy, grad_norm: float) -> float:
    """x > 0 with f'(x) = grad_norm."""

    def excess(x: float) -> float:
        return float(f.gradient(torch.tensor([x], dtype=torch.float64))) - grad_norm

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return brentq(excess, 0.0, high, xtol=1e-13)


def largest_stable_step(f: Toy, x: Tensor, u: Tensor) -> float:
    """The eta > 0 at which the mean of f(x - eta u) over draws u (R, d) is f(x), x (d,).

    That mean is convex in eta and falls at 0, so there is one such eta; below it the loss falls in the mean.
    """
    start = float(f.value(x))

    def rise(log_eta: float) -> float:
        return float(f.value(x - math.exp(log_eta) * u).mean()) / start - 1

    low, high = 0.0, 0.0
    while rise(low) > 0:
        low -= 1.0
    while rise(high) < 0:
        high += 1.0
    return math.exp(brentq(rise, low, high, xtol=1e-10))


def stable_rows(settings: StableSteps, seed: int) -> Iterator[dict]:
    """fig_stable: per function, omega and gradient norm; the conditions with eps -> 1, where they are weakest."""
    for name in settings.functions:
        f = toy(name)
        f.check_smoothness(radius=20.0)
        for omega in settings.omegas:
            kappa, _ = equal_clients(settings.d, settings.num_clients, omega, 0.0, settings.s1)
            method = dcsgd(1.0, settings.num_clients, GradientNoise(relative=settings.s1), Bernoulli.with_omega(omega))
            for norm in np.geomspace(*settings.grad_norms, settings.num_norms):
                x = torch.zeros(settings.d, dtype=torch.float64)
                x[0] = place_of(f, float(norm))
                grads = f.gradient(x).expand(settings.num_draws, -1)
                u = method.message_mean(grads, joint_draws(seed, "stable"))  # the same draws at every point
                steps = np.array([largest_stable_step(f, x, part) for part in u.chunk(GROUPS)])
                bound = dcsgd_bound(f.l0, f.l1, float(norm), kappa, 0.0, 1 - 1e-12)
                yield {
                    "function": name, "omega": omega, "grad_norm": norm, "kappa": kappa, "d": settings.d,
                    "N": settings.num_clients, "s1": settings.s1, "eta_measured": largest_stable_step(f, x, u),
                    "standard_error": float(steps.std(ddof=1) / GROUPS**0.5),
                    "bound_corrected": bound.corrected, "bound_classical": bound.classical,
                }  # fmt: skip

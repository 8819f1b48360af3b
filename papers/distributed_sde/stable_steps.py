"""The largest stable step over the gradient norm, exactly, beside the conditions of the classical and corrected SDE.

One coordinate is away from the optimum, so that |H| = f'' and |grad f| = |f'| are those of one coordinate and
(L0, L1)-smoothness is as tight as the function allows. A step eta is stable there if E f(x - eta u) <= f(x).
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import brentq

from papers.distributed_sde.message_law import MessageLaw
from papers.distributed_sde.settings import StableSteps
from papers.distributed_sde.theory import dcsgd_bound, equal_clients
from papers.distributed_sde.toys import Toy, toy


def place_of(f: Toy, grad_norm: float) -> float:
    """x > 0 with f'(x) = grad_norm."""

    def excess(x: float) -> float:
        return float(f.gradient(torch.tensor([x], dtype=torch.float64))) - grad_norm

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return brentq(excess, 0.0, high, xtol=1e-13)


def log_mean_after(f: Toy, x: np.ndarray, law: MessageLaw, eta: float) -> float:
    """log E f(x - eta u) for x (d,) and u with mean grad f(x), in closed form.

    Polynomials by the moments of u; cosh by the mean of its exponentials, in logs.
    """
    g = f.gradient(torch.from_numpy(x)).numpy()
    moments = law.moments(g)
    second, fourth = (
        sum(math.comb(k, i) * x ** (k - i) * (-eta) ** i * moments[i] for i in range(k + 1)) for k in (2, 4)
    )
    polynomial = float((f.quadratic * second / 2 + f.quartic * fourth / 4).sum())
    found = math.log(polynomial) if polynomial > 0 else -math.inf
    if not f.cosh:
        return found
    falls, rises = law.log_exponential_mean(g, -eta), law.log_exponential_mean(g, eta)
    total = np.logaddexp.reduce(np.logaddexp(x + falls, -x + rises)) - math.log(2)  # log of sum_j E cosh
    above_one = -math.expm1(math.log(len(x)) - total)  # share of it that is sum_j (E cosh - 1); 0 at the optimum
    return float(np.logaddexp(found, math.log(f.cosh) + total + math.log(above_one))) if above_one > 0 else found


def largest_stable_step(f: Toy, x: np.ndarray, law: MessageLaw) -> float:
    """The eta > 0 at which E f(x - eta u) is f(x), x (d,).

    That mean is convex in eta and falls at 0, so there is one such eta; below it the loss falls in the mean.
    """
    start = math.log(float(f.value(torch.from_numpy(x))))

    def rise(log_eta: float) -> float:
        return log_mean_after(f, x, law, math.exp(log_eta)) - start

    low, high = 0.0, 0.0
    while rise(low) > 0:
        low -= 1.0
    while rise(high) < 0:
        high += 1.0
    return math.exp(brentq(rise, low, high, xtol=1e-12))


def stable_rows(settings: StableSteps) -> Iterator[dict]:
    """fig_stable: per function, omega and gradient norm; the conditions with eps -> 1, where they are weakest."""
    for name in settings.functions:
        f = toy(name)
        f.check_smoothness(radius=20.0)
        for omega in settings.omegas:
            kappa, _ = equal_clients(settings.d, settings.num_clients, omega, 0.0, settings.s1)
            for norm in np.geomspace(*settings.grad_norms, settings.num_norms):
                x = np.zeros(settings.d)
                x[0] = place_of(f, float(norm))
                law = MessageLaw(settings.num_clients, 1 / (1 + omega), settings.s1 * float(norm))
                bound = dcsgd_bound(f.l0, f.l1, float(norm), kappa, 0.0, 1 - 1e-12)
                yield {
                    "function": name, "omega": omega, "grad_norm": norm, "kappa": kappa, "d": settings.d,
                    "N": settings.num_clients, "s1": settings.s1, "eta_stable": largest_stable_step(f, x, law),
                    "bound_corrected": bound.corrected, "bound_classical": bound.classical,
                }  # fmt: skip

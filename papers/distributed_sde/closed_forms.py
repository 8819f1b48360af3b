"""What needs no random draws: gradient descent beside its ODEs, orders, and the theorems' bounds on a grid."""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.special import lambertw

from papers.distributed_sde.settings import ORDER_TIME, Bounds, Exact
from papers.distributed_sde.theory import MODELS, dcsgd_bound, dsign_bound, equal_clients, parabola_second_moment
from papers.distributed_sde.toys import toy

CAP = 1e8
CURVATURE = {"ode1": 0.0, "ode2": -1.0, "ode_new": 1.0}  # factor of (eta / 2) H g in the drift


def gradient_descent(function: str, eta: float, x0: float, num_steps: int) -> np.ndarray:
    """x_0 .. x_K; inf from the first step beyond the cap on."""
    f, x, path = toy(function), x0, [x0]
    for _ in range(num_steps):
        x = x - eta * x * (f.quadratic + f.quartic * x * x) if abs(x) <= CAP else math.inf
        path.append(x if abs(x) <= CAP else math.inf)
    return np.array(path)


def ode_path(function: str, model: str, eta: float, x0: float, num_steps: int) -> np.ndarray:
    """x > 0 at t = 0, eta, .. K eta of dx = -g + c (eta / 2) H g, in closed form; inf after a blow-up."""
    sign, times = CURVATURE[model], eta * np.arange(num_steps + 1)
    if function == "parabola":
        return x0 * np.exp(-(1 - sign * eta / 2) * times)
    c = 1.5 * sign * eta  # dx = -x^3 + c x^5
    if c == 0:
        return x0 / np.sqrt(1 + 2 * x0**2 * times)
    # y = 1 / x^2 solves y' = 2 - 2 c / y, so w = y / c - 1 solves w + log|w| = 2 t / c + const: Lambert's function
    w0 = 1 / (c * x0**2) - 1
    argument = w0 * math.exp(w0) * np.exp(2 * times / c)
    y = c * (1 + lambertw(argument, k=-1 if w0 < -1 else 0).real)
    gone = (argument < -math.exp(-1)) if c > 0 else np.zeros(len(times), bool)  # y has reached 0
    return np.where(gone | (y <= CAP**-2), math.inf, 1 / np.sqrt(np.maximum(y, CAP**-2)))


def sanity_rows(settings: Exact) -> Iterator[dict]:
    """fig_sanity: parabola and quartic, four models."""
    cases = [("parabola", eta, settings.parabola_x0, settings.parabola_steps) for eta in settings.parabola_etas]
    cases += [("quartic", settings.quartic_eta, x0, settings.quartic_steps) for x0 in settings.quartic_x0s]
    for (function, eta, x0, num_steps), model in product(cases, ("gd", *CURVATURE)):
        path = gradient_descent(function, eta, x0, num_steps) if model == "gd" else ode_path(
            function, model, eta, x0, num_steps)  # fmt: skip
        f = toy(function)
        status = "diverges" if abs(path[-1]) > abs(x0) else "converges"
        for k in sorted({*range(0, num_steps + 1, settings.every), num_steps}):
            x = path[k]
            value = f.quadratic * x**2 / 2 + f.quartic * x**4 / 4 if math.isfinite(x) else math.inf
            common = {"function": function, "model": model, "eta": eta, "x0": x0, "k": k, "t": eta * k}
            yield common | {"x": x, "f": value, "status": status}


def order_rows(settings: Exact) -> Iterator[dict]:
    """tab_order: weak error of E x^2 at T = 1 on x^2 / 2, in closed form, and its order from the step before."""
    for model in MODELS[1:]:
        larger = None  # step and error before
        for eta in sorted(settings.order_etas, reverse=True):
            args = (eta, 1.0, settings.order_noise, settings.order_x0, ORDER_TIME)
            discrete, continuous = (parabola_second_moment(m, *args) for m in ("discrete", model))
            error = abs(discrete - continuous)
            order = math.log(larger[1] / error) / math.log(larger[0] / eta) if larger else math.nan
            row = {"model": model, "eta": eta, "discrete": discrete, "continuous": continuous}
            yield row | {"weak_error": error, "order": order}
            larger = eta, error


def bound_rows(bounds: Bounds) -> Iterator[dict]:
    """tab_2: the theorems' constraints on a grid, the smoothness constants verified first."""
    f = toy(bounds.function)
    f.check_smoothness()
    grid = product(bounds.s0s, bounds.omegas, bounds.s1s, bounds.num_clients, bounds.dims)
    smooth = {"L0": f.l0, "L1": f.l1}
    for s0, omega, s1, num_clients, d in grid:
        kappa, noise = equal_clients(d, num_clients, omega, s0, s1)
        limit = dcsgd_bound(f.l0, f.l1, bounds.grad_norm, kappa, noise, bounds.eps)
        row = {"method": "DSGD" if omega == 0 else "DCSGD", "nu": math.nan, "omega": omega, "s0": s0, "s1": s1}
        row |= {"N": num_clients, "d": d, "grad_norm": bounds.grad_norm, "eps": bounds.eps, **smooth}
        yield row | {"bound_classical": limit.classical, "bound_corrected": limit.corrected}
    for nu, scale, num_clients, d in product(bounds.nus, bounds.scales, bounds.num_clients, bounds.dims):
        limit = dsign_bound(f.l0, f.l1, d, num_clients, scale, nu, bounds.u_max)
        row = {"method": "DSignSGD", "nu": nu, "omega": math.nan, "s0": scale, "s1": math.nan}
        row |= {"N": num_clients, "d": d, "grad_norm": math.nan, "eps": math.nan, **smooth}
        yield row | {"bound_classical": limit.classical, "bound_corrected": limit.corrected}

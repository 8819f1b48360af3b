"""Quadratics, where moments are known: stability boundary, typical paths, stationary laws, scaling rule."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from papers.distributed_sde.models import gradient_model
from papers.distributed_sde.settings import Linear, ThresholdPoint
from papers.distributed_sde.theory import (
    MODELS,
    equal_clients,
    mean_square_threshold,
    stationary_variance,
)
from papers.distributed_sde.toys import toy
from shared.base.seeding import torch_generator
from shared.optim.compression import Bernoulli
from shared.optim.distributed import DistributedMethod, dcsgd, descend
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise
from shared.sde.simulate import simulate

F64 = torch.float64


def affine_method(point: ThresholdPoint, eta: float = 1.0) -> DistributedMethod:
    noise = GradientNoise(relative=point.s1)
    return dcsgd(eta, point.num_clients, noise, Bernoulli.with_omega(point.omega))


def one_step_moments(point: ThresholdPoint, num_runs: int, seed: int) -> tuple[Tensor, Tensor]:
    """(x.u / |x|^2, |u|^2 / |x|^2) of `num_runs` draws of u at a point with |grad f| = |x| = 1; kappa, lam aside."""
    direction = torch.randn(num_runs, point.d, generator=torch_generator(seed, "direction"), dtype=F64)
    direction /= direction.norm(dim=-1, keepdim=True)
    draws = joint_draws(seed, "threshold", *(f"{k}={v}" for k, v in point.model_dump().items()))
    u = affine_method(point).message_mean(direction, draws)
    return (direction * u).sum(-1), u.square().sum(-1)


def threshold_rows(settings: Linear) -> Iterator[dict]:
    """fig_threshold: eta* = 2 E[x.u] / (lam E|u|^2), where the one-step ratio of E|x|^2 is 1."""
    for point in settings.threshold_points:
        kappa, _ = equal_clients(point.d, point.num_clients, point.omega, 0.0, point.s1)
        along, square = one_step_moments(point, settings.threshold_runs, settings.seed)
        measured = 2 * float(along.mean()) / (settings.lam * float(square.mean()))
        # the ratio of two means, to first order: each draw's residual at the estimate
        residual = 2 * along / settings.lam - measured * square
        error = float(residual.std()) / len(residual) ** 0.5 / float(square.mean())
        classical = math.inf if kappa == 1 else mean_square_threshold(settings.lam, kappa - 1)
        row = {"axis": point.axis, "omega": point.omega, "d": point.d, "N": point.num_clients, "s1": point.s1}
        row |= {"lam": settings.lam, "kappa": kappa, "eta_star_theory": mean_square_threshold(settings.lam, kappa)}
        row |= {"eta_star_classical": classical, "eta_star_measured": measured}
        row |= {"ci_low": measured - 1.96 * error, "ci_high": measured + 1.96 * error}
        sure, error = almost_sure_boundary(point, settings) if point.axis != "grid" else (math.nan, math.nan)
        yield row | {"eta_sure": sure / settings.lam, "eta_sure_error": error / settings.lam}


def growth_of_paths(point: ThresholdPoint, eta: float, num_paths: int, num_steps: int, seed: int) -> Tensor:
    """Mean over steps of log |x+| / |x| on |x|^2 / 2, one number per path (num_paths,); every step is rescaled to 1.

    The draws are the same for every eta. A quarter of the steps goes before, in which directions settle.
    """
    x = torch.randn(num_paths, point.d, generator=torch_generator(seed, "direction"), dtype=F64)
    draws, method = (
        joint_draws(seed, "growth", *(f"{k}={v}" for k, v in point.model_dump().items())),
        affine_method(point),
    )
    total, burn = torch.zeros(num_paths, dtype=F64), num_steps // 4
    for step in range(burn + num_steps):
        x = x / x.norm(dim=-1, keepdim=True)
        x = x - eta * method.message_mean(x, draws)
        total += x.norm(dim=-1).log() * (step >= burn)
    return total / num_steps


def almost_sure_boundary(point: ThresholdPoint, settings: Linear) -> tuple[float, float]:
    """The step at which typical paths neither grow nor shrink (Lyapunov exponent 0), lam = 1, and its standard error.

    It lies beyond the mean-square boundary, since the mean of a logarithm is less than the logarithm of the mean.
    """
    kappa, _ = equal_clients(point.d, point.num_clients, point.omega, 0.0, point.s1)
    low = mean_square_threshold(1.0, kappa)

    def growth(eta: float) -> Tensor:
        return growth_of_paths(point, eta, settings.typical_paths, settings.typical_length, settings.seed)

    high = 1.5 * low
    while float(growth(high).mean()) < 0:
        low, high = high, 1.5 * high
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if float(growth(middle).mean()) < 0 else (low, middle)
    below, above = growth(low), growth(high)
    slope = float((above - below).mean()) / (high - low)
    error = float(below.std()) / len(below) ** 0.5 / slope
    return low - float(below.mean()) / slope, error


def typical_rows(settings: Linear) -> Iterator[dict]:
    """tab_typical: growth of |x|^2 over many steps near the boundary, typical path against mean."""
    point, steps = settings.typical_point, settings.typical_steps
    kappa, _ = equal_clients(point.d, point.num_clients, point.omega, 0.0, point.s1)
    star = mean_square_threshold(1.0, kappa)
    for factor in settings.typical_factors:
        eta = factor * star
        x0 = torch.full((settings.typical_runs, point.d), point.d**-0.5, dtype=F64)
        draws = joint_draws(settings.seed, "typical")
        run = descend(affine_method(point, eta), lambda x: x, x0, [1, steps], draws, cap=1e150)
        square = run.states.square().sum(-1)
        yield {
            "eta_over_star": factor, "num_steps": steps, "num_runs": len(x0),
            "log10_exact_mean": steps * math.log10(1 - 2 * eta + eta**2 * kappa),
            "log10_mean": float(square[1].mean().log10()), "log10_median": float(square[1].median().log10()),
            "share_growing": float((square[1] > 1).double().mean()),
            "one_step_ratio": float(square[0].mean()), "one_step_exact": 1 - 2 * eta + eta**2 * kappa,
        }  # fmt: skip


def stationary_rows(settings: Linear) -> Iterator[dict]:
    """tab_stationary: variance of the discrete method and of the three SDE models; formula and Monte Carlo."""
    eta, s, num_clients = settings.stationary_eta, settings.stationary_noise, settings.stationary_clients
    f, shape = toy("parabola"), (settings.stationary_paths, 1)
    burn, kept, gap = settings.stationary_burn, settings.stationary_records, settings.stationary_gap
    sub = settings.stationary_sub_steps
    for omega in settings.stationary_omegas:
        for model in MODELS:
            formula = stationary_variance(model, eta, 1.0, s, num_clients, omega)
            x0 = math.sqrt(formula) * torch.randn(shape, generator=torch_generator(settings.seed, "start"), dtype=F64)
            if model == "discrete":
                method = dcsgd(eta, num_clients, GradientNoise(additive=s), Bernoulli.with_omega(omega))
                records = [burn + gap * i for i in range(kept)]
                states = descend(method, f.gradient, x0, records, joint_draws(settings.seed, "stationary")).states
            else:
                sde = gradient_model(model, f, eta, num_clients, s, omega)
                paths = simulate(
                    sde, x0, step_size=eta / sub, num_steps=sub * (burn + gap * kept), scheme="platen",
                    record_every=sub * gap, generator=torch_generator(settings.seed, "stationary", model),
                )  # fmt: skip
                states = paths.states[-kept:]
            per_path = states.square().mean(0).flatten()  # one number per independent path
            row = {"model": model, "eta": eta, "lam": 1.0, "s": s, "N": num_clients, "omega": omega}
            row |= {"var_formula": formula, "var_mc": float(per_path.mean())}
            yield row | {"standard_error": float(per_path.std() / len(per_path) ** 0.5)}


def squares_of(eta: float, omega: float, s: float, num_clients: int, settings: Linear) -> Tensor:
    """Stationary x^2 of DCSGD on x^2 / 2, (records, paths, 1)."""
    start = math.sqrt(stationary_variance("discrete", eta, 1.0, s, num_clients, omega))
    x0 = start * torch.randn(settings.scaling_paths, 1, generator=torch_generator(settings.seed, "start"), dtype=F64)
    method = dcsgd(eta, num_clients, GradientNoise(additive=s), Bernoulli.with_omega(omega))
    gap = max(1, round(1 / eta))  # relaxation time in steps
    records = [gap * (2 + i) for i in range(settings.scaling_records)]
    f = toy("parabola")
    return descend(method, f.gradient, x0, records, joint_draws(settings.seed, "scaling")).states.square()


def scaling_rows(settings: Linear) -> Iterator[dict]:
    """tab_scaling: omega -> beta omega, eta -> kap eta, B -> delta B, N -> a N; the floor before and after."""
    eta, omega, s, num_clients = settings.scaling_eta, settings.scaling_omega, 1.0, settings.scaling_clients
    before = squares_of(eta, omega, s, num_clients, settings)
    for rule in settings.scaling_rules:
        clients = round(rule.a * num_clients)
        after = squares_of(rule.kap * eta, rule.beta * omega, s / rule.delta**0.5, clients, settings)
        floors = {"floor_before": float(before.mean()), "floor_after": float(after.mean())}
        ratio = floors["floor_after"] / floors["floor_before"]
        # to first order, over paths, which share their start: each path's residual at the estimate
        residual = (after - ratio * before).mean(0)
        error = float(residual.std()) / len(residual) ** 0.5 / floors["floor_before"]
        for name, squares in (("before", before), ("after", after)):
            per_path = squares.mean(0).flatten()
            floors[f"se_{name}"] = float(per_path.std() / len(per_path) ** 0.5)
        row = {"rule": rule.name, "kap": rule.kap, "beta": rule.beta, "delta": rule.delta, "a": rule.a}
        predicted = rule.kap * (1 + rule.beta * omega) / (rule.delta * rule.a * (1 + omega))
        yield row | floors | {"ratio": ratio, "standard_error": error, "predicted": predicted}

"""Quadratics, where moments are known: stability boundary, typical paths, stationary laws, scaling rule, bound."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from papers.distributed_sde.models import gradient_model
from papers.distributed_sde.settings import DrawnBound, Linear, ThresholdPoint
from papers.distributed_sde.theory import (
    MODELS,
    descent_bound,
    equal_clients,
    mean_square_threshold,
    stationary_variance,
)
from papers.distributed_sde.toys import toy
from shared.base.seeding import torch_generator
from shared.optim.compression import Bernoulli
from shared.optim.distributed import CAP, DistributedMethod, dcsgd, descend
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
        yield row | {"ci_low": measured - 1.96 * error, "ci_high": measured + 1.96 * error}


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
        row = {"rule": rule.name, "kap": rule.kap, "beta": rule.beta, "delta": rule.delta, "a": rule.a}
        predicted = rule.kap * (1 + rule.beta * omega) / (rule.delta * rule.a * (1 + omega))
        yield row | floors | {"ratio": ratio, "standard_error": error, "predicted": predicted}


def bound_rows(settings: Linear) -> Iterator[dict]:
    """fig_bound: weighted average of |grad f|^2 under eta_t = 1 / sqrt(t + 1), beside theorem 4.2's right side."""
    for bound in settings.bounds_drawn:
        common = {"function": bound.function, "omega": bound.omega, "num_runs": bound.num_runs}
        for row in weighted_averages(bound, settings.seed):
            yield common | row


def weighted_averages(bound: DrawnBound, seed: int) -> Iterator[dict]:
    """E|grad f(x at t^)|^2 of the discrete method, t^ drawn independently with density eta_s / phi1."""
    f = toy(bound.function)
    f.check_smoothness()
    kappa, noise = equal_clients(bound.d, bound.num_clients, bound.omega, bound.s0, 0.0)
    checkpoints = {round(bound.num_steps ** (i / 24)) for i in range(25)}
    method = dcsgd(1.0, bound.num_clients, GradientNoise(additive=bound.s0), Bernoulli.with_omega(bound.omega))
    draws, x = joint_draws(seed, "bound"), torch.full((bound.num_runs, bound.d), bound.x0, dtype=F64)
    total, admitted, weight, gap = torch.zeros(len(x), dtype=F64), 0.0, 0.0, float(f.value(x[:1]))
    for k in range(bound.num_steps):
        h, g = (bound.eta * k + 1) ** -0.5, f.gradient(x)
        square = g.square().sum(-1)
        limit = 2 * bound.eps / ((f.l0 + f.l1 * square.sqrt()) * kappa + f.l1 * noise)
        admitted += float((bound.eta * h < limit).double().mean())  # the condition along each path
        total, weight = total + h * square, weight + h
        x = x - bound.eta * h * method.message_mean(g, draws)
        if k + 1 in checkpoints:
            time, mean = bound.eta * (k + 1), total / weight
            yield {
                "k": k + 1,
                "t": time,
                "average_g2": float(mean.mean()),
                "standard_error": float(mean.std() / len(mean) ** 0.5),
                "last_g2": float(f.gradient(x).square().sum(-1).mean()),
                "bound": descent_bound(gap, time, bound.eta, f.l0, f.l1, noise, bound.eps),
                "share_admitted": admitted / (k + 1),
                "num_diverged": int((~(x.abs() <= CAP).all(-1)).sum()),
            }

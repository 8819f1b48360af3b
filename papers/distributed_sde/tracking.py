"""Methods beside their SDE models, and the floor of DSignSGD with a constant step."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from papers.distributed_sde.models import CURVATURE, gradient_model, sign_model
from papers.distributed_sde.settings import FloorPoint, SimulatedPaths, TrackCase
from papers.distributed_sde.theory import sign_floor, sign_slope
from papers.distributed_sde.toys import toy
from shared.base.seeding import torch_generator
from shared.optim.compression import Bernoulli, Identity, Sign
from shared.optim.distributed import DistributedMethod, descend, dsignsgd
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise
from shared.sde.problem import SDE
from shared.sde.simulate import simulate
from shared.sde.weak_error import MeanEstimate, mean_estimate

F64 = torch.float64
LOST = 0.01  # share of exploded paths beyond which a mean over the others is none of the process


def case_method(case: TrackCase, settings: SimulatedPaths) -> DistributedMethod:
    compressor = Sign() if case.method == "DSignSGD" else Bernoulli.with_omega(case.omega) if case.omega else Identity()
    noise = GradientNoise(additive=case.scale, nu=case.nu)
    return DistributedMethod(case.eta, settings.num_clients, noise, compressor)


def case_model(case: TrackCase, kind: str, settings: SimulatedPaths) -> SDE:
    f = toy(settings.function)
    if case.method == "DSignSGD":
        return sign_model(kind, f, case.eta, settings.num_clients, case.scale, case.nu)
    return gradient_model(kind, f, case.eta, settings.num_clients, case.scale, case.omega)


def surviving_mean(values: Tensor, stay: Tensor) -> MeanEstimate:
    """Mean of values (R,) over the paths that `stay`, or nan where too few do."""
    if float((~stay).double().mean()) > LOST:
        return MeanEstimate(math.nan, math.nan, 0, len(values))
    return mean_estimate(values[stay])


def track_rows(case: TrackCase, settings: SimulatedPaths) -> Iterator[dict]:
    """fig_track: E f of the method and of each SDE model at t = eta k.

    Means are over the paths that stay finite to the end: one that is about to explode would dominate the mean before it
    is counted. Where more than LOST of them do not, those left say nothing of E f, and there is no mean: nan.
    """
    f, steps = toy(settings.function), list(range(0, settings.num_steps + 1, settings.every))
    x0 = torch.full((settings.num_paths, settings.d), settings.x0, dtype=F64)
    label = f"{case.method} {case.omega:g}"
    run = descend(case_method(case, settings), f.gradient, x0, steps, joint_draws(settings.seed, "track", label))
    finite = run.diverged_at < 0
    discrete = [surviving_mean(f.value(states), finite) for states in run.states]
    for kind in CURVATURE:
        paths = simulate(
            case_model(case, kind, settings), x0, step_size=case.eta / settings.sub_steps,
            num_steps=settings.num_steps * settings.sub_steps, record_every=settings.every * settings.sub_steps,
            generator=torch_generator(settings.seed, "track", label, kind),
        )  # fmt: skip
        stay = paths.exploded_at < 0
        for k, mean, states, lost in zip(steps, discrete, paths.states, paths.num_exploded.tolist(), strict=True):
            model = surviving_mean(f.value(states), stay)
            yield {
                "method": case.method, "sde": kind, "eta": case.eta, "omega": case.omega, "k": k,
                "f_discrete": mean.mean, "se_discrete": mean.standard_error, "f_sde": model.mean,
                "se_sde": model.standard_error, "rel_err": abs(model.mean / mean.mean - 1),
                "share_exploded": lost / settings.num_paths,
                "share_diverged": float(((run.diverged_at >= 0) & (run.diverged_at <= k)).double().mean()),
                "n_paths": settings.num_paths,
            }  # fmt: skip


def floor_row(point: FloorPoint, settings: SimulatedPaths) -> dict:
    """tab_floor: E x^2 per coordinate of DSignSGD with a constant step on x^2 / 2, beside theory."""
    classical, corrected = sign_floor(point.eta, 1.0, point.scale, point.num_clients, point.nu)
    start = torch.randn(settings.floor_paths, 1, generator=torch_generator(settings.seed, "start"), dtype=F64)
    relaxation = point.scale / (sign_slope(point.nu) * point.eta)
    records = [math.ceil(relaxation * (settings.floor_burn + i)) for i in range(settings.floor_records)]
    method = dsignsgd(point.eta, point.num_clients, GradientNoise(additive=point.scale, nu=point.nu))
    x0 = math.sqrt(corrected) * start
    run = descend(method, lambda x: x, x0, records, joint_draws(settings.seed, "floor", str(point)))
    per_path = run.states.square().mean(0).flatten()
    row = {"eta": point.eta, "scale": point.scale, "N": point.num_clients, "nu": point.nu}
    row |= {"floor_measured": float(per_path.mean()), "standard_error": float(per_path.std() / len(per_path) ** 0.5)}
    return row | {"floor_classical": classical, "floor_corrected": corrected}

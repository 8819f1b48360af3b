"""The methods on (L0, L1)-smooth test functions under affine and Cauchy noise."""

from collections.abc import Iterator

import torch

from papers.distributed_sde.settings import ToyCell, Toys
from papers.distributed_sde.theory import equal_clients
from papers.distributed_sde.toys import toy
from shared.optim.compression import Bernoulli, Identity, Sign
from shared.optim.distributed import DistributedMethod, Normalisation, descend
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise
from shared.sde.weak_error import quantiles_with_explosions

RISE = 10.0  # a loss above so many times the initial one counts as divergence


def checkpoints(num_steps: int, per_decade: int) -> list[int]:
    """Step numbers 1 .. num_steps, evenly spread in the logarithm."""
    found, exponent = {num_steps}, 0
    while (k := round(10 ** (exponent / per_decade))) <= num_steps:
        found.add(k)
        exponent += 1
    return sorted(found)


def build_method(cell: ToyCell, settings: Toys) -> DistributedMethod:
    """The cell's method; kappa and noise as of the theorem, for rules that use them."""
    affine = cell.noise == "affine"
    noise = GradientNoise(relative=cell.scale) if affine else GradientNoise(additive=cell.scale, nu=1.0)
    compressor = Sign() if cell.method == "DSignSGD" else Bernoulli.with_omega(cell.omega) if cell.omega else Identity()
    normalisation, f = None, toy(settings.function)
    if cell.method in ("normalised", "gnorm"):
        kappa, additive = equal_clients(settings.d, settings.num_clients, cell.omega, 0.0, cell.scale)
        if cell.method == "gnorm":
            kappa, additive = 1.0, 0.0
        normalisation = Normalisation(f.l0, f.l1, kappa, additive, settings.eps)
    return DistributedMethod(cell.lr, settings.num_clients, noise, compressor, cell.decay, normalisation)


def cell_rows(cell: ToyCell, settings: Toys, device: str) -> Iterator[dict]:
    """Quantiles of |grad f|^2 over all runs, diverged ones as +inf, and over the others alone; per checkpoint.

    A run has diverged at a checkpoint if its loss there is above RISE times the one it started from, or is gone.
    """
    f, wanted = toy(settings.function), checkpoints(settings.num_steps, settings.per_decade)
    x0 = torch.full((settings.num_runs, settings.d), cell.x0, dtype=torch.float64, device=device)
    # the same streams for every cell: cells with the same noise meet the same draws
    draws = joint_draws(settings.seed, "toy", device=device)
    run = descend(build_method(cell, settings), f.gradient, x0, wanted, draws)
    limit = RISE * float(f.value(x0[:1]))
    for k, states in zip(run.steps, run.states, strict=True):
        alive = f.value(states) <= limit  # states of frozen runs are infinite
        square = f.gradient(states).square().sum(-1)
        square = torch.where(alive, square, torch.inf)
        q25, median, q75 = quantiles_with_explosions(square).tolist()
        row = {"method": cell.method, "schedule": cell.decay, "lr": cell.lr, "noise": cell.noise, "scale": cell.scale}
        row |= {"omega": cell.omega, "x0": cell.x0, "k": k, "median_g2": median, "q25": q25, "q75": q75}
        row |= {"median_g2_alive": float(square[alive].median()) if bool(alive.any()) else float("nan")}
        row |= {"share_diverged": float((~alive).double().mean()), "n_runs": len(x0), "seed": settings.seed}
        yield row | {"N": settings.num_clients, "d": settings.d}

"""SGD and Adam on block quadratics over batch sizes, under two models of gradient noise, on several rotations at once.

    additive   g_B = H w + sigma z / sqrt(B): the noise stays at the optimum
    rows       mean of x_i (x_i . w) over B of the nine rows: the noise vanishes there

They answer differently whether a small batch closes the gap. Learning rates are tuned per rotation and batch size in
the tables. Shapes: R settings, D rotations, S seeds of each, d = 9 dimensions.

Source: Sreckovic et al. 2025, arXiv 2506.12543, section 3.3 and Appendix D (rows); the additive model is the one of its
section 4.3.
"""

import itertools
from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from papers.optimizer_gap.comparing import tuned_with_second
from papers.optimizer_gap.problems import DIM, SOLVED, QuadraticGrid, Quadratics
from shared.optim.quadratics import LANDSCAPES, AdditiveNoise, GradientNoise, RowSampling, block_quadratic, descend
from shared.optim.schedules import make_schedule

MOMENTUM_OF = {"sgd_ema": "momentum", "adam": "beta1", "signum": "beta"}


class Rotations:
    """A landscape under D random rotations of its blocks, each descended with S seeds: a `Quadratic` of D S columns."""

    dim = DIM

    def __init__(self, landscape: str, draws: tuple[int, ...], num_seeds: int) -> None:
        problems = [block_quadratic(LANDSCAPES[landscape], draw, design="sqrt") for draw in draws]
        self.hessian = torch.stack([p.hessian for p in problems]).repeat_interleave(num_seeds, 0)  # (D S, d, d)
        self.samples = torch.stack([p.samples for p in problems]).repeat_interleave(num_seeds, 0)

    def loss(self, w: Tensor) -> Tensor:
        """f(w), (R, D S) for w (R, D S, d)."""
        return 0.5 * self._each(w, self.samples.mT).square().mean(-1)

    def gradient(self, w: Tensor) -> Tensor:
        """H w, (R, D S, d)."""
        return self._each(w, self.hessian)

    def row_gradient(self, w: Tensor, rows: Tensor) -> Tensor:
        """Mean over sampled rows of x_i (x_i . w), (R, D S, d), for rows (D S, B) of indices."""
        drawn = self.samples.take_along_dim(rows.unsqueeze(-1), 1)  # (D S, B, d)
        return self._each(self._each(w, drawn.mT), drawn) / rows.shape[-1]

    @staticmethod
    def _each(w: Tensor, matrices: Tensor) -> Tensor:
        return torch.bmm(w.transpose(0, 1), matrices).transpose(0, 1)


def cases(settings: Quadratics) -> Iterator[tuple[dict, GradientNoise, int]]:
    """(columns, noise, updates): additive noise at equal samples for every batch size, rows at equal updates.

    All nine rows are the gradient itself, without noise: one descent says all.
    """
    for sigma, samples, batch_size in itertools.product(settings.sigmas, settings.num_samples, settings.batch_sizes):
        columns = {"noise": "additive", "sigma": sigma, "num_samples": samples, "batch_size": batch_size}
        yield columns, AdditiveNoise(sigma, batch_size), samples // batch_size
    for batch_size in settings.row_batch_sizes:
        columns = {"noise": "rows", "sigma": 0.0, "num_samples": batch_size * settings.row_steps}
        noise = AdditiveNoise(0.0) if batch_size == DIM else RowSampling(batch_size)
        yield columns | {"batch_size": batch_size}, noise, settings.row_steps


def members(grid: QuadraticGrid, beta2: float) -> list[dict[str, float]]:
    """Settings of one optimiser: every momentum with every learning rate."""
    fixed = {"beta2": beta2} if grid.optimizer == "adam" else {}
    name = MOMENTUM_OF[grid.optimizer]
    return [{"lr": lr, name: momentum} | fixed for momentum, lr in itertools.product(grid.momentum, grid.lrs)]


def descent_rows(settings: Quadratics) -> Iterator[dict]:
    """One row per landscape, rotation, noise, batch size, optimiser, setting and seed: the loss after the last update.

    First every setting on the seeds that choose; then, where there is noise, the best of each rotation on fresh ones
    (`fresh`). No two rotations share a stream of noise; the settings of one do, seed by seed.
    """
    tuning = range(settings.tuning_seeds)
    fresh = range(settings.tuning_seeds, settings.tuning_seeds + settings.fresh_seeds)
    for landscape, (columns, noise, num_steps) in itertools.product(settings.landscapes, cases(settings)):
        for grid in settings.grids:
            labels = {"landscape": landscape, **columns, "num_steps": num_steps, "optimizer": grid.label}
            exact = isinstance(noise, AdditiveNoise) and noise.sigma == 0
            how = (labels, noise, grid.optimizer, settings)
            found = list(_rows(*how, members(grid, settings.beta2), tuning[:1] if exact else tuning))
            yield from (row | {"fresh": False} for row in found)
            if not exact:
                best = tuned_with_second(pd.DataFrame(found), ["draw"], "momentum", "loss").set_index("draw")
                chosen = {(row.lr, row.momentum) for row in best.itertuples()}
                again = [
                    m for m in members(grid, settings.beta2) if (m["lr"], m[MOMENTUM_OF[grid.optimizer]]) in chosen
                ]
                for row in _rows(*how, again, fresh):
                    if (row["lr"], row["momentum"]) == (best.lr[row["draw"]], best.momentum[row["draw"]]):
                        yield row | {"fresh": True}


def _rows(
    labels: dict, noise: GradientNoise, optimizer: str, settings: Quadratics, chosen: list[dict], seeds: Sequence[int]
) -> Iterator[dict]:
    """Of every setting in `chosen`, rotation and seed."""
    num_steps = labels["num_steps"]
    warmup = max(1, round(settings.warmup_fraction * num_steps))
    schedule = make_schedule("cosine", num_steps=num_steps, warmup_steps=warmup)
    multipliers = [schedule(step) for step in range(num_steps)]
    problem, places = (
        Rotations(labels["landscape"], settings.draws, len(seeds)),
        [*itertools.product(settings.draws, seeds)],
    )
    streams = [1000 * draw + seed for draw, seed in places]
    final = descend(problem, noise, optimizer, chosen, multipliers, streams, log_every=num_steps).final
    for member, losses in zip(chosen, final.tolist(), strict=True):
        own = labels | {"lr": member["lr"], "momentum": member[MOMENTUM_OF[optimizer]]}
        for (draw, seed), loss in zip(places, losses, strict=True):
            yield own | {"draw": draw, "seed": seed, "loss": max(loss, SOLVED), "diverged": not loss < 1e12}

"""SGD, Adam and Signum on block quadratics over batch sizes, under two models of gradient noise.

    additive   g_B = H w + sigma z / sqrt(B): the noise stays at the optimum
    rows       mean of x_i (x_i . w) over B of the nine rows: the noise vanishes there

They answer differently whether a small batch closes the gap. Learning rates are tuned per batch size in the tables.

Source: Sreckovic et al. 2025, arXiv 2506.12543, section 3.3 and Appendix D (rows); the additive model is the one of its
section 4.3.
"""

import itertools
from collections.abc import Iterator

from papers.optimizer_gap.problems import QuadraticGrid, Quadratics
from shared.optim.quadratics import LANDSCAPES, AdditiveNoise, GradientNoise, RowSampling, block_quadratic, descend
from shared.optim.schedules import make_schedule

SOLVED = 1e-20  # losses below count as this: the digits of a solved problem (it starts at 1e4) say nothing
MOMENTUM_OF = {"sgd_ema": "momentum", "adam": "beta1", "signum": "beta"}


def cases(settings: Quadratics) -> Iterator[tuple[dict, GradientNoise, int]]:
    """(columns, noise, updates): additive noise at equal samples for every batch size, rows at equal updates."""
    for sigma, samples, batch_size in itertools.product(settings.sigmas, settings.num_samples, settings.batch_sizes):
        columns = {"noise": "additive", "sigma": sigma, "num_samples": samples, "batch_size": batch_size}
        yield columns, AdditiveNoise(sigma, batch_size), samples // batch_size
    for batch_size in settings.row_batch_sizes:
        columns = {"noise": "rows", "sigma": 0.0, "num_samples": batch_size * settings.row_steps}
        yield columns | {"batch_size": batch_size}, RowSampling(batch_size), settings.row_steps


def members(grid: QuadraticGrid, beta2: float) -> list[dict[str, float]]:
    """Settings of one optimiser: every momentum with every learning rate."""
    fixed = {"beta2": beta2} if grid.optimizer == "adam" else {}
    name = MOMENTUM_OF[grid.optimizer]
    return [{"lr": lr, name: momentum} | fixed for momentum, lr in itertools.product(grid.momentum, grid.lrs)]


def descent_rows(settings: Quadratics) -> Iterator[dict]:
    """One row per landscape, noise, batch size, optimiser, setting and seed: the loss after the last update."""
    for landscape in settings.landscapes:
        problem = block_quadratic(LANDSCAPES[landscape], settings.draw, design="sqrt")
        for (columns, noise, num_steps), grid in itertools.product(cases(settings), settings.grids):
            schedule = make_schedule(
                "cosine", num_steps=num_steps, warmup_steps=max(1, round(settings.warmup_fraction * num_steps))
            )
            multipliers = [schedule(step) for step in range(num_steps)]
            chosen = members(grid, settings.beta2)
            final = descend(
                problem, noise, grid.optimizer, chosen, multipliers, settings.seeds, log_every=num_steps
            ).final
            for member, losses in zip(chosen, final.tolist(), strict=True):
                for seed, loss in zip(settings.seeds, losses, strict=True):
                    yield {
                        "landscape": landscape,
                        **columns,
                        "num_steps": num_steps,
                        "optimizer": grid.label,
                        "lr": member["lr"],
                        "momentum": member[MOMENTUM_OF[grid.optimizer]],
                        "seed": seed,
                        "loss": max(loss, SOLVED),
                        "diverged": not loss < 1e12,
                    }

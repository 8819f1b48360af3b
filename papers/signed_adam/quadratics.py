"""Step: SGD, Signum and Adam on block quadratics, for one rotation of the blocks.

python -m papers.signed_adam.quadratics --scale cpu --shard draw-0 --out RECORD
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from papers.signed_adam.config import QuadraticsShard
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.optim.quadratics import (
    LANDSCAPES,
    Descents,
    Quadratic,
    RowSampling,
    block_quadratic,
    descend,
    warmup_cosine,
)

QUANTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


def rule_of(method: str, lr: float, settings: QuadraticsShard) -> tuple[str, dict[str, float]]:
    """Update rule and hyperparameters of a method: zero buffers, no bias correction, one beta for all."""
    beta = settings.beta
    if method == "SGD":
        return "sgd_ema", {"lr": lr, "momentum": beta}
    if method == "Signum":
        return "signum", {"lr": lr, "beta": beta}
    return "adam_sigma2", {"lr": lr, "beta": beta, "bias_correction": 0.0}


def run(problem: Quadratic, method: str, warmup: float, settings: QuadraticsShard, watch: tuple = ()) -> Descents:
    """All learning rates and seeds of a method."""
    chosen = [rule_of(method, lr, settings) for lr in settings.lrs[method]]
    return _descend(problem, chosen[0][0], [each for _, each in chosen], warmup, settings, watch)


def run_mollified(problem: Quadratic, eps: float, settings: QuadraticsShard) -> Descents:
    """m / (|m| + eps) in place of sign(m), over Signum's learning rates."""
    common = {"beta": settings.beta, "eps": eps, "eps_inside": 0.0}
    chosen = [{"lr": lr, **common} for lr in settings.lrs["Signum"]]
    return _descend(problem, "soft_signum", chosen, settings.warmup_fractions[0], settings, ())


def _descend(problem, rule, chosen, warmup, settings: QuadraticsShard, watch) -> Descents:
    multipliers = warmup_cosine(settings.num_steps, round(warmup * settings.num_steps))
    seeds = range(settings.num_seeds)
    noise = RowSampling(settings.batch_size)
    return descend(problem, noise, rule, chosen, multipliers, seeds, log_every=settings.log_every, watch=watch)


def final_rows(found: Descents, lrs: list[float], max_loss: float) -> Iterator[dict]:
    """Quartiles of the final loss over the seeds that never exceeded `max_loss`, per learning rate."""
    for index, lr in enumerate(lrs):
        kept = found.highest[index] <= max_loss
        row = {"lr": lr, "num_seeds": len(kept), "num_dropped": int((~kept).sum())}
        yield row | _quartiles(found.final[index][kept])


def _quartiles(values: Tensor) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(("low", "median", "high"), float("inf"))
    return dict(zip(("low", "median", "high"), values.quantile(QUANTILES).tolist(), strict=True))


def best_index(rows: list[dict]) -> int:
    """The learning rate with the smallest median among those that dropped no seed."""
    return min(range(len(rows)), key=lambda i: (rows[i]["num_dropped"] > 0, rows[i]["median"]))


def landscape_rows(landscape: str, settings: QuadraticsShard) -> Iterator[dict]:
    """Final losses of every method, design and warm-up; curves and variances of the first of these."""
    for design, warmup in itertools.product(settings.designs, settings.warmup_fractions):
        problem = block_quadratic(LANDSCAPES[landscape], settings.draw, design)
        is_first = design == settings.designs[0] and warmup == settings.warmup_fractions[0]
        for method, lrs in settings.lrs.items():
            watch = ("exp_avg", "exp_avg_var") if method == "Adam" and is_first else ()
            found = run(problem, method, warmup, settings, watch)
            rows = list(final_rows(found, lrs, settings.max_loss))
            for row in rows:
                yield {"check": "final", "design": design, "warmup": warmup, "method": method, **row}
            if is_first:
                best = best_index(rows)
                yield from curve_rows(found, method, lrs[best], best)
                if watch:
                    yield from variance_rows(found, best)
    problem = block_quadratic(LANDSCAPES[landscape], settings.draw, settings.designs[0])
    for eps in settings.mollifiers:
        found = run_mollified(problem, eps, settings)
        for row in final_rows(found, settings.lrs["Signum"], settings.max_loss):
            yield {"check": "mollified", "method": "Signum", "eps": eps, **row}
    for i, j in itertools.product(range(9), repeat=2):
        yield {"check": "hessian", "row": i, "coordinate": j, "value": problem.hessian[i, j].abs().item()}


def curve_rows(found: Descents, method: str, lr: float, index: int) -> Iterator[dict]:
    for step, losses in zip(found.steps, found.losses[:, index], strict=True):
        yield {"check": "curve", "method": method, "lr": lr, "step": step, **_quartiles(losses)}


def variance_rows(found: Descents, index: int) -> Iterator[dict]:
    """sigma2 and the trust-region radius |d| of every coordinate, medians over seeds, at Adam's best learning rate."""
    m, sigma2 = (found.watched[name][:, index] for name in ("exp_avg", "exp_avg_var"))  # (L, S, 9)
    root = (m.square() + sigma2).sqrt()
    radius = torch.where(root > 0, m.abs() / root, 0.0)
    for k, step in enumerate(found.steps[1:], start=1):
        for coordinate in range(m.shape[-1]):
            values = {
                "value": sigma2[k, :, coordinate].median().item(),
                "radius": radius[k, :, coordinate].median().item(),
            }
            yield {"check": "variance", "step": step, "coordinate": coordinate, "block": coordinate // 3, **values}


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Rotation, e.g. draw-0.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu, paper or paper-lite.")] = "cpu",
) -> None:
    """Descend on both landscapes."""
    settings: QuadraticsShard = load_shard("signed_adam", "quadratics", scale, shard)
    torch.set_num_threads(1)
    provenance = Provenance()
    rows = [
        {"landscape": name, "draw": settings.draw, **row}
        for name in LANDSCAPES
        for row in landscape_rows(name, settings)
    ]
    write_record(out, rows, provenance)


if __name__ == "__main__":
    typer.run(main)

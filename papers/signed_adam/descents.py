"""Descents of SGD, Signum and Adam on block quadratics, and the rows that describe them.

Source: Orvieto and Gower 2025, arXiv 2505.21829, section 4 and appendix; settings in config.yaml.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from papers.signed_adam.config import QuadraticsShard
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


def landscape_parts(landscape: str, settings: QuadraticsShard) -> dict[str, list[dict]]:
    """Part -> rows: `final` losses of every method, design and warm-up; of the first of these also `curve`, `variance`,
    the `mollified` Signum, and the entries of the `hessian`.
    """
    found: dict[str, list[dict]] = {"final": [], "curve": [], "variance": []}
    for design, warmup in itertools.product(settings.designs, settings.warmup_fractions):
        problem = block_quadratic(LANDSCAPES[landscape], settings.draw, design)
        is_first = design == settings.designs[0] and warmup == settings.warmup_fractions[0]
        for method, lrs in settings.lrs.items():
            watch = ("exp_avg", "exp_avg_var") if method == "Adam" and is_first else ()
            descents = run(problem, method, warmup, settings, watch)
            rows = list(final_rows(descents, lrs, settings.max_loss))
            found["final"] += [{"design": design, "warmup": warmup, "method": method, **row} for row in rows]
            if is_first:
                best = best_index(rows)
                found["curve"] += curve_rows(descents, method, lrs[best], best)
            if watch:
                found["variance"] += variance_rows(descents, best)
    problem = block_quadratic(LANDSCAPES[landscape], settings.draw, settings.designs[0])
    found["mollified"] = [
        {"method": "Signum", "eps": eps, **row}
        for eps in settings.mollifiers
        for row in final_rows(run_mollified(problem, eps, settings), settings.lrs["Signum"], settings.max_loss)
    ]
    found["hessian"] = [
        {"row": i, "coordinate": j, "value": problem.hessian[i, j].abs().item()}
        for i, j in itertools.product(range(9), repeat=2)
    ]
    return found


def curve_rows(found: Descents, method: str, lr: float, index: int) -> Iterator[dict]:
    for step, losses in zip(found.steps, found.losses[:, index], strict=True):
        yield {"method": method, "lr": lr, "step": step, **_quartiles(losses)}


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
            yield {"step": step, "coordinate": coordinate, "block": coordinate // 3, **values}

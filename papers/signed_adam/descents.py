"""Descents of SGD, Signum and Adam on block quadratics, and the rows that describe them.

Source: Orvieto and Gower 2025, arXiv 2505.21829, section 4 and appendix; settings in config.yaml.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from papers.signed_adam.settings import QuadraticsShard
from shared.artifacts.sweeps import edge_of
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


def best_row(rows: list[dict], lrs: list[float]) -> dict:
    """That of the best learning rate, with `edge`: where it lies in its grid."""
    best = rows[best_index(rows)]
    return best | {"edge": edge_of(best["lr"], np.array(lrs))}


def landscape_parts(landscape: str, settings: QuadraticsShard) -> dict[str, list[dict]]:
    """Part -> rows.

    `best`: of every method, design and warm-up at its best learning rate; `final`: at every learning rate, first design
    and warm-up; `variant`: the others. With the first ones also Adam's `variance` in the middle of the run, Signum with
    a constant (`mollified`, `best_constant`) and, of the first rotation, `curve` and the entries of the `hessian`.
    """
    found: dict[str, list[dict]] = {part: [] for part in ("best", "final", "variant", "curve")}
    for design, warmup in itertools.product(settings.designs, settings.warmup_fractions):
        problem = block_quadratic(LANDSCAPES[landscape], settings.draw, design)
        is_first = design == settings.designs[0] and warmup == settings.warmup_fractions[0]
        for method, lrs in settings.lrs.items():
            watch = ("exp_avg", "exp_avg_var") if method == "Adam" and is_first else ()
            descents = run(problem, method, warmup, settings, watch)
            rows = list(final_rows(descents, lrs, settings.max_loss))
            labels = {"design": design, "warmup": warmup, "method": method}
            found["best"].append(labels | best_row(rows, lrs))
            found["final" if is_first else "variant"] += [labels | row for row in rows]
            if is_first and settings.draw == settings.draws[0]:
                found["curve"] += curve_rows(descents, method, lrs, best_index(rows))
            if watch:
                found["variance"] = list(variance_rows(descents, best_index(rows), settings.num_steps // 2))
    problem = block_quadratic(LANDSCAPES[landscape], settings.draw, settings.designs[0])
    plain = {row["method"]: row["median"] for row in found["best"][: len(settings.lrs)]}
    beside = {"adam_median": plain["Adam"], "signum_median": plain["Signum"]}
    found |= {"mollified": [], "best_constant": []}
    for eps in settings.mollifiers:
        rows = list(final_rows(run_mollified(problem, eps, settings), settings.lrs["Signum"], settings.max_loss))
        found["mollified"] += [{"eps": eps, **row} for row in rows]
        found["best_constant"].append({"eps": eps, **best_row(rows, settings.lrs["Signum"]), **beside})
    if settings.draw == settings.draws[0]:
        found["hessian"] = [
            {"row": i, "coordinate": j, "value": problem.hessian[i, j].abs().item()}
            for i, j in itertools.product(range(9), repeat=2)
        ]
    return found


def curve_rows(found: Descents, method: str, lrs: list[float], index: int) -> Iterator[dict]:
    """Of one learning rate: median loss with quartiles over time, and sigma2 of each of Adam's coordinates."""
    labels = {"kind": "loss", "line": method, "lr": lrs[index]}
    for step, losses in zip(found.steps, found.losses[:, index], strict=True):
        quartiles = _quartiles(losses)
        yield {**labels, "step": step, "value": quartiles.pop("median"), **quartiles}
    if "exp_avg_var" in found.watched:
        sigma2, _ = variances(found, index)
        for k, coordinate in itertools.product(range(1, len(found.steps)), range(sigma2.shape[-1])):
            line = f"block {coordinate // 3 + 1}, coordinate {coordinate + 1}"
            yield {"kind": "sigma2", "line": line, "step": found.steps[k], "value": sigma2[k, coordinate].item()}


def variances(found: Descents, index: int) -> tuple[Tensor, Tensor]:
    """sigma2 and the trust-region radius |d| of every coordinate over time, medians over seeds, (L, 9) each."""
    m, sigma2 = (found.watched[name][:, index] for name in ("exp_avg", "exp_avg_var"))  # (L, S, 9)
    root = (m.square() + sigma2).sqrt()
    radius = torch.where(root > 0, m.abs() / root, 0.0)
    return sigma2.median(dim=1).values, radius.median(dim=1).values


def variance_rows(found: Descents, index: int, middle: int) -> Iterator[dict]:
    """sigma2 and radius of each block at the logged step next to `middle`: medians over its coordinates."""
    k = min(range(1, len(found.steps)), key=lambda k: abs(found.steps[k] - middle))
    sigma2, radius = (values[k].view(3, 3).median(dim=1).values.tolist() for values in variances(found, index))
    for block, (value, length) in enumerate(zip(sigma2, radius, strict=True)):
        yield {"block": block, "step": found.steps[k], "sigma2": value, "radius": length}

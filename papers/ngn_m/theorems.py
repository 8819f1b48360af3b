"""Step: the theorems' bounds beside what is measured.

python -m papers.ngn_m.theorems --scale cpu --shard theorems
"""

from collections.abc import Iterator

import numpy as np

from papers.ngn_m.descents import descend
from papers.ngn_m.landscapes import quartic
from papers.ngn_m.problems import Theorems
from papers.ngn_m.theory import (
    convex_bound,
    interpolation_bound,
    momentum_limit,
    ngn_d_path,
    random_rows,
    sampled_gaps,
    separable,
    smallest_momentum,
    spectral_radius,
)
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator


def convex_rows(plan: Theorems) -> Iterator[dict]:
    """Theorem 4.3: constant learning rates, rows with noise."""
    problem = random_rows(plan.num_rows, plan.width, plan.noise, numpy_generator(0, "rows"))
    cls, smooth = np.array(plan.cls), problem["smooth"]
    c = cls / smooth
    lam = momentum_limit(c, smooth)
    for offset in plan.offsets:
        draws = numpy_generator(0, "theorem 4.3", str(offset))
        rows = (problem["a"], problem["b"], offset)
        gaps = sampled_gaps(*rows, lambda k: c, lambda k: lam, cls, plan.num_seeds, plan.num_steps, draws)
        for num_steps, own in zip(plan.num_steps, gaps, strict=True):
            bounds = convex_bound(c, smooth, problem["r2"], num_steps, problem["s2_int"], offset)
            for cl, gap, bound in zip(cls, own, bounds, strict=True):
                yield _row("4.3", gap, bound) | {"cl": cl, "num_steps": num_steps, "offset": offset}


def interpolation_rows(plan: Theorems) -> Iterator[dict]:
    """Theorem D.2: no noise, so large momentum is allowed."""
    problem = random_rows(plan.num_rows, plan.width, 0.0, numpy_generator(0, "rows"))
    smooth = problem["smooth"]
    cls = 1 / (4 * plan.largest_lam) / 2.0 ** np.arange(5)
    c, lam = cls / smooth, np.full(len(cls), plan.largest_lam)
    draws, rows = numpy_generator(0, "theorem D.2"), (problem["a"], problem["b"], 0.0)
    gaps = sampled_gaps(*rows, lambda k: c, lambda k: lam, cls, plan.num_seeds, plan.num_steps, draws)
    for num_steps, own in zip(plan.num_steps, gaps, strict=True):
        for cl, gap, bound in zip(cls, own, interpolation_bound(c, smooth, problem["r2"], num_steps), strict=True):
            yield _row("D.2", gap, bound) | {"cl": cl, "num_steps": num_steps, "offset": 0.0}


def rate_rows(plan: Theorems) -> Iterator[dict]:
    """c = 1 / (L sqrt K) for each K (Theorem 4.3), and c_k = 1 / (L sqrt(k + 1)) (Theorem D.5)."""
    problem = random_rows(plan.num_rows, plan.width, plan.noise, numpy_generator(0, "rows"))
    smooth, rows = problem["smooth"], (problem["a"], problem["b"], 0.0)
    one = np.ones(1)
    for num_steps in plan.rate_steps:
        c = one / (smooth * np.sqrt(num_steps))
        lam, draws = momentum_limit(c, smooth), numpy_generator(0, "rate", num_steps)
        gap = sampled_gaps(*rows, lambda k: c, lambda k: lam, one, plan.num_seeds, [num_steps], draws)[0, 0]  # noqa: B023
        bound = float(convex_bound(c, smooth, problem["r2"], num_steps, problem["s2_int"], 0.0)[0])
        yield _row("1/sqrt(K)", gap, bound) | {"num_steps": num_steps}
    decaying = lambda k: one / (smooth * np.sqrt(k + 1))  # noqa: E731
    momentum = lambda k: momentum_limit(decaying(k), smooth) if k else 0 * one  # noqa: E731
    draws = numpy_generator(0, "rate", "decaying")
    gaps = sampled_gaps(*rows, decaying, momentum, one, plan.num_seeds, plan.rate_steps, draws)
    for num_steps, own in zip(plan.rate_steps, gaps[:, 0], strict=True):
        yield _row("1/sqrt(k)", own, np.nan) | {"num_steps": num_steps}


def _row(theorem: str, gap: np.ndarray, bound: float) -> dict:
    mean, error = gap.mean(), gap.std(ddof=1) / np.sqrt(len(gap))
    row = {"theorem": theorem, "gap": mean, "gap_error": error, "bound": bound, "num_seeds": len(gap)}
    return row | {"share": mean / bound}


def spectral_rows(plan: Theorems) -> Iterator[dict]:
    """Theorem E.5: the companion matrix over all its ghat, and NGN-M on x^2 (1 + p^2) with p = x for C = 1."""
    for constant in plan.constants:
        ghat, own = np.linspace(1 / (2 * (1 + constant)), 2, 2001), smallest_momentum(constant)
        for beta in sorted({own, *plan.betas, 0.5 * own}):
            radius = spectral_radius(ghat, beta)
            row = {"constant": constant, "beta": beta, "smallest_beta": own, "allowed": beta >= own}
            row |= {"largest_radius": radius.max(), "smallest_radius": radius.min(), "sqrt_beta": np.sqrt(beta)}
            if constant == 1:
                row["measured_rate"] = _measured_rate(beta)
            yield row


def _measured_rate(beta: float, num_steps: int = 200) -> float:
    """Factor by which |x| shrinks per update of NGN-M on the quartic, the largest over c from 1/2 up."""
    lrs = np.array([0.5, 1.0, 10.0, 1e3, 1e6])
    found = descend(quartic, "NGN-M", lrs, np.full((len(lrs), 1), 10.0), num_steps, beta=beta, log_at=range(num_steps))
    size = np.abs(found.points[:, :, 0])
    ends = np.array([size[start : start + 20].max(0) for start in (num_steps // 4, num_steps - 20)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nanmax((ends[1] / ends[0]) ** (1 / (num_steps - 20 - num_steps // 4))))


def diagonal_rows(plan: Theorems) -> Iterator[dict]:
    """Theorems C.1 and C.2: decrease per update over (c_min / 12) |grad|^2; rate against 1 - mu c_min / 6."""
    scale = np.geomspace(0.01, 10, 12)
    for convex in (False, True):
        landscape, smooth, mu = separable(scale, convex)
        c = 1 / (2 * smooth)
        path = np.array(list(ngn_d_path(landscape, c, np.linspace(-3, 2.5, len(scale)), plan.diagonal_steps)))
        loss, squared = path.T
        alive = np.flatnonzero(loss[1:] > 1e-200)  # before it underflows
        decrease = (loss[alive] - loss[alive + 1]) / (c.min() / 12 * squared[alive])
        rates = loss[alive + 1] / loss[alive]
        bounds = 12 * loss[0] / (c.min() * np.arange(1, len(loss)))
        row = {"theorem": "C.2" if convex else "C.1", "num_steps": plan.diagonal_steps}
        row |= {"smallest_decrease": decrease.min(), "largest_rate": rates.max()}
        row |= {"rate_bound": 1 - mu * c.min() / 6}
        yield row | {"gradient_over_bound": float((np.minimum.accumulate(squared[:-1]) / bounds).max())}


@step
def theorems(settings: Theorems) -> dict[str, Iterator[dict]]:
    """Evaluate the bounds and measure what they bound."""
    bounds = [*convex_rows(settings), *interpolation_rows(settings)]
    parts = {"rates": rate_rows(settings), "spectrum": spectral_rows(settings), "diagonal": diagonal_rows(settings)}
    return {"bounds": bounds, **parts}


if __name__ == "__main__":
    theorems.main()

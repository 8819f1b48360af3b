"""The library's NGN rules on the toy losses over many decades of learning rates: nothing may become infinite or NaN.

Shapes: M learning rates as members, D coordinates.
"""

from collections.abc import Iterator

import numpy as np
import torch

from papers.ngn_m.landscapes import Landscape, diabetes, least_squares, many_minima, quartic, rosenbrock
from papers.ngn_m.names import METHODS
from papers.ngn_m.problems import Toys
from shared.optim.registry import get_rule


def problems(eigenvalue: float) -> dict[str, tuple[Landscape, np.ndarray]]:
    """Name -> landscape and start (D,)."""
    a, b = diabetes(eigenvalue)
    return {
        "quartic": (quartic, np.array([10.0])),
        "rosenbrock": (rosenbrock, np.array([-1.2, 1.0])),
        "minima": (many_minima, np.array([13.0])),
        "least squares": (least_squares(a, b)[0], np.zeros(a.shape[1])),
    }


def descend_by_rule(
    optimizer: str, landscape: Landscape, start: np.ndarray, lrs: np.ndarray, num_steps: int, **settings: float
) -> np.ndarray:
    """Losses (num_steps + 1, M) of a rule of the library at its defaults, in float64.

    Args:
        start: (D,). lrs: (M,).
    """
    rule = get_rule(optimizer)
    members = torch.from_numpy(lrs)[:, None]
    hyper = rule.resolve({"lr": 1.0, **settings}) | {"lr": members}
    params = torch.from_numpy(np.tile(start, (len(lrs), 1)))
    state, losses = rule.init(params), []
    for step in range(num_steps):
        f, g = landscape(params.numpy(), step)
        losses.append(f)
        params, state = rule.step(params, torch.from_numpy(g), state, hyper, torch.from_numpy(f)[:, None])
    return np.array([*losses, landscape(params.numpy(), num_steps)[0]])


def robustness_rows(toys: Toys) -> Iterator[dict]:
    """One row per problem and optimiser: learning rates that ever had a loss that is not finite."""
    plan, lrs = toys.robustness, np.array(toys.robustness.lrs)
    for problem, (landscape, start) in problems(toys.eigenvalue).items():
        for optimizer in plan.optimizers:
            with np.errstate(over="ignore", invalid="ignore"):
                losses = descend_by_rule(optimizer, landscape, start, lrs, plan.num_steps)
            yield {
                "problem": problem,
                "method": METHODS[optimizer],
                "num_lrs": len(lrs),
                "not_finite": int((~np.isfinite(losses).all(0)).sum()),
                "largest_over_start": float(np.nanmax(losses) / losses[0, 0]),
                "best_over_start": float(np.nanmin(losses[-1]) / losses[0, 0]),
            }

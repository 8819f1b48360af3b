"""Weak errors |E f(X_n) - E f(X(T))| and the order in the step size, without Monte Carlo where that is possible.

`exact_expectation` sums over all outcomes of discrete increments. `linear_moments` has the first two moments of a
scalar linear equation in closed form, `fitted_order` the slope of log error over log step.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.sde.problem import SDE
from shared.sde.schemes import scheme_for

_LAWS = {
    "three_point": ((-(3.0**0.5), 1 / 6), (0.0, 2 / 3), (3.0**0.5, 1 / 6)),
    "two_point": ((-1.0, 0.5), (1.0, 0.5)),
}


def exact_expectation(
    sde: SDE,
    x0: float,
    function: Callable[[Tensor], Tensor],
    *,
    step_size: float,
    num_steps: int,
    scheme: str,
    increments: str = "three_point",
    max_outcomes: int = 2**22,
) -> float:
    """E f(X_n) of a scheme with discrete increments for a scalar equation: a sum over all outcomes, exact to rounding.

    Args:
        function: (outcomes, 1) -> (outcomes,) or (outcomes, 1).
        increments: three_point or two_point.
    Raises:
        ValueError: unknown increments, or more than `max_outcomes` of them.
    """
    if increments not in _LAWS:
        raise ValueError(f"only discrete increments can be summed over: {', '.join(_LAWS)}; got '{increments}'")
    law = _LAWS[increments]
    if len(law) ** num_steps > max_outcomes:
        raise ValueError(f"{len(law)}^{num_steps} outcomes are more than {max_outcomes}; take fewer steps")
    step = scheme_for(scheme, sde).step
    x, weight = torch.full((1, 1), x0, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    values = torch.tensor([value for value, _ in law], dtype=torch.float64) * step_size**0.5
    probs = torch.tensor([p for _, p in law], dtype=torch.float64)
    for k in range(num_steps):
        dw = values.repeat(len(x)).unsqueeze(-1)
        x = step(sde, x.repeat_interleave(len(law), 0), k * step_size, step_size, dw)
        weight = (weight[:, None] * probs).flatten()
    return float((function(x).reshape(-1) * weight).sum())


def linear_moments(
    x0: float, time: float, *, rate: float, additive: float = 0.0, multiplicative: float = 0.0
) -> tuple[float, float]:
    """(E X, E X^2) at `time` of dX = -rate X dt + sqrt(additive + multiplicative X^2) dW, X(0) = x0.

    The second moment solves m' = -(2 rate - multiplicative) m + additive.

    Args:
        additive, multiplicative: variances per unit of time, at least 0.
    """
    if additive < 0 or multiplicative < 0:
        raise ValueError(f"variances are at least 0; got additive {additive:g}, multiplicative {multiplicative:g}")
    decay = 2 * rate - multiplicative
    growth = time if decay == 0 else -math.expm1(-decay * time) / decay
    return x0 * math.exp(-rate * time), x0**2 * math.exp(-decay * time) + additive * growth


def fitted_order(step_sizes: Sequence[float], errors: Sequence[float]) -> float:
    """Slope of log |error| over log step size by least squares.

    Raises:
        ValueError: fewer than two points, or an error of zero or not finite (nothing to take the logarithm of).
    """
    steps = torch.tensor([float(h) for h in step_sizes], dtype=torch.float64)
    sizes = torch.tensor([abs(float(e)) for e in errors], dtype=torch.float64)
    if len(steps) != len(sizes) or len(steps) < 2:
        raise ValueError(f"an order needs two or more pairs; got {len(steps)} step sizes and {len(sizes)} errors")
    if not bool(torch.isfinite(sizes).all()) or bool((sizes == 0).any()) or bool((steps <= 0).any()):
        raise ValueError(f"step sizes must be positive, errors finite and not zero; got errors {sizes.tolist()}")
    x, y = steps.log(), sizes.log()
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())


@dataclass(frozen=True)
class MeanEstimate:
    """A Monte Carlo mean over those values that are finite.

    Attributes:
        mean, standard_error: over the finite values.
        count: how many those are; excluded: how many were not finite.
    """

    mean: float
    standard_error: float
    count: int
    excluded: int


def mean_estimate(values: Tensor) -> MeanEstimate:
    """Mean and standard error of (N,) draws; values that are not finite are left out and counted."""
    values = values.flatten().double()
    finite = values[torch.isfinite(values)]
    count = len(finite)
    mean = float(finite.mean()) if count else math.nan
    error = float(finite.std() / count**0.5) if count > 1 else math.nan
    return MeanEstimate(mean, error, count, len(values) - count)


def quantiles_with_explosions(values: Tensor, probs: Sequence[float] = (0.25, 0.5, 0.75), dim: int = 0) -> Tensor:
    """Quantiles over all paths with exploded ones (not finite) as +inf, by the nearest rank from above.

    An interpolated quantile of finite and infinite values would be infinite or NaN; a rank is one of the values.

    Returns:
        (len(probs), ...): the axis `dim` is gone.
    Raises:
        ValueError: a probability outside [0, 1].
    """
    if any(not 0 <= p <= 1 for p in probs):
        raise ValueError(f"probabilities lie in [0, 1]; got {list(probs)}")
    ranked = torch.where(torch.isfinite(values), values, math.inf).sort(dim).values
    size = values.shape[dim]
    return torch.stack([ranked.select(dim, max(0, math.ceil(p * size) - 1)) for p in probs])

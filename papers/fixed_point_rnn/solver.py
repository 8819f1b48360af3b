"""Damped fixed-point iteration with the paper's stopping rule, and its truncated gradient.

Shapes: B sequences, T time, D channels. A solve may be mapped by torch.vmap over members of an ensemble: each member
then stops by its own rule, and what has stopped does not change any more.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import debug_unwrap

from papers.fixed_point_rnn.settings import SolverSettings

_EPS = 1e-8  # of the relative residual's denominator
Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """Where an iteration ended.

    y: (B, T, D). iterations: evaluations of the map, the differentiable ones included, 0-d. residual, best: last and
    smallest relative residual of every sequence, (B,).
    """

    y: Tensor
    iterations: Tensor
    residual: Tensor
    best: Tensor


def relative_residual(new: Tensor, old: Tensor) -> Tensor:
    """max over t of |new_t - old_t|_inf / (|new_t|_inf + 1e-8), (B, T, D) -> (B,), at least float32."""
    new, old = (z.to(torch.promote_types(z.dtype, torch.float32)) for z in (new, old))
    return ((new - old).abs().amax(-1) / (new.abs().amax(-1) + _EPS)).amax(-1)


def quantile(values: Tensor, q: float) -> Tensor:
    """Linear interpolation between order statistics, as torch.quantile, which has no batching rule; (B,) -> 0-d."""
    position = q * (len(values) - 1)
    low = int(position)
    ordered = values.sort().values
    if position == low:
        return ordered[low]
    return ordered[low] + (position - low) * (ordered[low + 1] - ordered[low])


def solve(
    f: Map, y: Tensor, settings: SolverSettings, *, l_max: Tensor | int | None = None, strict: bool = False
) -> Solution:
    """Iterate y <- damping f(y) + (1 - damping) y without gradient, then take `num_backward` plain steps with it.

    Every sequence keeps its best residual, its damping and its patience; the damping falls by `damping_decay` after
    `patience` iterations without a new best residual. The iteration ends where the `quantile` of the best residuals
    falls below `tol` (the best, not the current ones: the released code's rule), where every damping is below
    `min_damping`, or after `l_max` iterations. The gradient of one plain step at the fixed point is the paper's.

    Args:
        f: the map; differentiable. y: where it starts, (B, T, D).
        l_max: replaces the settings' own; a number or a 0-d tensor.
        strict: raise where the iteration is not finite; not to be used under vmap.
    Raises:
        ValueError: (strict) a state that is not finite; names the iteration.
    """
    l_max = settings.l_max if l_max is None else l_max
    with torch.no_grad():
        y = y.detach()
        best = y.new_full(y.shape[:1], float("inf"), dtype=torch.promote_types(y.dtype, torch.float32))
        residual, damping = best, torch.full_like(best, settings.damping)
        patience = torch.full_like(best, settings.patience)
        count, done = torch.zeros_like(best[0]), torch.zeros_like(best[0], dtype=torch.bool)
        some = every = False  # members that are done

        def unless_done(old: Tensor, new: Tensor) -> Tensor:
            return torch.where(done, old, new) if some else new

        while not every:
            new = f(y)
            now = relative_residual(new, y)
            better = now < best
            waited = torch.where(better, settings.patience, patience - 1)
            drops = waited <= 0
            stepped = (
                new
                if settings.damping == 1 == settings.damping_decay
                else torch.lerp(y, new, damping[:, None, None].to(y.dtype))
            )
            y = unless_done(y, stepped)
            residual = unless_done(residual, now)
            best = unless_done(best, torch.where(better, now, best))
            patience = unless_done(patience, torch.where(drops, settings.patience, waited))
            damping = unless_done(damping, torch.where(drops, damping * settings.damping_decay, damping))
            count = unless_done(count, count + 1)
            done = done | (quantile(best, settings.quantile) < settings.tol) | (damping.amax() < settings.min_damping)
            done = done | (count >= l_max) | ~torch.isfinite(now).all()
            flags = debug_unwrap(done)  # of all members, where the call is mapped by torch.vmap
            some, every = bool(flags.any()), bool(flags.all())
        if strict and not bool(torch.isfinite(residual).all()):
            raise ValueError(f"the state is not finite after iteration {int(count)}; lower reflection_scale or the lr")
    for _ in range(settings.num_backward):
        y = f(y)
    return Solution(y, count + settings.num_backward, residual, best)

"""Many paths at once, in blocks, with explosions found, frozen and counted.

Shapes: P paths, d coordinates; between them any axes for parameters and settings.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.sde.problem import SDE, Time
from shared.sde.schemes import INCREMENTS, Scheme, scheme_for

CAP = 1e8  # a path beyond it counts as exploded
_BLOCK_NUMBERS = 16384  # numbers of state per block: a step's temporaries then stay in a core's cache


@dataclass(frozen=True)
class Paths:
    """What was recorded of a simulation.

    Attributes:
        steps: recorded step numbers, (K,); the first is 0.
        states: (K, P, ..., d); +inf in all coordinates from the first record after an explosion on.
        exploded_at: step at which each path passed the cap or stopped being finite, (P, ...); -1 for never.
    """

    steps: Tensor
    states: Tensor
    exploded_at: Tensor

    @property
    def num_exploded(self) -> Tensor:
        """Exploded paths up to each record, (K, ...): counted over P."""
        steps = self.steps.view(-1, *[1] * self.exploded_at.dim())
        return ((self.exploded_at >= 0) & (self.exploded_at <= steps)).sum(1)


def simulate(
    sde: SDE,
    x0: Tensor,
    *,
    step_size: Time,
    num_steps: int,
    generator: torch.Generator,
    scheme: str = "euler",
    increments: str = "gaussian",
    record_every: int | None = None,
    cap: float = CAP,
    num_threads: int = 1,
    block_numbers: int = _BLOCK_NUMBERS,
) -> Paths:
    """Paths of an equation from `x0`.

    The paths are cut into blocks with a generator each, seeded from `generator`; so the result is a function of its
    state and of `block_numbers`, and not of the number of threads.

    Args:
        x0: (P, ..., d), float32 or float64.
        step_size: dt; a tensor broadcasts against the axes of x0 after the first, so that settings with different
            steps run together.
        num_steps: steps to take.
        scheme: euler, milstein or platen.
        increments: gaussian, three_point or two_point.
        record_every: steps between records; None: start and end only.
        cap: a path is exploded once the largest |x_j| is above it or not a number. It is frozen there.
        num_threads: threads that work on blocks; each uses torch as it is set up.
    Raises:
        ValueError: sizes out of range, unknown names, a scheme that does not fit the noise.
    """
    chosen = scheme_for(scheme, sde)
    if increments not in INCREMENTS:
        raise ValueError(f"unknown increments '{increments}'; known are {', '.join(INCREMENTS)}")
    if increments == "two_point" and chosen.weak_order > 1:
        raise ValueError("two_point increments match three moments, enough for weak order 1; use three_point")
    if num_steps < 1 or x0.dim() < 2 or not math.isfinite(cap) or cap <= 0 or num_threads < 1 or block_numbers < 1:
        raise ValueError(
            "simulate needs num_steps, num_threads and block_numbers of at least 1, a finite positive cap and x0 of"
            f" shape (paths, ..., d); got num_steps {num_steps}, num_threads {num_threads}, block_numbers"
            f" {block_numbers}, cap {cap:g}, x0 {tuple(x0.shape)}"
        )
    if bool((torch.as_tensor(step_size) <= 0).any()):
        raise ValueError(f"step_size must be positive; got {step_size}")
    every = record_every or num_steps
    if every < 1 or num_steps % every:
        raise ValueError(f"record_every must divide num_steps = {num_steps}; got {every}")

    rows = max(1, block_numbers // max(1, x0[0].numel()))
    blocks = x0.split(rows)
    seeds = torch.randint(2**62, (len(blocks),), generator=generator, device=generator.device).tolist()

    def run(block: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        own = torch.Generator(device=x0.device).manual_seed(seed)
        return _block(sde, chosen, INCREMENTS[increments], block, step_size, num_steps, every, own, cap)

    if num_threads == 1 or len(blocks) == 1:
        parts = [run(*pair) for pair in zip(blocks, seeds, strict=True)]
    else:
        with ThreadPoolExecutor(num_threads) as pool:
            parts = list(pool.map(run, blocks, seeds))
    states, exploded = (torch.cat([part[i] for part in parts], dim=1 - i) for i in (0, 1))
    return Paths(torch.arange(0, num_steps + 1, every), states, exploded)


@torch.no_grad()
def _block(
    sde: SDE,
    scheme: Scheme,
    draw: Callable[[Tensor, torch.Generator], Tensor],
    x: Tensor,
    dt: Time,
    num_steps: int,
    every: int,
    generator: torch.Generator,
    cap: float,
) -> tuple[Tensor, Tensor]:
    """(records (K, rows, ..., d), exploded_at (rows, ...)) of one block."""
    root = dt.sqrt() if isinstance(dt, Tensor) else dt**0.5
    exploded_at = torch.full(x.shape[:-1], -1)
    records, frozen = [x], None
    for k in range(num_steps):
        new = scheme.step(sde, x, k * dt, dt, draw(x, generator).mul_(root))
        if frozen is not None:
            new = torch.where(frozen, x, new)
        if not float(torch.linalg.vector_norm(new, math.inf)) <= cap:  # also true of a NaN
            gone = ~(new.abs() <= cap).all(-1)
            exploded_at[gone & (exploded_at < 0)] = k + 1
            frozen = (exploded_at >= 0).unsqueeze(-1)
            new = torch.where(frozen, x, new)  # the last state below the cap
        x = new
        if (k + 1) % every == 0:
            records.append(x if frozen is None else torch.where(frozen, math.inf, x))
    return torch.stack(records), exploded_at

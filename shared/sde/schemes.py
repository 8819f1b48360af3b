"""One step of each scheme, as a function of the Brownian increment.

A step maps (sde, x, t, dt, dw) to the state at t + dt. `dw` is the increment: Gaussian with variance dt, or any law
that agrees with it in enough moments (`INCREMENTS`). All schemes are explicit.

| name | strong order | weak order | noise | evaluations of a, b |
| --- | --- | --- | --- | --- |
| euler | 1/2 (1 if additive) | 1 | any diagonal | 1, 1 |
| milstein | 1 | 1 | additive, componentwise | 1, 2 |
| platen | 1/2 (1 if additive) | 2 | additive, componentwise | 2, 3 |

Source: Kloeden and Platen 1992, Numerical Solution of Stochastic Differential Equations: Euler (10.2.4),
derivative-free Milstein (11.1.3), explicit weak order 2.0 (15.1.1). With componentwise noise and a coupled drift,
Platen's scheme evaluates the diffusion at supporting values of all coordinates at once; b_j sees only its own
coordinate, so that is the multi-dimensional scheme (15.1.3) without its mixed terms, which vanish.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.sde.problem import SDE, Time

Step = Callable[[SDE, Tensor, Time, Time, Tensor], Tensor]


def _root(dt: Time) -> Time:
    return dt.sqrt() if isinstance(dt, Tensor) else dt**0.5


def euler_step(sde: SDE, x: Tensor, t: Time, dt: Time, dw: Tensor) -> Tensor:
    """x + a dt + b dw (Euler-Maruyama)."""
    return x + sde.drift(x, t) * dt + sde.diffusion(x, t) * dw


def milstein_step(sde: SDE, x: Tensor, t: Time, dt: Time, dw: Tensor) -> Tensor:
    """Euler's step plus (b(y) - b(x)) (dw^2 - dt) / (2 sqrt(dt)) with y = x + a dt + b sqrt(dt)."""
    drift, diffusion, root = sde.drift(x, t) * dt, sde.diffusion(x, t), _root(dt)
    support = sde.diffusion(x + drift + diffusion * root, t)
    return x + drift + diffusion * dw + (support - diffusion) * (dw * dw - dt) / (2 * root)


def platen_step(sde: SDE, x: Tensor, t: Time, dt: Time, dw: Tensor) -> Tensor:
    """Explicit weak order 2, for drift and diffusion that may depend on time through smooth coefficients.

    With y = x + a dt + b dw and y+- = x + a dt +- b sqrt(dt):
    x + (a(y) + a) dt/2 + (b(y+) + b(y-) + 2b) dw/4 + (b(y+) - b(y-)) (dw^2 - dt) / (4 sqrt(dt)).
    """
    drift, diffusion, root = sde.drift(x, t), sde.diffusion(x, t), _root(dt)
    moved = x + drift * dt
    end = sde.drift(moved + diffusion * dw, t + dt)
    up, down = sde.diffusion(moved + diffusion * root, t + dt), sde.diffusion(moved - diffusion * root, t + dt)
    across = (up - down) * (dw * dw - dt) / (4 * root)
    return x + (end + drift) * dt / 2 + (up + down + 2 * diffusion) * dw / 4 + across


@dataclass(frozen=True)
class Scheme:
    """A step and what is known of it.

    Attributes:
        step: the map.
        weak_order: order of the error of expectations of smooth functions.
        any_diagonal: whether b_j may depend on other coordinates than its own.
    """

    step: Step
    weak_order: int
    any_diagonal: bool


SCHEMES = {
    "euler": Scheme(euler_step, 1, True),
    "milstein": Scheme(milstein_step, 1, False),
    "platen": Scheme(platen_step, 2, False),
}


def scheme_for(name: str, sde: SDE) -> Scheme:
    """The named scheme.

    Raises:
        ValueError: unknown, or not of its order for this equation's noise.
    """
    if name not in SCHEMES:
        raise ValueError(f"unknown scheme '{name}'; the schemes are {', '.join(SCHEMES)}")
    scheme = SCHEMES[name]
    if sde.noise == "diagonal" and not scheme.any_diagonal:
        raise ValueError(
            f"scheme {name} needs additive or componentwise noise and the equation declares 'diagonal'; say so in"
            " SDE(noise=...) if b_j depends on x_j alone, or use scheme euler"
        )
    return scheme


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal draws of `like`'s shape and dtype.

    Drawn in float32 also for float64 states: five times as fast on a CPU, and a 24-bit uniform behind a normal changes
    moments by less than 1e-6 and cuts the tail at 5.8 standard deviations, below any Monte Carlo error.
    """
    noise = torch.empty(like.shape, dtype=torch.float32, device=like.device).normal_(generator=generator)
    return noise.to(like.dtype)


def three_point(like: Tensor, generator: torch.Generator) -> Tensor:
    """-sqrt(3), 0, sqrt(3) with probabilities 1/6, 2/3, 1/6: the first five moments of a normal (weak order 2)."""
    draws = torch.randint(6, like.shape, generator=generator, device=like.device)
    return ((draws == 0).to(like.dtype) - (draws == 1).to(like.dtype)) * 3.0**0.5


def two_point(like: Tensor, generator: torch.Generator) -> Tensor:
    """-1 or 1: the first three moments of a normal (weak order 1)."""
    return torch.randint(2, like.shape, generator=generator, device=like.device).to(like.dtype) * 2 - 1


INCREMENTS = {"gaussian": gaussian, "three_point": three_point, "two_point": two_point}

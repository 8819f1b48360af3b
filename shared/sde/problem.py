"""An Ito equation with diagonal noise, dX_j = a_j(X, t) dt + b_j(X, t) dW_j."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Time = float | Tensor
Coefficient = Callable[[Tensor, Time], Tensor | float]

# additive: b does not depend on x. componentwise: b_j depends on x_j alone. diagonal: b_j may depend on all of x.
NoiseKind = Literal["additive", "componentwise", "diagonal"]


@dataclass(frozen=True)
class SDE:
    """Drift and diffusion as functions of (x, t).

    Args:
        drift: a(x, t); x is (paths, ..., d), the result has its shape.
        diffusion: b(x, t), the diagonal of the diffusion matrix: broadcasts against x.
        noise: what b depends on. Schemes beyond Euler's are exact to their order only for "additive" and
            "componentwise" noise, and refuse "diagonal".

    Parameters that differ between runs are tensors that the functions close over; they broadcast against the axes of
    x after the first. The first axis is the paths' own: `simulate` may cut it into blocks.
    """

    drift: Coefficient
    diffusion: Coefficient
    noise: NoiseKind = "diagonal"

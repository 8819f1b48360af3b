"""Expectations of a one-dimensional diffusion without sampling: Kolmogorov's backward equation.

u(t, x) = E[phi(X_t) | X_0 = x] solves u_t = a(x) u_x + b(x)^2 u_xx / 2, u(0, x) = phi(x). Crank-Nicolson in time,
central differences in space, one-sided ones at the ends, where they look upwind if the drift points inwards.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_banded

Function = Callable[[np.ndarray], np.ndarray]


def diffusion_expectation(
    drift: Function,
    variance: Function,
    function: Function,
    x0: float,
    time: float,
    *,
    reach: float = 4.0,
    num_places: int = 4001,
    num_steps: int = 800,
) -> float:
    """E[function(X_time)] for dX = drift dt + sqrt(variance) dW from x0.

    Args:
        reach: the equation is solved on [-reach, reach].
    Raises:
        ValueError: x0 outside, or a drift that points outwards at an end.
    """
    x = np.linspace(-reach, reach, num_places)
    a, half_variance = drift(x), 0.5 * variance(x)
    if not abs(x0) < reach or a[0] < 0 or a[-1] > 0:
        raise ValueError(f"the drift must point inwards at +-{reach:g} and x0 = {x0:g} lie inside; widen `reach`")
    dx, dt = x[1] - x[0], time / num_steps
    lower, upper = half_variance / dx**2 - a / (2 * dx), half_variance / dx**2 + a / (2 * dx)
    centre = -2 * half_variance / dx**2
    lower[-1], centre[-1], upper[-1] = -a[-1] / dx, a[-1] / dx, 0.0
    lower[0], centre[0], upper[0] = 0.0, -a[0] / dx, a[0] / dx
    implicit = np.zeros((3, num_places))
    implicit[0, 1:], implicit[1], implicit[2, :-1] = (
        -0.5 * dt * upper[:-1],
        1 - 0.5 * dt * centre,
        -0.5 * dt * lower[1:],
    )
    u = function(x)
    for _ in range(num_steps):
        explicit = u + 0.5 * dt * (centre * u + lower * np.roll(u, 1) + upper * np.roll(u, -1))
        u = solve_banded((1, 1), implicit, explicit)
    return float(np.interp(x0, x, u))

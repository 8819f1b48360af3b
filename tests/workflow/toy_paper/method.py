"""Gradient descent on f(x) = curvature x^2 / 2 from x = 1."""

from shared.kernels.quadratic import contraction


def loss_path(curvature: float, lr: float, num_steps: int) -> list[float]:
    """Losses at steps 0..num_steps."""
    positions = [contraction(curvature, lr) ** step for step in range(num_steps + 1)]
    return [curvature * x**2 / 2 for x in positions]

"""Gradient descent on f(x) = curvature x^2 / 2 from x = 1."""


def loss_path(curvature: float, lr: float, num_steps: int) -> list[float]:
    """Losses at steps 0..num_steps."""
    return [curvature * (1 - lr * curvature) ** (2 * step) / 2 for step in range(num_steps + 1)]

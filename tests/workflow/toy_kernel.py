"""The toy paper's kernel; in its repository it lies at shared/kernels/quadratic.py."""


def contraction(curvature: float, lr: float) -> float:
    """Factor by which one step of gradient descent on curvature x^2 / 2 multiplies x."""
    return 1 - lr * curvature

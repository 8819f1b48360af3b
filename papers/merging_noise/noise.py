"""The effective noise scale of SGD, and what it predicts in closed form. No torch here.

Symbols: eta learning rate, B batch size, mu momentum, lam weight decay, c curvature.

Source: arXiv 2510.04686, effective noise scale S_eff ~ eta / (B (1 - mu)) tr Sigma; the closed forms are ours.
"""

import math
from collections.abc import Mapping

import numpy as np

from shared.base.seeding import numpy_generator


def noise_scale(lr: float, batch_size: int, momentum: float = 0.0, *, momentum_power: int = 1) -> float:
    """S~ = lr / (B (1 - mu)^power) of heavy-ball SGD, buffer mu v + g: proportional to the stationary variance.

    Args:
        momentum_power: 1 follows from the stationary variance; 2 is what the submission had.
    Raises:
        ValueError: lr not positive, a batch below 1, momentum outside [0, 1).
    """
    if not lr > 0:
        raise ValueError(f"the learning rate must be positive; got {lr:g}")
    if batch_size < 1:
        raise ValueError(f"a batch has at least one row; got {batch_size}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must lie in [0, 1); got {momentum:g}")
    return lr / (batch_size * (1 - momentum) ** momentum_power)


def noise_of(optimizer: str, settings: Mapping[str, float], batch_size: int, *, momentum_power: int = 1) -> float:
    """S~ of a run in its optimiser's own convention; nan for optimisers that have none, such as Adam.

    `sgd_ema` averages gradients, mu v + (1 - mu) g: a gradient moves the weights by lr in all, without 1 / (1 - mu).
    Dampening d scales all but the first gradient by 1 - d.

    Raises:
        ValueError: Nesterov momentum, for which the formula was not derived; values out of range.
    """
    lr, momentum = float(settings["lr"]), float(settings.get("momentum", 0.0))
    if optimizer == "sgd_ema":
        return noise_scale(lr, batch_size)
    if optimizer != "sgd":
        return math.nan
    if settings.get("nesterov"):
        raise ValueError("the noise scale was derived for heavy-ball momentum; set nesterov to false")
    kept = 1 - float(settings.get("dampening", 0.0)) if momentum else 1.0
    return noise_scale(kept * lr, batch_size, momentum, momentum_power=momentum_power)


def stationary_variance(lr: float, variance: float, batch_size: int, momentum: float, curvature: float) -> float:
    """Variance of heavy-ball SGD on c x^2 / 2 with gradient noise of variance s / B, exactly.

    eta (s / B) (1 + mu) / (c (1 - mu) (2 (1 + mu) - eta c)), which tends to eta (s / B) / (2 c (1 - mu)).

    Raises:
        ValueError: beyond eta c = 2 (1 + mu) nothing is stationary.
    """
    if not lr * curvature < 2 * (1 + momentum):
        raise ValueError(f"lr {lr:g} is unstable at curvature {curvature:g}; it has to lie below 2 (1 + mu) / c")
    numerator = lr * variance / batch_size * (1 + momentum)
    return numerator / (curvature * (1 - momentum) * (2 * (1 + momentum) - lr * curvature))


def heavy_ball_chains(
    lr: float, variance: float, batch_size: int, momentum: float, curvature: float, *, num_chains: int, num_steps: int
) -> np.ndarray:
    """Last iterates (num_chains,) of chains v <- mu v + c x + noise, x <- x - eta v from 0, Gaussian noise."""
    draw = numpy_generator(0, "heavy ball", f"{lr:g} {momentum:g}")
    x, v = np.zeros(num_chains), np.zeros(num_chains)
    for _ in range(num_steps):
        v = momentum * v + curvature * x + math.sqrt(variance / batch_size) * draw.standard_normal(num_chains)
        x = x - lr * v
    return x


def quadratic_gains(x: np.ndarray, curvature: float) -> np.ndarray:
    """loss_gain of merging chains in pairs (1st with 2nd ...) on c x^2 / 2; its mean is c Var / 4."""
    a, b = x[0::2], x[1::2]
    loss = lambda t: curvature * t**2 / 2  # noqa: E731
    return (loss(a) + loss(b)) / 2 - loss((a + b) / 2)


def equilibrium_squared_norm(lr: float, weight_decay: float, gradient: float = 1.0) -> float:
    """|theta|^2 at which decay and growth of scale-invariant weights balance: sqrt(eta G^2 / (2 lam)).

    Args:
        gradient: G, the gradient's norm on the unit sphere.
    """
    return math.sqrt(lr * gradient**2 / (2 * weight_decay))


def effective_lr(lr: float, squared_norm: float) -> float:
    """eta / |theta|^2: the learning rate of the direction of scale-invariant weights."""
    return lr / squared_norm


def simulated_squared_norm(lr: float, weight_decay: float, *, size: int, num_steps: int) -> float:
    """|theta|^2 after SGD with decay from norm 1; gradients are random, orthogonal to theta, of norm 1 / |theta|."""
    draw = numpy_generator(0, "equilibrium norm")
    theta = draw.standard_normal(size)
    theta /= np.linalg.norm(theta)
    for _ in range(num_steps):
        gradient = draw.standard_normal(size)
        gradient -= (gradient @ theta) / (theta @ theta) * theta
        gradient /= np.linalg.norm(gradient) * np.linalg.norm(theta)
        theta = (1 - lr * weight_decay) * theta - lr * gradient
    return float(theta @ theta)

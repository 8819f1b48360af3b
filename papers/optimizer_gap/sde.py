"""SGD and SignSGD as stochastic differential equations, with the batch size in them.

Minibatch gradient ~ N(grad f(x), Sigma / B), Sigma = diag(sigma_k^2); no momentum; time t = (number of updates) * eta
for both methods, so that they are compared at equal numbers of updates.

    SGD      dX = -grad f(X) dt + sqrt(eta / B) Sigma^{1/2} dW
    SignSGD  dX = -E(X) dt + sqrt(eta) (I - diag(E(X)^2))^{1/2} dW,    E(X) = erf(sqrt(B/2) Sigma^{-1/2} grad f(X))

E(X) is exactly the mean of the sign of the minibatch gradient and 1 - E(X)^2 its variance. Where the signal is small,
erf(z) ~ 2 z / sqrt(pi), so that the drift grows as sqrt(B); the tangent is above erf everywhere and within 5% of it for
z < 0.39 only. Both equations are weak approximations of order 1 in eta.

Source: Sreckovic et al. 2025, arXiv 2506.12543, section 4.3, eqs. 2-3 and Theorem 1.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from shared.sde.problem import SDE

Gradient = Callable[[Tensor], Tensor]
SMALL_SIGNAL = 0.39  # erf(z) is within 5% of its tangent 2 z / sqrt(pi) below this z


def _check(eta: float, batch_size: float, sigma: Tensor | float, positive: bool) -> None:
    low = torch.as_tensor(sigma).min()
    if not eta > 0 or not batch_size >= 1:
        raise ValueError(f"needs a learning rate eta > 0 and a batch size of at least 1; got {eta} and {batch_size}")
    if not (low > 0 if positive else low >= 0):
        word = "positive: without noise the sign has no smooth mean" if positive else "at least 0"
        raise ValueError(f"the noise sigma must be {word}; got {float(low):g}")


def mean_sign(gradient: Tensor, batch_size: Tensor | float, sigma: Tensor | float) -> Tensor:
    """E[sign(g_B)] = erf(sqrt(B/2) g / sigma), of the shape of `gradient`."""
    batch_size = torch.as_tensor(batch_size, dtype=gradient.dtype)
    return torch.erf((batch_size / 2).sqrt() * gradient / sigma)


def sgd_sde(gradient: Gradient, *, eta: float, batch_size: float, sigma: Tensor | float) -> SDE:
    """The equation of SGD; B is in its noise only."""
    _check(eta, batch_size, sigma, positive=False)
    scale = math.sqrt(eta / batch_size) * sigma
    return SDE(lambda x, t: -gradient(x), lambda x, t: scale, noise="additive")


def sign_sde(gradient: Gradient, *, eta: float, batch_size: float, sigma: Tensor | float) -> SDE:
    """The equation of SignSGD; B is in its drift."""
    _check(eta, batch_size, sigma, positive=True)

    def diffusion(x: Tensor, t: float) -> Tensor:
        return (eta * (1 - mean_sign(gradient(x), batch_size, sigma).square())).clamp_min(0).sqrt()

    return SDE(lambda x, t: -mean_sign(gradient(x), batch_size, sigma), diffusion, noise="diagonal")


# -- one-dimensional quadratic, f(x) = h x^2 / 2


def sgd_second_moment(x0: float, num_steps: int, *, h: float, sigma: float, eta: float, batch_size: float) -> float:
    """E[x_k^2] of the discrete method: m <- (1 - eta h)^2 m + eta^2 sigma^2 / B, solved."""
    _check(eta, batch_size, sigma, positive=False)
    kept, added = (1 - eta * h) ** 2, eta**2 * sigma**2 / batch_size
    limit = added / (1 - kept)
    return limit + kept**num_steps * (x0**2 - limit)


def sgd_stationary_variance(*, h: float, sigma: float, eta: float, batch_size: float, discrete: bool = True) -> float:
    """eta sigma^2 / (B h (2 - eta h)); the equation's own, without the eta h, if not `discrete`."""
    _check(eta, batch_size, sigma, positive=False)
    return eta * sigma**2 / (batch_size * h * (2 - (eta * h if discrete else 0.0)))


def sign_stationary_variance(*, h: float, sigma: float, eta: float, batch_size: float) -> float:
    """(eta/2) (sigma/h) sqrt(pi / (2B)): the small-eta limit, in which the stationary law has a small signal."""
    _check(eta, batch_size, sigma, positive=True)
    return 0.5 * eta * sigma / h * math.sqrt(math.pi / (2 * batch_size))


def sign_rate(*, h: float, sigma: float, batch_size: float) -> float:
    """Rate towards stationarity in the small-signal range, sqrt(2B/pi) h / sigma; SGD's is h whatever B."""
    return math.sqrt(2 * batch_size / math.pi) * h / sigma

"""Constants and step-size bounds of the theorems; numpy only.

Names: s0, s1 standard deviations per coordinate, omega of the compressor, N clients, d dimension, (L0, L1) smoothness.
Theorem numbers are those of version 2; what is marked reconstructed could not be read in the paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from shared.base.updates import whole_updates


def check_clients(num_clients: int, d: int) -> None:
    if num_clients < 1 or d < 1:
        raise ValueError(f"there must be at least one client and one dimension; got N = {num_clients}, d = {d}")


def second_moment_constants(
    d: int, omega: Sequence[float], s0: Sequence[float], s1: Sequence[float]
) -> tuple[float, float]:
    """(kappa, noise) with E|u|^2 <= kappa |grad f|^2 + noise; one entry per client in each sequence.

    kappa = 1 + (mean omega + d (mean s1^2 omega + mean s1^2)) / N, noise = d (mean s0^2 + mean s0^2 omega) / N.
    Equality if the noise has exactly these variances and |C(v) - v|^2 has mean omega |v|^2.
    """
    omega, s0, s1 = (np.asarray(x, float) for x in (omega, s0, s1))
    check_clients(len(omega), d)
    if not len(omega) == len(s0) == len(s1):
        raise ValueError(f"one omega, s0 and s1 per client; got {len(omega)}, {len(s0)} and {len(s1)}")
    if (np.concatenate([omega, s0, s1]) < 0).any():
        raise ValueError("omega and noise scales are at least 0")
    kappa = 1 + (omega.mean() + d * (s1**2 * (1 + omega)).mean()) / len(omega)
    return float(kappa), float(d * (s0**2 * (1 + omega)).mean() / len(omega))


def equal_clients(d: int, num_clients: int, omega: float, s0: float, s1: float) -> tuple[float, float]:
    """(kappa, noise) of clients that are all alike."""
    check_clients(num_clients, d)
    return second_moment_constants(d, *([value] * num_clients for value in (omega, s0, s1)))


@dataclass(frozen=True)
class Bound:
    """Largest eta * eta_t of a theorem under the corrected SDE and under the classical one; inf: no limit."""

    corrected: float
    classical: float


def dcsgd_bound(l0: float, l1: float, grad_norm: float, kappa: float, noise: float, eps: float) -> Bound:
    """Theorem 4.2: 2 eps / (G kappa + L1 noise), G = L0 + L1 E|grad f|; classical: kappa - 1 in place of kappa."""
    if l0 < 0 or l1 < 0 or not 0 < eps < 1:
        raise ValueError(f"the bound needs L0, L1 of at least 0 and eps in (0, 1); got {l0:g}, {l1:g}, {eps:g}")
    g = l0 + l1 * grad_norm

    def limit(factor: float) -> float:
        below = g * factor + l1 * noise
        return math.inf if below <= 0 else 2 * eps / below

    return Bound(limit(kappa), limit(kappa - 1))


def sign_mean(u: np.ndarray | float, nu: float) -> np.ndarray:
    """2 Xi_nu(u) = 2 F_nu(u) - 1 by the hypergeometric function; erf(u / sqrt 2) for infinite nu.

    Above nu = 100 the distribution function itself: scipy's 2F1 loses its digits there and then gives NaN.
    """
    u = np.asarray(u, float)
    if not nu > 0:
        raise ValueError(f"the degrees of freedom nu must be positive; got {nu}")
    if math.isinf(nu):
        return special.erf(u / math.sqrt(2))
    if nu > 100:
        return 2 * special.stdtr(nu, u) - 1
    front = 2 * u * math.exp(special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)) / math.sqrt(math.pi * nu)
    return front * special.hyp2f1(0.5, (nu + 1) / 2, 1.5, -(u**2) / nu)


def sign_slope(nu: float) -> float:
    """M_nu = sup 2 Xi_nu' = twice the density at 0 (reconstructed)."""
    return 2 * float(stats.norm.pdf(0) if math.isinf(nu) else stats.t(nu).pdf(0))


def lower_slope(nu: float, u_max: float = 1.0) -> float:
    """ell_nu = min over 0 < u <= u_max of 2 Xi_nu(u) / u, attained at u_max (reconstructed; u_max is our parameter)."""
    return float(sign_mean(u_max, nu)) / u_max


def dsign_bound(l0: float, l1: float, d: int, num_clients: int, scale: float, nu: float, u_max: float = 1.0) -> Bound:
    """Theorem 4.3: ell_nu / K, K = L1 d s_H / (2N) + sqrt(d) (L0 + L1) M_nu; classical: the first term only.

    Args:
        scale: s_H, harmonic mean of the clients' noise scales (reconstructed).
    """
    check_clients(num_clients, d)
    if l0 < 0 or l1 < 0 or scale < 0:
        raise ValueError(f"L0, L1 and the scale are at least 0; got {l0:g}, {l1:g}, {scale:g}")
    ell, first = lower_slope(nu, u_max), l1 * d * scale / (2 * num_clients)
    second = math.sqrt(d) * (l0 + l1) * sign_slope(nu)
    return Bound(ell / (first + second), math.inf if first == 0 else ell / first)


def mean_square_threshold(lam: float, kappa: float) -> float:
    """eta* of an isotropic quadratic: E|x+|^2 = (1 - 2 eta lam + eta^2 lam^2 kappa) |x|^2 is 1 at 2 / (lam kappa)."""
    return 2 / (lam * kappa)


def sign_floor(eta: float, lam: float, scale: float, num_clients: int, nu: float) -> tuple[float, float]:
    """(classical, corrected) stationary variance per coordinate of DSignSGD on a quadratic, near 0.

    classical eta s / (2 N M lam), corrected: divided further by 1 - eta M lam / (2 s).
    """
    slope = sign_slope(nu) * lam / scale
    classical = eta / (2 * num_clients * slope)
    return classical, classical / (1 - eta * slope / 2)


def sign_floor_median(eta: float, lam: float, scale: float, num_clients: int, nu: float, d: int) -> float:
    """Median of |x|^2 over runs of DSignSGD on a quadratic in d dimensions: that of the corrected law, all but normal.

    |x|^2 is the variance times a chi-squared variable, whose median is less than its mean d.
    """
    _, variance = sign_floor(eta, lam, scale, num_clients, nu)
    return variance * float(stats.chi2(d).median())


MODELS = ("discrete", "classical_1", "classical_2", "corrected")


def stationary_variance(model: str, eta: float, lam: float, s: float, num_clients: int, omega: float) -> float:
    """Per coordinate, of DCSGD on lam x^2 / 2 with additive noise s and an unbiased compressor with exact omega.

    From 0 = -2 r v + eta (variance of u), r = lam, lam (1 + eta lam / 2) or lam (1 - eta lam / 2); the last is the
    fixed point of the discrete recursion, exactly.

    Returns:
        inf where no stationary law with a variance exists.
    """
    rate = {"classical_1": lam, "classical_2": lam * (1 + eta * lam / 2)}.get(model, lam * (1 - eta * lam / 2))
    if model not in MODELS:
        raise ValueError(f"unknown model '{model}'; known are {', '.join(MODELS)}")
    below = 2 * rate - eta * omega * lam**2 / num_clients
    return math.inf if below <= 0 else eta * (1 + omega) * s**2 / num_clients / below


def parabola_second_moment(model: str, eta: float, lam: float, s: float, x0: float, time: float) -> float:
    """E X^2 at `time` on lam x^2 / 2 with additive noise s, one client, no compression.

    Raises:
        ValueError: eta does not divide the time, at which the discrete method then has no iterate.
    """
    floor = stationary_variance(model, eta, lam, s, 1, 0.0)
    if model == "discrete":
        decay = (1 - eta * lam) ** (2 * whole_updates(time, eta))
    else:
        decay = math.exp(-2 * time * {"classical_1": lam, "classical_2": lam * (1 + eta * lam / 2)}.get(
            model, lam * (1 - eta * lam / 2)))  # fmt: skip
    return x0**2 * decay + floor * (1 - decay)


def sign_descent_bound(
    gap: float,
    time: float,
    eta: float,
    l0: float,
    l1: float,
    d: int,
    num_clients: int,
    scale: float,
    nu: float,
    eps: float,
) -> float:
    """Right side of theorem 4.3 (derived, constants reconstructed) for eta_t = 1 / sqrt(t + 1) and eta <= eps ell / K.

    From m^T g >= (ell / s) |g|^2 where no |d_j f| passes u_max s, tr Sigma <= d / N and |Dm| <= (M / s) |H|:
    s [gap + phi2 eta ((L0 + L1) d / N + sqrt(d) L0 M / s) / 2] / ((1 - eps) ell phi1).
    """
    phi1, phi2 = _phis(time)
    noise = (l0 + l1) * d / num_clients + math.sqrt(d) * l0 * sign_slope(nu) / scale
    return scale * (gap + phi2 * eta * noise / 2) / ((1 - eps) * lower_slope(nu) * phi1)


def _phis(time: float) -> tuple[float, float]:
    """int eta_s ds and int eta_s^2 ds of eta_s = 1 / sqrt(s + 1) up to `time`."""
    return 2 * (math.sqrt(time + 1) - 1), math.log1p(time)


def descent_bound(gap: float, time: float, eta: float, l0: float, l1: float, noise: float, eps: float) -> float:
    """Right side of theorem 4.2 (derived, not read) for eta_t = 1 / sqrt(t + 1): bound on E|grad f(X at t^)|^2.

    [gap + phi2 eta (L0 + L1) noise / 2] / ((1 - eps) phi1), phi1 = int eta_s ds, phi2 = int eta_s^2 ds.
    """
    phi1, phi2 = _phis(time)
    return (gap + phi2 * eta * (l0 + l1) * noise / 2) / ((1 - eps) * phi1)

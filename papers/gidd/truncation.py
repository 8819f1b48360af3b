"""What cutting t to [eps, 1 - eps] takes off a bound; needs no torch, so that tables can ask."""

import math

import numpy as np


def truncation_loss(p_u: float, num_ordinary: int, eps: float = 1e-4, num_nodes: int = 400) -> float:
    """Nats per token of a uniform model's bound that lie outside [eps, 1 - eps]; gamma = 1.

    For x_hat = u, E_z[w (KL + IS)] has the closed form used here, with the four noise levels of z and x spelt out;
    the integral over t runs in phi with t = sin^2(phi), which the square-root ends need; 400 nodes give ten digits.
    """
    if p_u == 0:
        return 2 * eps * math.log(num_ordinary)  # the integrand is log N at every t
    n, scale = num_ordinary, 2 * p_u / (1 - p_u)
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)

    def integral(low: float, high: float) -> float:
        a, b = math.asin(math.sqrt(low)), math.asin(math.sqrt(high))
        phi = a + (b - a) * (nodes + 1) / 2
        t = np.sin(phi) ** 2
        c = scale * np.sqrt(t * (1 - t))
        # masses times C_t, which cancels: the data token, any other ordinary one, and either under x_hat = u
        data, other, model = (1 - t) + c / n, c / n, (1 - t) / n + c / n
        total = 1 + c
        kl = (data * np.log(data / model) + (n - 1) * other * np.log(other / model)) / total
        flow_mask, flow_other = 1 / ((1 - t) * total), c / (2 * t * (1 - t) * n * total)
        is_data = data / model - np.log(data / model) - 1
        is_other = other / model - np.log(other / model) - 1
        rate = flow_mask + n * flow_other
        integrand = rate * kl + flow_other * (is_data + (n - 1) * is_other)
        return float((weights * integrand * 2 * np.sin(phi) * np.cos(phi)).sum() * (b - a) / 2)

    return integral(1e-12, eps) + integral(1 - eps, 1 - 1e-12)

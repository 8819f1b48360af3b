"""What Adam's second moment is: the variance identity, how long a step can be, and Adam as a filter. float64.

Streams are one-dimensional gradient sequences g_1..g_K, (K,). Equations: Orvieto and Gower 2025, arXiv 2505.21829.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from shared.base.seeding import torch_generator


def streams(num_steps: int) -> dict[str, Tensor]:
    """Gradient sequences that try the identity: noise, and the cases in which something cancels."""
    steps = torch.arange(num_steps, dtype=torch.float64)
    noise = torch.randn(num_steps, generator=torch_generator(0, "stream"), dtype=torch.float64)
    spike = torch.zeros(num_steps, dtype=torch.float64)
    spike[num_steps // 3] = 1e3
    return {
        "random": noise,
        "constant": torch.full_like(noise, 0.7),
        "almost constant": 1.0 + 1e-6 * noise,
        "alternating": 1.0 - 2.0 * (steps % 2),
        "spike": spike,
        "zeros": torch.zeros_like(noise),
    }


def moments(gradients: Tensor, beta1: float, beta2: float) -> tuple[Tensor, Tensor, Tensor]:
    """m_k and v_k of Adam without bias correction, and the old average m_{k-1}; (K,) each, from zero buffers."""
    m, v, out = 0.0, 0.0, []
    for g in gradients.tolist():
        before, m, v = m, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        out.append((m, v, before))
    return tuple(torch.tensor(out, dtype=torch.float64).T)


def identity_error(gradients: Tensor, beta1: float, beta2: float) -> float:
    """max_k |v_k - m_k^2 - sigma2_k| / max_k v_k with sigma2 = beta2 EMA_beta2[(m_{k-1} - g_k)^2] (Proposition 1).

    Zero to rounding if beta1 = beta2. Without bias correction: for the corrected averages it does not hold.
    """
    m, v, before = moments(gradients, beta1, beta2)
    deviation = (before - gradients).square()
    average, sigma2 = 0.0, []
    for value in deviation.tolist():
        average = beta2 * average + (1 - beta2) * value
        sigma2.append(beta2 * average)
    error = (v - m * m - torch.tensor(sigma2, dtype=torch.float64)).abs().max()
    return (error / v.max()).item() if v.max() > 0 else error.item()


def square_completion_gap(beta1: float, beta2: float) -> float:
    """How far v - m^2 is from a recursion of its own: the m^2 coefficient that Proposition 2 needs to vanish.

    Matching the terms in g to a square leaves (beta1 - beta2)^2 of m^2 over; zero only on the diagonal.
    """
    return abs(beta1**2 * (1 - beta2) - beta2 * (1 - beta2) + beta2 * (1 - beta1) ** 2)


def largest_step(num_steps: int, beta1: float, beta2: float) -> float:
    """max over all gradient sequences of |m_k| / sqrt(v_k) at k = num_steps; zero buffers, no bias correction.

    By Cauchy-Schwarz (1 - beta1) / sqrt(1 - beta2) * sqrt(sum_{j<k} (beta1^2 / beta2)^j), and attained. On the diagonal
    this is sqrt(1 - beta^k) < 1; for beta1^2 >= beta2 it grows without bound in k. Own derivation.
    """
    ratio = beta1 * beta1 / beta2
    total = float(num_steps) if ratio == 1 else (1 - ratio**num_steps) / (1 - ratio)
    return (1 - beta1) / math.sqrt(1 - beta2) * math.sqrt(total)


def worst_stream(num_steps: int, beta1: float, beta2: float) -> Tensor:
    """The sequence that attains `largest_step`: g_{k-j} proportional to (beta1 / beta2)^j, scaled to a maximum of 1."""
    powers = torch.arange(num_steps - 1, -1, -1, dtype=torch.float64)
    logs = powers * (math.log(beta1) - math.log(beta2))
    return (logs - logs.max()).exp()


def radius_limit(beta1: float, beta2: float) -> float:
    """`largest_step` for k to infinity."""
    ratio = beta1 * beta1 / beta2
    return math.inf if ratio >= 1 else (1 - beta1) / math.sqrt((1 - beta2) * (1 - ratio))


def adam_filter(signal: Tensor, beta: float) -> Tensor:
    """d_k = m_k / sqrt(m_k^2 + sigma2_k), (K,), for beta1 = beta2 = beta; 0 where nothing has been seen yet."""
    m, sigma2, out = 0.0, 0.0, []
    for g in signal.tolist():
        sigma2 = beta * sigma2 + beta * (1 - beta) * (g - m) ** 2  # with the OLD average
        m = beta * m + (1 - beta) * g
        root = math.sqrt(m * m + sigma2)
        out.append(m / root if root > 0 else 0.0)
    return torch.tensor(out, dtype=torch.float64)


def signum_filter(signal: Tensor, beta: float) -> Tensor:
    """sign(EMA_beta[g]), (K,)."""
    return moments(signal, beta, 0.0)[0].sign()


def emasign_filter(signal: Tensor, beta: float) -> Tensor:
    """EMA_beta[sign(g)], (K,)."""
    return moments(signal.sign(), beta, 0.0)[0]


def demo_signal(num_steps: int) -> Tensor:
    """1.8 sin(0.03 k) exp(-0.0025 k), k = 0..num_steps - 1 (appendix E)."""
    k = torch.arange(num_steps, dtype=torch.float64)
    return 1.8 * (0.03 * k).sin() * (-0.0025 * k).exp()


def identity_rows(pairs: Sequence[tuple[float, float]], num_steps: int) -> Iterator[dict]:
    """Error of Proposition 1 for every pair (beta1, beta2) and stream, and the remainder of Proposition 2."""
    for (beta1, beta2), (stream, gradients) in itertools.product(pairs, streams(num_steps).items()):
        error, remainder = identity_error(gradients, beta1, beta2), square_completion_gap(beta1, beta2)
        yield {"beta1": beta1, "beta2": beta2, "case": stream, "error": error, "remainder": remainder}


def bound_rows(pairs: Sequence[tuple[float, float]]) -> Iterator[dict]:
    """Longest possible step of a coordinate: formula, and Adam run on the sequence that attains it."""
    for (beta1, beta2), num_steps in itertools.product(pairs, (1, 10, 100)):
        m, v, _ = moments(worst_stream(num_steps, beta1, beta2), beta1, beta2)
        yield {
            "beta1": beta1,
            "beta2": beta2,
            "step": num_steps,
            "value": (m[-1].abs() / v[-1].sqrt()).item(),
            "bound": largest_step(num_steps, beta1, beta2),
            "limit": radius_limit(beta1, beta2),
        }


def filter_rows(betas: Sequence[float], num_steps: int) -> Iterator[dict]:
    """The demo signal and what each method makes of it; every fourth step."""
    signal, middle = demo_signal(num_steps), betas[len(betas) // 2]
    outputs = [("signal", math.nan, signal)]
    outputs += [("Adam", beta, adam_filter(signal, beta)) for beta in betas]
    outputs += [("Signum", middle, signum_filter(signal, middle)), ("EMASign", middle, emasign_filter(signal, middle))]
    for name, beta, values in outputs:
        for step in range(0, num_steps, 4):
            yield {"method": name, "beta": beta, "step": step, "value": values[step].item()}

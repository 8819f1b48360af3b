"""Validation perplexity: the bound with its true weights, averaged over tokens and draws of (t, z).

Shapes: S sequences, L positions.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from papers.gidd.checks import check_ids, check_positive_count
from papers.gidd.loss import elbo_terms
from papers.gidd.process import MixingProcess
from papers.gidd.sampling import Network
from papers.gidd.times import low_discrepancy_times


@dataclass(frozen=True)
class ValidationElbo:
    """The bound of a data set under a model.

    Attributes:
        elbo_nats_per_token: negative ELBO, mean over tokens that are not padding and over draws.
        standard_error: of that mean as an estimate over (t, z) for this data set, from the spread between draws; nan
            for one draw.
        data_standard_error: of that mean as an estimate for the source, from the spread between sequences.
        ppl: exp of the mean, an upper bound on the perplexity up to truncation at eps.
        num_tokens: tokens averaged over.
        num_draws: independent draws of (t, z) for every sequence.
    """

    elbo_nats_per_token: float
    standard_error: float
    data_standard_error: float
    ppl: float
    num_tokens: int
    num_draws: int


def validation_elbo(
    net: Network,
    x: Tensor,
    process: MixingProcess,
    generator: torch.Generator,
    *,
    is_token: Tensor | None = None,
    num_draws: int = 8,
    batch_size: int = 64,
    eps: float = 1e-4,
    time_density: Literal["uniform", "arcsine"] = "arcsine",
) -> ValidationElbo:
    """Mean ELBO of `x`. In every draw the times of the S sequences are spread evenly, in a random order.

    Both densities of t estimate the same number, the mean over [eps, 1 - eps]. Uniform times, which are trained with,
    have a heavy tail: a wrong token at t = 1e-4 is rare and weighs 5000. With hybrid noise the variance of one token's
    term grows like eps^(-1/2). Arcsine times, t = sin^2(phi) with phi even, bring that down to log(1 / eps).

    Args:
        x: tokens, (S, L).
        generator: source of all randomness.
        is_token: False at padding, (S, L); no padding if omitted.
        num_draws: 2 or more give a standard error.
        batch_size: sequences per network call; it does not change the draws.
        time_density: "arcsine" weighs every time by the inverse of its density.
        eps: the times stay in [eps, 1 - eps]; hybrid processes lose O(sqrt(eps)) of the bound to that.
    Raises:
        ValueError: empty or out-of-range tokens, nothing but padding, num_draws or batch_size below 1.
    """
    check_ids(x, "x", process.vocab_size, process.mask_id)
    check_positive_count(num_draws, "num_draws")
    check_positive_count(batch_size, "batch_size")
    if time_density not in ("uniform", "arcsine"):
        raise ValueError(f"time_density must be 'uniform' or 'arcsine'; got {time_density!r}")
    counted = torch.ones_like(x, dtype=torch.bool) if is_token is None else is_token.bool()
    num_tokens = int(counted.sum())
    if num_tokens == 0:
        raise ValueError("every position is padding, so there is nothing to average; check is_token")
    draws = []
    for _ in range(num_draws):
        u = torch.rand((), generator=generator, dtype=torch.float64, device=generator.device).item()
        rows = torch.randperm(len(x), generator=generator, device=generator.device).cpu()
        t, density_weight = _times(u, len(x), rows, eps, time_density)
        uniforms = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=generator.device).to(x.device)
        t = t.to(x.device)
        z = process.noise(x, t, uniforms)
        draws.append(density_weight.to(x.device) * _sums(net, x, z, t, process, counted, batch_size))
    sums = torch.stack(draws)  # (num_draws, S)
    per_draw = sums.sum(1) / num_tokens  # (num_draws,)
    mean = per_draw.mean().item()
    error = (per_draw.std() / math.sqrt(num_draws)).item() if num_draws > 1 else math.nan
    residual = sums.mean(0) - mean * counted.sum(-1)  # of the ratio estimator, per sequence
    data_error = math.sqrt(len(x) / max(len(x) - 1, 1)) * residual.square().sum().sqrt().item() / num_tokens
    return ValidationElbo(mean, error, data_error, math.exp(mean), num_tokens, num_draws)


def _times(u: float, size: int, rows: Tensor, eps: float, density: str) -> tuple[Tensor, Tensor]:
    """Times of the given rows and the factors that make the mean of the terms one over uniform times, each (size,)."""
    even = low_discrepancy_times(u, size, rows, eps=0.0)
    if density == "uniform":
        return eps + (1 - 2 * eps) * even, torch.ones_like(even)
    first = math.asin(math.sqrt(eps))
    width = math.pi / 2 - 2 * first
    phi = first + width * even
    return torch.sin(phi).square().clamp(eps, 1 - eps), width * torch.sin(2 * phi) / (1 - 2 * eps)


def _sums(net, x, z, t, process, counted, batch_size) -> Tensor:
    """Summed ELBO of every sequence at one draw of (t, z), (S,), float64."""
    sums = []
    with torch.no_grad():
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            logits = net(z[part], t[part].to(torch.get_default_dtype()))
            elbo = elbo_terms(logits, x[part], z[part], t[part], process).elbo
            sums.append((elbo.double() * counted[part]).sum(-1))
    return torch.cat(sums)

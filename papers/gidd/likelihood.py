"""Validation perplexity: the bound with its true weights, averaged over tokens and draws of (t, z).

Shapes: S sequences, L positions.
"""

import math
from dataclasses import dataclass

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
) -> ValidationElbo:
    """Mean ELBO of `x`. In every draw the times of the S sequences are spread evenly, in a random order.

    Args:
        x: tokens, (S, L).
        generator: source of all randomness.
        is_token: False at padding, (S, L); no padding if omitted.
        num_draws: 2 or more give a standard error.
        batch_size: sequences per network call; it does not change the draws.
        eps: the times stay in [eps, 1 - eps]; hybrid processes lose O(sqrt(eps)) of the bound to that.
    Raises:
        ValueError: empty or out-of-range tokens, nothing but padding, num_draws or batch_size below 1.
    """
    check_ids(x, "x", process.vocab_size, process.mask_id)
    check_positive_count(num_draws, "num_draws")
    check_positive_count(batch_size, "batch_size")
    counted = torch.ones_like(x, dtype=torch.bool) if is_token is None else is_token.bool()
    num_tokens = int(counted.sum())
    if num_tokens == 0:
        raise ValueError("every position is padding, so there is nothing to average; check is_token")
    sums = torch.stack(
        [_sums_of_one_draw(net, x, process, generator, counted, batch_size, eps) for _ in range(num_draws)]
    )
    per_draw = sums.sum(1) / num_tokens  # (num_draws,)
    mean = per_draw.mean().item()
    error = (per_draw.std() / math.sqrt(num_draws)).item() if num_draws > 1 else math.nan
    residual = sums.mean(0) - mean * counted.sum(-1)  # of the ratio estimator, per sequence
    data_error = math.sqrt(len(x) / max(len(x) - 1, 1)) * residual.square().sum().sqrt().item() / num_tokens
    return ValidationElbo(mean, error, data_error, math.exp(mean), num_tokens, num_draws)


def _sums_of_one_draw(net, x, process, generator, counted, batch_size, eps) -> Tensor:
    """Summed ELBO of every sequence at one draw of (t, z), (S,), float64."""
    device = generator.device
    u = torch.rand((), generator=generator, dtype=torch.float64, device=device).item()
    rows = torch.randperm(len(x), generator=generator, device=device).cpu()
    t = low_discrepancy_times(u, len(x), rows, eps=eps).to(x.device)
    uniforms = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=device).to(x.device)
    z = process.noise(x, t, uniforms)
    sums = []
    with torch.no_grad():
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            logits = net(z[part], t[part].to(torch.get_default_dtype()))
            elbo = elbo_terms(logits, x[part], z[part], t[part], process).elbo
            sums.append((elbo.double() * counted[part]).sum(-1))
    return torch.cat(sums)

"""Corruption recovery: does one low-noise step find and repair wrong tokens in clean text?

Shapes: B sequences, L positions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from papers.gidd.categorical import inverse_cdf
from papers.gidd.checks import check_ids, check_positive_count, check_times
from papers.gidd.process import MixingProcess
from papers.gidd.sampling import Network, reverse_probs


@dataclass(frozen=True)
class Recovery:
    """Rates over all sequences.

    Attributes:
        num_corrupted: k, wrong tokens put into each sequence.
        touched: share of the wrong tokens that the step changed.
        recovered: share of the wrong tokens that became the original again.
        damaged: share of the right tokens that the step changed.
        num_sequences: B.
    """

    num_corrupted: int
    touched: float
    recovered: float
    damaged: float
    num_sequences: int


def corrupt(x: Tensor, num_corrupted: int, process: MixingProcess, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(corrupted tokens, where), both (B, L): k random positions get a different ordinary token, uniformly.

    Raises:
        ValueError: more corruptions than positions, or x with masks, empty, or out of range.
    """
    check_ids(x, "x", process.vocab_size, process.mask_id)
    check_positive_count(num_corrupted, "num_corrupted")
    if num_corrupted > x.shape[1]:
        raise ValueError(f"cannot corrupt {num_corrupted} tokens of sequences of length {x.shape[1]}; use a smaller k")
    order = torch.rand(x.shape, generator=generator, device=generator.device).to(x.device).argsort(-1)
    where = torch.zeros_like(x, dtype=torch.bool).scatter_(-1, order[:, :num_corrupted], True)
    # ranks among ordinary tokens, shifted by 1..N-1 modulo N: uniform over the others
    rank = x - (x > process.mask_id).long()
    shift = torch.randint(1, process.num_ordinary, x.shape, generator=generator, device=generator.device).to(x.device)
    rank = (rank + shift) % process.num_ordinary
    wrong = rank + (rank >= process.mask_id).long()
    return torch.where(where, wrong, x), where


def corruption_recovery(
    net: Network,
    x: Tensor,
    num_corrupted: int,
    process: MixingProcess,
    generator: torch.Generator,
    *,
    t0: float = 0.01,
    eps: float = 1e-4,
) -> Recovery:
    """Corrupts clean text and takes one ancestral step from noise level `t0` down to `eps`.

    Args:
        net: a trained network; processes with no uniform noise cannot touch a token, and score zero throughout.
        x: clean tokens, (B, L).
        num_corrupted: k.
        t0: noise level the step assumes; the higher, the more wrong tokens it expects.
    Raises:
        ValueError: as `corrupt`; t0 not in (eps, 1).
    """
    check_times(torch.tensor(t0), "t0")
    if not 0 <= eps < t0:
        raise ValueError(f"the step ends at eps, which must lie in [0, t0) = [0, {t0}); got {eps}")
    z, where = corrupt(x, num_corrupted, process, generator)
    t, s = (torch.full((len(x),), level, dtype=torch.float64, device=x.device) for level in (t0, eps))
    with torch.no_grad():
        probs = reverse_probs(net(z, t.to(torch.get_default_dtype())), z, s, t, process)
    uniforms = torch.rand(x.shape, generator=generator, dtype=probs.dtype, device=generator.device).to(x.device)
    after = inverse_cdf(probs, uniforms)
    return Recovery(
        num_corrupted,
        touched=(after != z)[where].double().mean().item(),
        recovered=(after == x)[where].double().mean().item(),
        damaged=(after != x)[~where].double().mean().item() if bool((~where).any()) else 0.0,
        num_sequences=len(x),
    )


def recovery_rows(
    net: Network,
    x: Tensor,
    process: MixingProcess,
    generator: torch.Generator,
    *,
    counts: tuple[int, ...] = (5, 10, 20, 50),
    t0: float = 0.01,
) -> list[dict]:
    """One tidy row per k of `counts` that fits into the sequences."""
    results = (corruption_recovery(net, x, k, process, generator, t0=t0) for k in counts if k <= x.shape[1])
    return [dict(vars(result), t0=t0) for result in results]

"""Ancestral sampling from pure noise to tokens.

Shapes: B sequences, L positions, V vocabulary. A network is any callable net(tokens (B, L), t (B,)) -> (B, L, V').
Source: von Rütte et al. 2025, arXiv 2503.04482, reverse transition; code for eps, min-p and the inverse CDF.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from papers.gidd.categorical import inverse_cdf, mask_free_logits
from papers.gidd.checks import check_ids, check_positive_count, check_truncation
from papers.gidd.process import MixingProcess, along

Network = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Samples:
    """Finished sequences and what happened on the way.

    Attributes:
        tokens: (B, L), no masks.
        num_filled: masks left after the last step, filled with the network's most likely token; (B,).
        num_revised: changes of an already revealed token, summed over steps; (B,).
    """

    tokens: Tensor
    num_filled: Tensor
    num_revised: Tensor


def time_grid(num_steps: int, *, eps: float = 1e-4, authors_grid: bool = False) -> Tensor:
    """Times from noise to data, decreasing, (num_steps + 1,): eps + (1 - 2 eps) i / num_steps for i = num_steps..0.

    `authors_grid` gives the num_steps times that the released code visits: it pairs t_i with t_{max(0, i - 1)} for
    i = num_steps - 1..0, and so starts from pure noise one step late and ends with a step that changes nothing (left
    out here). Use it only to compare with samples of the released code.
    """
    check_positive_count(num_steps, "num_steps")
    check_truncation(eps)
    grid = eps + (1 - 2 * eps) * torch.arange(num_steps, -1, -1, dtype=torch.float64) / num_steps
    return grid[1:] if authors_grid else grid


def reverse_probs(logits: Tensor, z: Tensor, s: Tensor, t: Tensor, process: MixingProcess) -> Tensor:
    """p(z_s | z_t = z) of every position, (B, L, V), rows sum to 1 up to rounding; dtype of float32 or wider logits.

    p(z_s = k) = (alpha_{t|s} [k = z] + b_{t|s}(z)) q_s(k | x_hat) / q_t(z | x_hat); b is taken at z_t, not at z_s.

    Args:
        logits: network output for (z, t), (B, L, V').
        z: tokens at time t, (B, L).
        s: earlier times, s < t, (B,).
        t: current times, (B,).
    """
    x_hat = mask_free_logits(logits, process.vocab_size, process.mask_id).softmax(-1)
    dtype = x_hat.dtype
    # q_s(. | x_hat), in place: one table of the size of the logits
    q_s = x_hat.mul_(along(process.alpha(s), x_hat).to(dtype)).add_(process.beta_pi(s).unsqueeze(1).to(dtype))
    stay = along(process.conditional_alpha(s, t), z).to(dtype)
    renew = process.conditional_noise_at(s, t, z).to(dtype)  # b_{t|s}(z_t)
    q_s_at_z = q_s.gather(-1, z.unsqueeze(-1))
    total = stay * q_s_at_z.squeeze(-1) + renew  # q_t(z | x_hat), as sum_k b q_s(k) = b
    probs = q_s.mul_((renew / total).unsqueeze(-1))
    return probs.scatter_add_(-1, z.unsqueeze(-1), (stay / total).unsqueeze(-1) * q_s_at_z)


def apply_min_p(probs: Tensor, min_p: float) -> Tensor:
    """`probs` with entries below `min_p` at zero, not renormalised; the largest entry of a row always stays."""
    keep = probs >= torch.minimum(probs.amax(-1, keepdim=True), probs.new_tensor(min_p))
    return probs * keep


def ancestral_sample(
    net: Network,
    process: MixingProcess,
    batch_size: int,
    seq_len: int,
    num_steps: int,
    generator: torch.Generator,
    *,
    eps: float = 1e-4,
    min_p: float = 0.0,
    frozen: bool = False,
    authors_grid: bool = False,
    device: torch.device | str | None = None,
) -> Samples:
    """Sequences drawn from the model, deterministic given the state of `generator`.

    Args:
        num_steps: network calls T (T - 1 with `authors_grid`), plus one if masks are left to fill.
        generator: source of all randomness; its device need not be the model's.
        eps: ends of the time grid.
        min_p: probabilities below it are dropped from every reverse transition.
        frozen: ablation: a revealed token is never revised.
        authors_grid: see `time_grid`.
        device: of the tokens; the generator's if omitted.
    Raises:
        ValueError: num_steps, batch_size or seq_len below 1, min_p outside [0, 1).
    """
    check_positive_count(batch_size, "batch_size")
    check_positive_count(seq_len, "seq_len")
    if not 0 <= min_p < 1:
        raise ValueError(f"min_p is a probability below which entries are dropped, in [0, 1); got {min_p}")
    device = torch.device(device) if device is not None else generator.device
    grid = time_grid(num_steps, eps=eps, authors_grid=authors_grid).to(device)
    z = process.prior((batch_size, seq_len), generator, device)
    num_revised = torch.zeros(batch_size, dtype=torch.int64, device=device)
    with torch.no_grad():
        for t, s in pairwise(grid.unbind()):
            t, s = t.expand(batch_size), s.expand(batch_size)
            probs = reverse_probs(net(z, t.to(torch.get_default_dtype())), z, s, t, process)
            if min_p > 0:
                probs = apply_min_p(probs, min_p)
            new = inverse_cdf(probs, _uniforms(z, probs.dtype, generator))
            revealed = z != process.mask_id
            if frozen:
                new = torch.where(revealed, z, new)
            num_revised += (revealed & (new != z)).sum(-1)
            z = new
        tokens, num_filled = fill_masks(net, z, grid[-1], process)
    return Samples(tokens, num_filled, num_revised)


def fill_masks(net: Network, z: Tensor, t: Tensor, process: MixingProcess) -> tuple[Tensor, Tensor]:
    """(tokens without masks (B, L), masks filled per sequence (B,)), by the argmax of one call on what has masks."""
    check_ids(z, "z", process.vocab_size)
    masked = z == process.mask_id
    num_filled = masked.sum(-1)
    rows = num_filled.nonzero().squeeze(-1)
    if len(rows) == 0:
        return z, num_filled
    logits = net(z[rows], t.to(torch.get_default_dtype()).expand(len(rows)))
    best = mask_free_logits(logits, process.vocab_size, process.mask_id).argmax(-1)
    return z.index_copy(0, rows, torch.where(masked[rows], best, z[rows])), num_filled


def _uniforms(z: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    return torch.rand(z.shape, generator=generator, dtype=dtype, device=generator.device).to(z.device)

"""Self-correction: a finished sequence revises its own least plausible tokens until it agrees with itself.

Shapes: B sequences, L positions, V vocabulary.
Source: von Rütte et al. 2025, arXiv 2503.04482, self-correction step; code for budget, patience and scores.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from papers.gidd.categorical import inverse_cdf, mask_free_logits
from papers.gidd.checks import check_ids, check_positive_count, check_temperature, check_times
from papers.gidd.process import MixingProcess
from papers.gidd.sampling import Network


@dataclass(frozen=True)
class SelfCorrection:
    """Outcome per sequence.

    Attributes:
        tokens: corrected sequences, (B, L).
        changed: positions that differ from the input, (B, L), bool.
        num_changed: their number, (B,).
        num_edits: replacements made on the way, (B,); more than `num_changed` where a position was revised twice.
        num_iterations: network calls until the sequence stopped, (B,).
        initial_self_accuracy: share of positions at which the input is the network's most likely token, (B,).
        final_self_accuracy: the same for `tokens`, under the network's view of `tokens`, (B,).
        converged: nothing was left to change, (B,), bool.
        early_stopped: self-accuracy had not risen for more than `patience` iterations, (B,), bool.
    """

    tokens: Tensor
    changed: Tensor
    num_changed: Tensor
    num_edits: Tensor
    num_iterations: Tensor
    initial_self_accuracy: Tensor
    final_self_accuracy: Tensor
    converged: Tensor
    early_stopped: Tensor


def correction_step(
    logits: Tensor, z: Tensor, uniforms: Tensor, tau: float, tokens_per_step: int, process: MixingProcess
) -> tuple[Tensor, Tensor, Tensor]:
    """One iteration: a proposal at every position, of which the most confident changes are made.

    Args:
        logits: network output for `z`, (B, L, V').
        z: tokens, (B, L).
        uniforms: numbers in [0, 1) that pick the proposals, (B, L).
        tau: softmax temperature.
        tokens_per_step: n, at most this many positions change.
    Returns:
        New tokens (B, L); positions changed (B, L), bool; most likely tokens under `logits` (B, L).
    """
    logits = mask_free_logits(logits, process.vocab_size, process.mask_id)
    best, favourite = logits.max(-1)
    probs = logits.sub_(best.unsqueeze(-1)).div_(tau).softmax(-1)  # subtract first: a tiny tau would overflow
    proposal = inverse_cdf(probs, uniforms)
    score = probs.gather(-1, proposal.unsqueeze(-1)).squeeze(-1) * (proposal != z)
    top, positions = score.topk(min(tokens_per_step, z.shape[1]), dim=-1)
    changed = torch.zeros_like(z, dtype=torch.bool).scatter_(-1, positions, top > 0)
    return torch.where(changed, proposal, z), changed, favourite


def self_correct(
    net: Network,
    tokens: Tensor,
    process: MixingProcess,
    generator: torch.Generator,
    *,
    tau: float = 0.1,
    t0: float = 0.01,
    budget: int = 128,
    patience: int = 32,
    tokens_per_step: int = 1,
) -> SelfCorrection:
    """Revises each sequence until nothing changes, its self-accuracy stalls, or the budget is spent.

    Sequences stop independently: one that has stopped leaves the batch, and what becomes of it does not depend on
    the others. An early stop discards the last proposal.

    Args:
        tokens: finished sequences without masks, (B, L).
        tau: temperature of the proposals.
        t0: noise level at which the network looks at them, in (0, 1).
        budget: K, iterations at most.
        patience: iterations without a new best self-accuracy that are put up with.
        tokens_per_step: n, changes per iteration and sequence.
    Raises:
        ValueError: masks in `tokens`, empty sequences, tau <= 0, t0 outside (0, 1), counts below 1.
    """
    check_ids(tokens, "tokens", process.vocab_size, process.mask_id)
    check_temperature(tau)
    check_times(torch.tensor(t0), "t0")
    check_positive_count(budget, "budget")
    check_positive_count(tokens_per_step, "tokens_per_step")
    batch_size = len(tokens)
    z = tokens.clone()
    zeros = torch.zeros(batch_size, dtype=torch.float32, device=z.device)
    counts = torch.zeros(batch_size, dtype=torch.int64, device=z.device)
    initial, final, highest = zeros.clone(), zeros.clone(), torch.full_like(zeros, -1.0)
    edits, iterations, stale = counts.clone(), counts.clone(), counts.clone()
    converged, early = counts.bool(), counts.bool()
    active = torch.arange(batch_size, device=z.device)
    with torch.no_grad():
        for iteration in range(budget):
            # drawn for the whole batch, so that a sequence's draws do not depend on who has stopped
            uniforms = torch.rand(z.shape, generator=generator, device=generator.device).to(z.device)[active]
            current = z[active]
            logits = net(current, _level(t0, current))
            new, changed, favourite = correction_step(logits, current, uniforms, tau, tokens_per_step, process)
            iterations[active] += 1
            if iteration == 0:
                initial = (current == favourite).float().mean(-1)
            accuracy = (new == favourite).float().mean(-1)
            rises = accuracy > highest[active]
            highest[active] = torch.maximum(accuracy, highest[active])
            stale[active] = torch.where(rises, 0, stale[active] + 1)
            done = ~changed.any(-1)
            stalls = ~done & (stale[active] > patience)
            converged[active], early[active] = done, stalls
            z[active] = torch.where(stalls[:, None], current, new)
            edits[active] += torch.where(stalls, 0, changed.sum(-1))
            stopped = done | stalls
            # a stopped sequence is `current` again, and `favourite` is the network's view of it
            final[active] = torch.where(stopped, (current == favourite).float().mean(-1), final[active])
            active = active[~stopped]
            if len(active) == 0:
                break
        if len(active):
            logits = mask_free_logits(net(z[active], _level(t0, z[active])), process.vocab_size, process.mask_id)
            final[active] = (z[active] == logits.argmax(-1)).float().mean(-1)
    difference = z != tokens
    return SelfCorrection(z, difference, difference.sum(-1), edits, iterations, initial, final, converged, early)


def _level(t0: float, tokens: Tensor) -> Tensor:
    return torch.full((len(tokens),), t0, dtype=torch.get_default_dtype(), device=tokens.device)

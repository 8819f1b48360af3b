"""Pairs of the bigram world, all members in one program.

Shapes: M members, V vocabulary, B texts, L scored tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.lora_watermark.bigram import (
    Pair,
    at_contexts,
    at_transitions,
    chain,
    draw_start,
    human_logits,
    initial_adapters,
    log_tables,
    stationary,
)
from papers.lora_watermark.objective import CONSTRAINTS, Measured, Objective, clip_by_member
from papers.lora_watermark.score import ratio
from papers.lora_watermark.settings import Variant, World
from shared.base.seeding import torch_generator


@dataclass(frozen=True)
class TrainedPairs:
    """Log tables of all members after training, and a row per member and logged step."""

    pair: Pair
    history: list[dict]


def measure(pair: Pair, base: Tensor, samples: Tensor, human: Tensor, performer_on_top: Tensor) -> Measured:
    """What an update reads of texts (M, B, L + 1) of both sides; see `objective.Measured`.

    Args:
        base: logits of the human chain, (V, V), which is the base model, too.
        performer_on_top: (M,) bool, whose log-perplexity the score has on top.
    """
    log_base = base.log_softmax(-1).expand_as(pair.performer)
    roles = torch.stack([at_transitions(table, human).mean((1, 2)) for table in (pair.performer, pair.observer)], 1)
    rows = (pair.performer.exp() * (pair.performer - log_base)).sum(-1)
    return Measured(
        scores=ratio(*pair.terms(samples, performer_on_top)),
        human_scores=ratio(*pair.terms(human, performer_on_top)),
        log_likelihood=at_transitions(pair.performer, samples).sum(-1),
        ce=-roles,
        reference=-at_transitions(log_base, human).mean((1, 2)),
        kl=at_contexts(rows, samples).mean(-1),
        plain_nll=-at_transitions(log_base, samples).mean(-1),
    )


def train(world: World, variants: Sequence[Variant], seeds: Sequence[int]) -> TrainedPairs:
    """Train one pair per (variant, seed), given side by side.

    Members of one seed draw the same human texts and the same uniforms for their samples.
    """
    base, members = human_logits(world.vocab_size), len(variants)
    adapters = [a.requires_grad_() for a in initial_adapters(world, list(seeds))]
    objective = Objective(variants, world.ascent)
    on_top = torch.tensor([v.numerator == "performer" for v in variants])
    frozen = [~objective.trained[:, role] for role in (0, 0, 1, 1)]  # of A_P, U_P, A_O, U_O
    optimizer = torch.optim.Adam(adapters, lr=world.lr)
    distinct = sorted(set(seeds))
    place = torch.tensor([distinct.index(seed) for seed in seeds])
    generators = [torch_generator(seed, "bigram", "texts") for seed in distinct]
    law, history = stationary(base), []
    for step in range(world.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = world.lr * (1 - step / world.num_steps)
        pair = log_tables(base, adapters)
        samples, human = texts(pair, base, law, world, generators, place)
        measured = measure(pair, base, samples, human, on_top)
        loss = objective.loss(measured)
        optimizer.zero_grad(set_to_none=False)
        loss.sum().backward()
        gradients = [a.grad for a in adapters]
        for gradient, off in zip(gradients, frozen, strict=True):
            gradient.masked_fill_(off[:, None, None], 0.0)
        clip_by_member(gradients)
        optimizer.step()
        g = objective.constraints(measured).detach()
        objective.ascend(g)
        if step % world.log_every == 0 or step + 1 == world.num_steps:
            history += _rows(step + 1, measured, g + objective.eps[:, None], objective.multipliers, members)
    with torch.no_grad():
        return TrainedPairs(log_tables(base, adapters), history)


def texts(
    pair: Pair, base: Tensor, law: Tensor, world: World, generators: list, place: Tensor
) -> tuple[Tensor, Tensor]:
    """Samples of every member's performer and human texts, (M, B, L + 1) each; see `train`."""
    count, length = world.batch_size, world.length
    starts = torch.cat([draw_start(law, (2, count), g) for g in generators])  # (2 seeds, B): samples, human
    uniforms = torch.stack([torch.rand(2, length, count, generator=g) for g in generators])  # (seeds, 2, L, B)
    human = chain(base.expand(len(generators), -1, -1), starts[1::2], uniforms[:, 1])
    samples = chain(pair.performer.detach(), starts[0::2][place], uniforms[place, 0])
    return samples, human[place]


def _rows(step: int, measured: Measured, used: Tensor, multipliers: Tensor, members: int) -> list[dict]:
    values = {
        "score_samples": measured.scores.mean(1),
        "score_human": measured.human_scores.mean(1),
        "rise_performer": used[:, 0],
        "rise_observer": used[:, 1],
        "kl": used[:, 2],
    }
    values |= {f"multiplier_{name}": multipliers[:, i] for i, name in enumerate(CONSTRAINTS)}
    columns = {name: value.detach().tolist() for name, value in values.items()}
    return [{"member": m, "step": step, **{k: v[m] for k, v in columns.items()}} for m in range(members)]

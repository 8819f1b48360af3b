"""The exact world: human text is a stationary bigram chain, base and roles are logit tables, everything has a formula.

Texts hold L + 1 tokens: the first is the prompt, drawn from the human chain's stationary law, the others are scored.

Shapes: M members, V vocabulary, R rank, B texts, L scored tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from papers.lora_watermark.settings import World
from shared.base.seeding import torch_generator

WORLD_SEED = 0  # of the human chain


def human_logits(vocab_size: int) -> Tensor:
    """W0: N(0, 1), (V, V), float32."""
    return torch.randn(vocab_size, vocab_size, generator=torch_generator(WORLD_SEED, "bigram", "human"))


def stationary(logits: Tensor) -> Tensor:
    """Stationary law of chains with logits (*, V, V), (*, V), float64."""
    p = logits.double().softmax(-1)
    size = p.shape[-1]
    balance = p.mT - torch.eye(size, dtype=p.dtype)
    balance[..., -1, :] = 1.0  # one balance equation is redundant: the masses sum to 1 instead
    right = torch.zeros(*p.shape[:-1], 1, dtype=p.dtype)
    right[..., -1, :] = 1.0
    return torch.linalg.solve(balance, right)[..., 0]


def chain(logits: Tensor, start: Tensor, uniforms: Tensor) -> Tensor:
    """Texts of chains by inverting cumulative laws.

    Args:
        logits: (M, V, V), or log-probabilities. start: first tokens, (M, B) int64. uniforms: in [0, 1), (M, L, B).
    Returns:
        (M, B, L + 1) int64.
    """
    bounds = logits.softmax(-1).cumsum(-1)[..., :-1].contiguous()  # (M, V, V - 1): rounding cannot lead beyond V - 1
    members, length, texts = uniforms.shape
    flat = bounds.flatten(0, 1)  # (M V, V - 1)
    offset = logits.shape[-1] * torch.arange(members)[:, None]
    tokens = torch.empty(members, texts, length + 1, dtype=torch.int64)
    tokens[:, :, 0] = current = start
    for position in range(length):
        rows = flat[(current + offset).flatten()].view(members, texts, -1)
        current = (uniforms[:, position, :, None] >= rows).sum(-1)
        tokens[:, :, position + 1] = current
    return tokens


def draw_start(law: Tensor, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Prompts from the law (V,), int64 of `shape`."""
    return torch.multinomial(law.float(), shape[0] * shape[1], replacement=True, generator=generator).view(shape)


def at_transitions(table: Tensor, tokens: Tensor) -> Tensor:
    """Entries of tables (M, V, V) at the transitions of texts (M, B, L + 1): (M, B, L)."""
    size = table.shape[-1]
    index = tokens[:, :, :-1] * size + tokens[:, :, 1:]
    return table.flatten(1).gather(1, index.flatten(1)).view(index.shape)


def at_contexts(table: Tensor, tokens: Tensor) -> Tensor:
    """Entries of tables (M, V) at the contexts of texts (M, B, L + 1): (M, B, L)."""
    context = tokens[:, :, :-1]
    return table.gather(1, context.flatten(1)).view(context.shape)


@dataclass(frozen=True)
class Pair:
    """Log-probabilities of performer and observer, (M, V, V)."""

    performer: Tensor
    observer: Tensor

    def terms(self, tokens: Tensor, numerator_is_performer: Tensor) -> tuple[Tensor, Tensor]:
        """-log M_top at each transition and the cross-entropy at each context, (M, B, L); see `score.token_terms`.

        Args:
            numerator_is_performer: (M,) bool.
        """
        top = torch.where(numerator_is_performer[:, None, None], self.performer, self.observer)
        cross = -(self.observer.exp() * self.performer).sum(-1)
        return -at_transitions(top, tokens), at_contexts(cross, tokens)


def initial_adapters(world: World, seeds: list[int]) -> list[Tensor]:
    """A_P, U_P, A_O, U_O of every member: A (M, V, R) from 0.3 N(0, 1), U (M, R, V) zero."""
    size, rank = world.vocab_size, world.rank
    draws = [0.3 * torch.randn(2, size, rank, generator=torch_generator(seed, "bigram", "adapters")) for seed in seeds]
    a = torch.stack(draws, 1)  # (2, M, V, R)
    u = torch.zeros(len(seeds), rank, size)
    return [a[0].clone(), u.clone(), a[1].clone(), u.clone()]


def log_tables(base: Tensor, adapters: list[Tensor]) -> Pair:
    """Log-probabilities of base + A U for both roles."""
    a_p, u_p, a_o, u_o = adapters
    return Pair((base + a_p @ u_p).log_softmax(-1), (base + a_o @ u_o).log_softmax(-1))


def rise(log_probabilities: Tensor, base: Tensor) -> Tensor:
    """Exact CE of roles (M, V, V) on human text minus the human chain's entropy rate, nats per token, (M,)."""
    human = base.double().softmax(-1)
    law = stationary(base)
    gap = base.double().log_softmax(-1) - log_probabilities.double()
    return (law[:, None] * human * gap).sum((-2, -1))


def exact_kl(log_probabilities: Tensor, base: Tensor, length: int) -> Tensor:
    """KL(texts of the chains || human texts) over `length` scored tokens, nats, (M,): sum of the laws' row KLs."""
    p, human = log_probabilities.double().exp(), base.double().log_softmax(-1)
    rows = (p * (log_probabilities.double() - human)).sum(-1)  # (M, V)
    law = stationary(base).expand(len(p), -1)
    total = torch.zeros(len(p), dtype=torch.float64)
    for _ in range(length):
        total = total + (law * rows).sum(-1)
        law = torch.einsum("mv,mvw->mw", law, p)
    return total

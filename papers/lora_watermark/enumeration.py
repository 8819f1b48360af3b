"""A tiny bigram world in which every text can be listed: exact gradients of expected scores, and of their estimators.

Texts: a first token from the human chain's stationary law, then L tokens; float64.

Shapes: V vocabulary, N = V^(L + 1) texts.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from papers.lora_watermark.bigram import Pair, at_transitions, chain, stationary
from papers.lora_watermark.objective import score_function
from papers.lora_watermark.score import ratio
from shared.base.seeding import torch_generator


def all_texts(vocab_size: int, length: int) -> Tensor:
    """Every text, (1, N, L + 1)."""
    return torch.tensor(list(itertools.product(range(vocab_size), repeat=length + 1)))[None]


def tables(logits: Tensor) -> Pair:
    """Roles from logits (2, V, V), performer first."""
    return Pair(*(x[None].log_softmax(-1) for x in logits))


def scores(logits: Tensor, texts: Tensor) -> Tensor:
    """B of texts (1, N, L + 1) under roles with logits (2, V, V): (N,)."""
    return ratio(*tables(logits).terms(texts, torch.tensor([False])))[0]


def probabilities(log_table: Tensor, law: Tensor, texts: Tensor) -> Tensor:
    """Of texts under one chain (1, V, V) after a first token from `law` (V,): (N,)."""
    return law[texts[0, :, 0]] * at_transitions(log_table, texts)[0].sum(-1).exp()


def exact_gradients(logits: Tensor, human: Tensor, length: int) -> dict[str, Tensor]:
    """Gradients by logits (2, V, V) of E_{s ~ M_P} B(s), whole and through the scores alone, and of E_h B(h)."""
    texts, law = all_texts(human.shape[-1], length), stationary(human)
    logits = logits.detach().requires_grad_()
    own = probabilities(tables(logits).performer, law, texts)
    of_human = probabilities(human[None].log_softmax(-1), law, texts)
    values = scores(logits, texts)
    parts = {"whole": own @ values, "scores only": own.detach() @ values, "human": of_human @ values}
    return {name: torch.autograd.grad(value, logits, retain_graph=True)[0] for name, value in parts.items()}


def estimated_gradients(
    logits: Tensor, human: Tensor, length: int, num_batches: int, batch_size: int, seed: int, *, sampling: bool
) -> Tensor:
    """Gradient of each batch's surrogate, (num_batches, 2, V, V); `sampling` adds the score-function term."""
    law, generator, found = stationary(human), torch_generator(seed, "enumeration"), []
    for _ in range(num_batches):
        logits = logits.detach().requires_grad_()
        pair = tables(logits)
        start = torch.multinomial(law, batch_size, replacement=True, generator=generator)[None]
        uniforms = torch.rand(1, length, batch_size, generator=generator, dtype=torch.float64)
        texts = chain(pair.performer.detach(), start, uniforms)
        values = scores(logits, texts)[None]
        loss = values.mean()
        if sampling:
            loss = loss + score_function(values, at_transitions(pair.performer, texts).sum(-1)).sum()
        found.append(torch.autograd.grad(loss, logits)[0])
    return torch.stack(found)


def largest_z(estimates: Tensor, exact: Tensor) -> float:
    """Largest distance between the mean of estimates and the exact gradient, in standard errors of the mean."""
    error = estimates.std(0) / len(estimates) ** 0.5
    return float(((estimates.mean(0) - exact).abs() / error.clamp_min(1e-15)).max())


def finite_differences(function: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-5) -> Tensor:
    """Gradient of a scalar function by central differences, shape of `at`."""
    found = torch.empty_like(at)
    for index in itertools.product(*map(range, at.shape)):
        shift = torch.zeros_like(at)
        shift[index] = step
        found[index] = (function(at + shift) - function(at - shift)) / (2 * step)
    return found

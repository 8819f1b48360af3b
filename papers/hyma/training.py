"""Training of connectors: one by one for every pair (grid search), or all by one hypernetwork.

What is trained against is a `Problem`: it draws batches and gives each pair's loss, contrastive or captioning.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from papers.hyma.connectors import Layers, initial_connectors
from papers.hyma.deck import PairDeck
from papers.hyma.settings import Grid, Hyma
from papers.hyma.shapes import Shape
from shared.base.seeding import torch_generator
from shared.models.hypernetwork import Hypernetwork


class Problem(Protocol):
    """Pairs of frozen models with data.

    shapes: per pair, per layer, (outputs, inputs) of its connector.
    """

    shapes: list[list[Shape]]

    def order(self, batch_size: int, generator: torch.Generator) -> Callable[[], Tensor]:
        """A source of batches: each call gives the rows of one."""

    def losses(self, pairs: Sequence[int], layers: Layers, rows: Tensor) -> Tensor:
        """Loss of each pair with its connector on the samples `rows`, (P,)."""


class Diverged(ValueError):
    """A loss that is not finite."""


def train_grid(
    problem: Problem, pairs: Sequence[int], settings: Grid, num_steps: int, seed: int, at: Sequence[int] = ()
) -> Iterator[tuple[int, Layers]]:
    """A connector of its own for each of `pairs`, side by side on the same batches: (step, connectors) at steps `at`.

    The last step is always given. A connector whose loss is not finite spoils no other: it stays not finite itself.
    """
    layers = initial_connectors([problem.shapes[p] for p in pairs], [seed + 7919 * p for p in pairs], "grid")
    layers = [tuple(part.to(_device(problem)).requires_grad_() for part in layer) for layer in layers]
    optimizer = torch.optim.AdamW([p for layer in layers for p in layer], lr=settings.lr, weight_decay=0.0, fused=True)
    draw = problem.order(settings.batch_size, torch_generator(seed, "grid", "data"))
    for step in range(1, num_steps + 1):
        _set_lr(optimizer, settings.lr, step, num_steps, settings.warmup, cosine=True)
        optimizer.zero_grad()
        problem.losses(pairs, layers, draw()).sum().backward()
        optimizer.step()
        if step in at or step == num_steps:
            yield step, detached(layers)


def train_hyma(
    problem: Problem, pairs: Sequence[int], settings: Hyma, num_steps: int, seed: int, at: Sequence[int] = ()
) -> Iterator[tuple[int, Layers, Hypernetwork]]:
    """One hypernetwork for `pairs`: (step, connectors of all of them, the network) at steps `at` and at the last one.

    Each step draws samples and, from a deck, pairs; the loss is the mean over the drawn pairs' losses.

    Raises:
        Diverged: the loss is not finite.
    """
    shapes = [problem.shapes[p] for p in pairs]
    network = Hypernetwork(settings.network, shapes, torch_generator(seed, "hyma", "init")).to(_device(problem))
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    deck = PairDeck(len(pairs), torch_generator(seed, "hyma", "pairs"))
    draw = problem.order(settings.batch_size, torch_generator(seed, "hyma", "data"))
    for step in range(1, num_steps + 1):
        _set_lr(optimizer, settings.lr, step, num_steps, settings.warmup, settings.cosine)
        optimizer.zero_grad()
        drawn = deck.draw(min(settings.pairs_per_step, len(pairs)))
        loss = hyma_loss(problem, network, pairs, drawn, draw())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        if not torch.isfinite(norm):
            raise Diverged(f"the hypernetwork's gradient is not finite at step {step}; lower its learning rate")
        optimizer.step()
        if step in at or step == num_steps:
            yield step, generated(network), network


def hyma_loss(
    problem: Problem, network: Hypernetwork, pairs: Sequence[int], drawn: Sequence[int], rows: Tensor
) -> Tensor:
    """Mean loss of the drawn conditions (positions in `pairs`) with their generated connectors."""
    layers = network(torch.tensor(drawn, device=rows.device))
    return problem.losses([pairs[k] for k in drawn], layers, rows).mean()


def groups(shapes: Sequence[Sequence[Shape]], by_dims: bool) -> list[list[int]]:
    """Positions of the pairs that share a hypernetwork: all, or those whose connectors have the same shapes."""
    if not by_dims:
        return [list(range(len(shapes)))]
    found: dict[tuple, list[int]] = {}
    for position, layers in enumerate(shapes):
        found.setdefault(tuple(map(tuple, layers)), []).append(position)
    return list(found.values())


def train_halving(
    problem: Problem,
    pairs: Sequence[int],
    settings: Grid,
    batch_size: int,
    rounds: int,
    steps: Callable[[Sequence[int]], int],
    seed: int,
    score: Callable[[Sequence[int], Layers], Sequence[float]],
) -> tuple[dict[int, tuple[int, Layers]], list[tuple[list[int], int]]]:
    """Successive halving: after each round the better half of the pairs goes on, with its optimiser state.

    Args:
        steps: how many steps a round has for the pairs that are left.
        score: of pairs with their connectors, on validation data.
    Returns:
        Pair -> the round in which it was dropped (or the last one) and its connector then, as a stack of one; and of
        each round the pairs it had and its steps.
    """
    left = list(pairs)
    layers = initial_connectors([problem.shapes[p] for p in left], [seed + 7919 * p for p in left], "grid")
    layers = [tuple(part.to(_device(problem)) for part in layer) for layer in layers]
    draw = problem.order(batch_size, torch_generator(seed, "halving", "data"))
    found, state, done, ran = {}, None, 0, []
    for round_ in range(rounds):
        count = steps(left)
        ran.append((left, count))
        # the schedule's end is known once the pairs of all rounds are: until then later rounds cost what these pairs do
        total = done + sum(count * len(left) // -(-len(left) // 2**k) for k in range(rounds - round_))
        layers = [tuple(part.requires_grad_() for part in layer) for layer in layers]
        parameters = [p for layer in layers for p in layer]
        optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=0.0, fused=True)
        if state is not None:
            for parameter, entry in zip(parameters, state, strict=True):
                optimizer.state[parameter] = entry
        for _ in range(count):
            done += 1
            _set_lr(optimizer, settings.lr, done, total, settings.warmup, cosine=True)
            optimizer.zero_grad()
            problem.losses(left, layers, draw()).sum().backward()
            optimizer.step()
        layers = detached(layers)
        scores = score(left, layers)
        order = sorted(range(len(left)), key=lambda k: -scores[k])
        last = round_ == rounds - 1
        kept = [] if last else sorted(order[: -(-len(left) // 2)])
        for k in range(len(left)):
            if k not in kept:
                found[left[k]] = (round_, [(w[[k]], b[[k]]) for w, b in layers])
        state = [
            {n: (v[kept] if v.dim() else v) for n, v in optimizer.state[p].items()} if count else {} for p in parameters
        ]
        left, layers = [left[k] for k in kept], [(w[kept], b[kept]) for w, b in layers]
    return found, ran


@torch.no_grad()
def generated(network: Hypernetwork) -> Layers:
    """The connectors of all of a hypernetwork's conditions."""
    return detached(network(torch.arange(len(network.shapes), device=network.shapes.device)))


def extend(
    problem: Problem,
    network: Hypernetwork,
    known: Sequence[int],
    new: Sequence[int],
    settings: Hyma,
    num_steps: int,
    seed: int,
) -> Layers:
    """Connectors of `new` pairs from a frozen hypernetwork: only their condition embeddings are trained.

    They start from the mean of the embeddings of the `known` pairs, the network's conditions.

    Source: the author's notes (development repository).
    """
    assert len(known) == len(network.shapes)
    sizes = torch.tensor([problem.shapes[p] for p in new], device=network.shapes.device)
    codes = network.conditions.weight.detach().mean(0).repeat(len(new), 1).requires_grad_()
    optimizer = torch.optim.AdamW([codes], lr=settings.lr * 10, betas=(0.9, 0.95), weight_decay=0.0)
    draw = problem.order(settings.batch_size, torch_generator(seed, "extend", "data"))
    network.requires_grad_(False)
    for step in range(1, num_steps + 1):
        _set_lr(optimizer, settings.lr * 10, step, num_steps, settings.warmup, settings.cosine)
        optimizer.zero_grad()
        problem.losses(new, network.generate(codes, sizes), draw()).mean().backward()
        optimizer.step()
    network.requires_grad_(True)
    return detached(network.generate(codes.detach(), sizes))


def detached(layers: Layers) -> Layers:
    """Copies without gradients."""
    return [(weight.detach().clone(), bias.detach().clone()) for weight, bias in layers]


def _set_lr(optimizer, lr: float, step: int, num_steps: int, warmup: int, cosine: bool) -> None:
    """Linear over `warmup` steps, then half a cosine that would reach zero one step after the last."""
    factor = min(1.0, step / warmup) if warmup else 1.0
    if cosine and step > warmup:
        factor = 0.5 * (1 + math.cos(math.pi * (step - 1 - warmup) / max(1, num_steps - warmup)))
    for group in optimizer.param_groups:
        group["lr"] = lr * factor


def _device(problem: Problem) -> torch.device:
    return getattr(problem, "device", torch.device("cpu"))

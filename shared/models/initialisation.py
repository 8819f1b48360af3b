"""Reproducible parameter initialisation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Modules built inside draw their initial parameters from `generator` and leave the global state as it was.

    torch's modules initialise from the global CPU stream; inside, that stream is a fork seeded by `generator`.
    None leaves torch's behaviour. Build on the CPU (or meta) and move: other devices have streams of their own.
    """
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def normal_linear_(linear: nn.Linear, std: float | None) -> None:
    """N(0, std^2) weight and zero bias; None keeps the module's own init."""
    if std is None:
        return
    nn.init.normal_(linear.weight, std=std)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)

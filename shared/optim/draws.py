"""Random numbers of N simulated or real clients, in two streams: gradient noise, and compression.

Two streams, so that two compressors meet the same noise. A stream is one generator for all clients (fast: one draw for
everything), or one generator per client (what N processes can reproduce, each with its own).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.base.seeding import torch_generator

Stream = torch.Generator | Sequence[torch.Generator]


@dataclass(frozen=True)
class ClientDraws:
    """The two streams of a run; they advance with every step."""

    noise: Stream
    masks: Stream


def joint_draws(seed: int, *purpose: str | int, device: str | torch.device = "cpu") -> ClientDraws:
    """One generator per stream for all clients and all runs."""
    return ClientDraws(*(torch_generator(seed, *purpose, kind, device=device) for kind in ("noise", "masks")))


def client_draws(seed: int, num_clients: int, *purpose: str | int, device: str | torch.device = "cpu") -> ClientDraws:
    """One generator per stream and client; `one_client` gives the same numbers to a process."""
    own = [one_client(seed, index, *purpose, device=device) for index in range(num_clients)]
    return ClientDraws([draws.noise[0] for draws in own], [draws.masks[0] for draws in own])


def one_client(seed: int, index: int, *purpose: str | int, device: str | torch.device = "cpu") -> ClientDraws:
    """The streams of client `index` alone, as of `client_draws`."""
    return ClientDraws(
        *([torch_generator(seed, *purpose, "client", index, kind, device=device)] for kind in ("noise", "masks"))
    )


def standard_normal(like: Tensor, stream: Stream) -> Tensor:
    """Normal draws shaped like `like` (..., N, d), made in float32: faster, and cut at 5.8 standard deviations."""
    return _draw(like, stream, lambda shape, g: torch.randn(shape, generator=g, device=g.device))


def uniform(like: Tensor, stream: Stream) -> Tensor:
    """Draws from (0, 1] shaped like `like`, with float64 resolution if `like` has it."""
    return _draw(like, stream, lambda shape, g: 1 - torch.rand(shape, generator=g, dtype=like.dtype, device=g.device))


def _draw(like: Tensor, stream: Stream, draw: Callable[[torch.Size, torch.Generator], Tensor]) -> Tensor:
    if isinstance(stream, torch.Generator):
        return draw(like.shape, stream).to(like)
    if like.dim() < 2 or like.shape[-2] != len(stream):
        raise ValueError(
            f"{len(stream)} client streams need vectors of shape (..., {len(stream)}, d); got {like.shape}"
        )
    shape = like.shape[:-2] + like.shape[-1:]
    return torch.stack([draw(shape, generator) for generator in stream], dim=-2).to(like)

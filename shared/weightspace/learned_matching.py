"""Alignment learned through the loss of interpolated models: symmetries are trained, the models are frozen.

Every aligned model has one latent matrix per space; an orthogonal one is projected by its polar factor, a permutation
by an assignment with a straight-through gradient or, softened, by Sinkhorn. Many problems (pairs or tuples of models)
are stacked and trained as one program.

Shapes: P problems, K models of each, N size of a space.
Source: Theus et al. 2025 (arXiv 2506.22712), algorithm 1 and appendix D.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from shared.base.seeding import torch_generator
from shared.optim.schedules import make_schedule
from shared.weightspace.assignment import polar, sinkhorn, sinkhorn_start, straight_through_permutation
from shared.weightspace.states import State
from shared.weightspace.symmetry import Symmetry, transform

Sampler = Callable[[torch.Generator], Tensor]  # -> weights of the K models, (K,), which sum to 1
Loss = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]


def mixing(name: Literal["fixed", "uniform", "normal"], low: float = 0.5, high: float = 0.5) -> Sampler:
    """Weights (lam, 1 - lam): lam is 1/2, uniform in [low, high], or normal (mean low, std high), cut to [0, 1]."""

    def draw(generator: torch.Generator) -> Tensor:
        if name == "fixed":
            lam = torch.tensor(0.5)
        elif name == "uniform":
            lam = low + (high - low) * torch.rand((), generator=generator)
        else:
            lam = (low + high * torch.randn((), generator=generator)).clamp(0, 1)
        return torch.stack([lam, 1 - lam])

    if name not in ("fixed", "uniform", "normal"):
        raise ValueError(f"weights are drawn fixed, uniform or normal; got '{name}'")
    if name == "uniform" and not 0 <= low <= high <= 1:
        raise ValueError(f"lam lies in [0, 1]; got the interval [{low:g}, {high:g}]")
    return draw


def dirichlet(concentration: float, num_models: int) -> Sampler:
    """Weights of several models from a symmetric Dirichlet distribution."""

    def draw(generator: torch.Generator) -> Tensor:
        alpha = torch.full((num_models,), concentration)
        # in log space: at a small concentration gamma draws underflow. Gamma(a) = Gamma(a + 1) U^(1 / a)
        logs = torch._standard_gamma(alpha + 1, generator=generator).log()
        return (logs + torch.rand(num_models, generator=generator).log() / alpha).softmax(0)

    return draw


@dataclass(frozen=True, kw_only=True)
class LearnedMatching:
    """How latents are trained: Adam, cosine to 0.

    Args:
        num_steps: updates. lr: peak of Adam's learning rate for the latents of rotations.
        permutation_lr: the same for those of permutations; a latent has to travel by 1/2 before anything flips.
        above_ends: the loss counts from the mean of the models' own. For hard elements that is a constant, but not in
            the straight-through gradient: near a single model it would push permutations for that model's sake.
        soft: permutations by Sinkhorn with `rounds` instead of assignments; `spread` of their start.
    """

    num_steps: int
    lr: float
    permutation_lr: float
    above_ends: bool = False
    soft: bool = False
    rounds: int = 20
    spread: float = 0.1


class Latents(nn.Module):
    """Latent matrices of the spaces, (P, N, N) each, at the identity or, softened, near it."""

    def __init__(self, symmetry: Symmetry, num_problems: int, how: LearnedMatching, dtype, seed: int) -> None:
        super().__init__()
        self.symmetry, self.how = symmetry, how
        self.names = list(symmetry.spaces)
        self.matrices = nn.ParameterList()
        for name, space in symmetry.spaces.items():
            if space.copies is not None or space.group not in ("orthogonal", "permutation"):
                raise ValueError(
                    f"'{name}' is {space.group} with {space.copies or 1} copies; it has no latent form here"
                )
            start = torch.eye(space.size, dtype=dtype).repeat(num_problems, 1, 1)
            if self._softened(name):
                start = sinkhorn_start(start, how.spread, torch_generator(seed, "soft start", name))
            self.matrices.append(nn.Parameter(start))

    def _softened(self, name: str) -> bool:
        return self.how.soft and self.symmetry.spaces[name].group != "orthogonal"

    def peaks(self) -> list[tuple[nn.Parameter, float]]:
        """Latents with the peak of their learning rate."""
        rotated = [self.symmetry.spaces[name].group == "orthogonal" for name in self.names]
        lrs = [self.how.lr if turns else self.how.permutation_lr for turns in rotated]
        return list(zip(self.matrices, lrs, strict=True))

    def elements(self) -> dict[str, Tensor]:
        """Space -> projected matrices (P, N, N)."""
        found = {}
        for name, z in zip(self.names, self.matrices, strict=True):
            if self.symmetry.spaces[name].group == "orthogonal":
                found[name] = polar(z)
            else:
                found[name] = sinkhorn(z, self.how.rounds) if self.how.soft else straight_through_permutation(z)
        return found


def merged(symmetry: Symmetry, models: Sequence[State], elements: Sequence[Mapping], weights: Tensor) -> dict:
    """sum_k weights[k] of the moved models; weights (K,). A model without elements stays."""
    moved = [transform(symmetry, m, e) if e else m for m, e in zip(models, elements, strict=True)]
    return {name: sum(w * state[name] for w, state in zip(weights, moved, strict=True)) for name in moved[0]}


def learn_matching(
    template: nn.Module,
    symmetry: Symmetry,
    models: Sequence[State],
    free: Sequence[int],
    loss: Loss,
    batches: Iterable[Mapping[str, Tensor]],
    sampler: Sampler,
    how: LearnedMatching,
    *,
    seed: int = 0,
    watch: Callable[[int, list[dict[str, Tensor]], Tensor | None], None] | None = None,
) -> list[dict[str, Tensor]]:
    """Elements that lower the loss between the models, for P problems at once.

    Args:
        template: a network of the architecture, in eval mode. models: K stacked states, entries (P, ...).
        free: which of the K models have latents; the others stay. Usually moved by another matching before.
        loss: (model, batch) -> mean loss of one problem.
        batches: one mapping per update, entries (P, B, ...).
        sampler: weights of the models; one draw per update, the same for all problems.
        watch: is given the updates done, the elements of the K models (without gradients) and the training losses (P,)
            of the next update's batch; None after the last.
    Returns:
        elements of each of the K models, (P, N, N) per space; {} where a model stays. Hard unless `how.soft`.
    """
    first = next(iter(models[0].values()))
    latents = {k: Latents(symmetry, len(first), how, first.dtype, seed + k).to(first.device) for k in free}
    peaks = [own.peaks() for own in latents.values()]
    optimizer = torch.optim.Adam([{"params": [z], "lr": lr, "peak": lr} for own in peaks for z, lr in own])
    schedule = make_schedule("cosine", num_steps=how.num_steps, warmup_steps=0, floor=0.0, decay_steps=0)
    generator, scope = torch_generator(seed, "mixing"), _Scope(template, loss)

    def loss_of(state, batch) -> Tensor:
        return torch.func.functional_call(scope, _named(state), (batch,))

    def one(states, elements, batch, weights) -> Tensor:
        found = loss_of(merged(symmetry, states, elements, weights), batch)
        if not how.above_ends:
            return found
        ends = (merged(symmetry, [s], [e], weights.new_ones(1)) for s, e in zip(states, elements, strict=True))
        return found - sum(w * loss_of(end, batch) for w, end in zip(weights, ends, strict=True))

    for step, batch in zip(range(how.num_steps), batches, strict=False):
        weights = sampler(generator).to(first)
        elements = [latents[k].elements() if k in latents else {} for k in range(len(models))]
        losses = torch.vmap(one, in_dims=(0, 0, 0, None))(list(models), elements, dict(batch), weights)
        if watch is not None:
            watch(step, _detached(elements), losses.detach())
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(step)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    with torch.no_grad():
        found = _detached([latents[k].elements() if k in latents else {} for k in range(len(models))])
    if watch is not None:
        watch(how.num_steps, found, None)
    return found


class _Scope(nn.Module):
    """The loss as a module's forward, so that functional_call reaches every parameter."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        return self.loss(self.model, batch)


def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"model.{name}": tensor for name, tensor in state.items()}


def _detached(elements: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
    return [{name: element.detach() for name, element in own.items()} for own in elements]

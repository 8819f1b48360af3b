"""Alignment of two networks by their weights alone: coordinate descent over the spaces of their symmetry.

One space at a time, given all others, takes the element that maximises the inner product of the weights: a linear
assignment for permutations, Procrustes for rotations. For permutations this is the weight matching of Ainsworth et al.
2023 (arXiv 2209.04836, algorithm 1); spaces none of whose neighbours moved are not solved again.

Shapes: N size of a space, C its copies, K what is left of a parameter beside the space.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from shared.base.seeding import torch_generator
from shared.weightspace.assignment import best_permutation, procrustes
from shared.weightspace.elements import Elements, identity
from shared.weightspace.states import State, check_same_parameters, combined
from shared.weightspace.symmetry import Axis, Space, Symmetry, dual, move_axis, stretch, transform

SOLVERS = {"permutation": best_permutation, "semi-permutation": best_permutation, "orthogonal": procrustes}


@dataclass(frozen=True)
class Matching:
    """elements: of B. settled: whether nothing moved in the last sweep. sweeps: the elements after each."""

    elements: dict[str, Tensor]
    settled: bool
    sweeps: list[dict[str, Tensor]]
    inner_product: Callable[[Elements], float]

    @cached_property
    def objective(self) -> list[float]:
        """<A, moved B> after every sweep, computed when first read: of the parameters as they are then."""
        return [self.inner_product(elements) for elements in self.sweeps]


def match_weights(
    symmetry: Symmetry,
    a: State,
    b: State,
    *,
    max_sweeps: int = 100,
    averaged: Sequence[str] = (),
    initial: Elements | None = None,
    anchored: bool = True,
    restarts: int = 0,
    seed: int = 0,
    after_sweep: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> Matching:
    """Elements that bring B close to A; spaces that are invertible keep their coordinates.

    Args:
        a, b: parameters of one architecture. max_sweeps: passes over all spaces.
        averaged: spaces whose parameters count by their mean over K, not by their sum.
        initial: elements to start from; nothing moved if omitted.
        anchored: in the first sweep a space uses only parameters whose other spaces are solved already, if it has such:
            a plain start would compare hidden units through inputs that are not aligned yet.
        restarts: further descents from plain starts in random orders of the spaces; the best objective wins.
        after_sweep: is given the number of the sweep (of the first descent) and the elements.
    Raises:
        ValueError: architectures that differ (names the first parameter), or weights that are not finite.
    """
    check_same_parameters(a, b)
    symmetry.check(a)
    descent = _Descent(symmetry, a, b, averaged)
    best = descent.run(list(descent.spaces), max_sweeps, initial, anchored, after_sweep)
    for restart in range(restarts):
        generator = torch_generator(seed, "order of spaces", restart)
        order = [sorted(descent.spaces)[i] for i in torch.randperm(len(descent.spaces), generator=generator)]
        found = descent.run(order, max_sweeps, initial, False, None)
        best = max(best, found, key=lambda matching: matching.objective[-1])
    return best


class _Descent:
    def __init__(self, symmetry: Symmetry, a: State, b: State, averaged: Sequence[str]) -> None:
        self.symmetry, self.a, self.b = symmetry.restricted(tuple(SOLVERS)), a, b
        self.spaces = self.symmetry.spaces
        of_parameter = {name: self.symmetry.of_parameter(name) for name in self.symmetry.parameters}
        self.terms: dict[str, list[_Term]] = {name: [] for name in self.spaces}
        for axis in self.symmetry.axes:
            term = _Term(axis, of_parameter[axis.parameter], self.spaces, a, b, axis.space in averaged)
            self.terms[axis.space].append(term)
        self.near = {name: set().union(*(term.near for term in own)) for name, own in self.terms.items()}
        # the scores of parameters in which nothing else moves never change
        alone = {name: [term.scores({}) for term in own if not term.beside] for name, own in self.terms.items()}
        self.alone = {name: [_total(scores)] if scores else [] for name, scores in alone.items()}

    def run(self, order, max_sweeps, initial, anchored, after_sweep) -> Matching:
        elements = identity(self.symmetry) | dict(initial or {})
        elements = {name: elements[name] for name in self.spaces}
        stale, solved, sweeps, settled = set(order), set() if anchored else set(order), [], False
        while len(sweeps) < max_sweeps and not settled:
            moved = False
            for name in order:
                if name not in stale:
                    continue
                stale.discard(name)
                usable = [term for term in self.terms[name] if term.beside <= solved] or self.terms[name]
                if len(usable) < len(self.terms[name]):
                    stale.add(name)  # to be solved with everything in the next sweep
                found = self._solve(name, usable, elements)
                solved.add(name)
                if not _same(found, elements[name]):
                    elements[name], moved = found, True
                    stale |= self.near[name]
            sweeps.append(dict(elements))
            if after_sweep is not None:
                after_sweep(len(sweeps), dict(elements))
            settled = not stale or (not moved and len(sweeps) > 1)
        return Matching(elements, settled, sweeps, partial(_inner_product, self.symmetry, self.a, self.b))

    def _solve(self, name: str, usable: list["_Term"], elements: Elements) -> Tensor:
        space = self.spaces[name]
        keep = len(self.near[name]) > 1  # a single neighbour has moved whenever the space is solved again
        parts = [term.scores(elements, keep) for term in usable if term.beside]
        found = SOLVERS[space.group](_total(parts + self.alone[name]))
        if space.per is None or space.per not in elements:
            return found
        placed = torch.empty_like(found)  # copies are numbered as in B, before its members move
        placed[elements[space.per]] = found
        return placed


def _total(parts: list[Tensor]) -> Tensor:
    """Their sum, from the first to the last; no part is changed."""
    total = parts[0] + parts[1] if len(parts) > 1 else parts[0]
    for part in parts[2:]:
        total += part
    return total


class _Term:
    """What one axis of a parameter adds to the scores of its space.

    near: spaces on which these depend. beside: spaces of all other axes, stretches of a fused projection among them.
    """

    def __init__(
        self, axis: Axis, axes: list[Axis], spaces: Mapping[str, Space], a: State, b: State, averaged: bool
    ) -> None:
        self.axis, self.spaces, self.averaged = axis, spaces, averaged
        self.a, self.b = self._rows(stretch(a[axis.parameter], axis)), stretch(b[axis.parameter], axis)
        others = [o for o in axes if o is not axis and (o.dim != axis.dim or o.start == axis.start)]
        self.others = [replace(o, start=0) if o.dim == axis.dim and o.start else o for o in others]
        self.near, self.beside = {o.space for o in others}, {o.space for o in axes if o is not axis}
        self.used: list[Tensor] = []  # the elements that the kept scores were made with
        self.kept: Tensor | None = None

    def scores(self, elements: Elements, keep: bool = False) -> Tensor:
        """<rows of A, rows of B>, all else in B moved: (N, N) or (C, N, N). keep: until one of these moves."""
        used = [elements[other.space] for other in self.others]
        if self.kept is not None and all(one is other for one, other in zip(used, self.used, strict=True)):
            return self.kept
        b = self.b
        for other, element in zip(self.others, used, strict=True):
            b = move_axis(b, other, dual(element, self.spaces[other.space].group) if other.reads else element)
        b = self._rows(b)
        scores = self.a @ b.transpose(-2, -1)
        scores = scores / b.shape[-1] if self.averaged else scores
        self.used, self.kept = (used, scores) if keep or not used else ([], None)
        return scores

    def _rows(self, x: Tensor) -> Tensor:
        """(N, K), or (C, N, K)."""
        axis = self.axis
        if len(axis.shape) > 1:
            x = x.unflatten(axis.dim, axis.shape)
        elif x.ndim == 2:
            return x if axis.dim == 0 else x.T
        if axis.copy is None:
            return x.movedim(axis.dim + axis.factor, 0).flatten(1) if x.ndim > 1 else x[:, None]
        x = x.movedim((axis.dim + axis.copy, axis.dim + axis.factor), (0, 1))
        return x.flatten(2) if x.ndim > 2 else x[..., None]


def _inner_product(symmetry: Symmetry, a: State, b: State, elements: Elements) -> float:
    """<A, moved B> over what the symmetry moves, added up in float64."""
    moved = transform(symmetry, b, elements)
    return float(sum((a[name] * moved[name]).sum(dtype=torch.float64) for name in symmetry.parameters))


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether an element stayed where it was; rotations up to rounding."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype == torch.int64:
        return torch.equal(one, other)
    tolerance = max(1e-6, 100 * one.shape[-1] ** 0.5 * torch.finfo(one.dtype).eps)
    return bool((one - other).abs().max() < tolerance)


def match_many(
    symmetry: Symmetry, states: Sequence[State], *, rounds: int = 5, **how: object
) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """Every model aligned to a common reference, the mean of the aligned models; it begins as the first of them.

    Returns:
        elements of each model, and the reference.
    Source: Crisostomi et al. 2024 (arXiv 2405.17897), whose universe this alternates with; `how` as in `match_weights`.
    """
    reference = dict(states[0])
    elements: list[dict[str, Tensor]] = [{} for _ in states]
    for _ in range(rounds):
        elements = [match_weights(symmetry, reference, state, **how).elements for state in states]
        moved = [transform(symmetry, s, e) for s, e in zip(states, elements, strict=True)]
        reference = combined(moved, lambda *tensors: sum(tensors) / len(tensors))
    return elements, reference

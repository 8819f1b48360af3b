"""Alignment of two networks by their weights alone: coordinate descent over the spaces of their symmetry.

One space at a time, given all others, takes the element that maximises the inner product of the weights: a linear
assignment for permutations, Procrustes for rotations. For permutations this is the weight matching of Ainsworth et al.
2023 (arXiv 2209.04836, algorithm 1); spaces none of whose neighbours moved are not solved again.

Shapes: N size of a space, C its copies, K what is left of a parameter beside the space.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shared.base.seeding import torch_generator
from shared.weightspace.assignment import best_permutation, procrustes
from shared.weightspace.elements import Elements, identity
from shared.weightspace.states import State, check_same_parameters, combined
from shared.weightspace.symmetry import Axis, Symmetry, dual, move_axis, transform

SOLVERS = {"permutation": best_permutation, "semi-permutation": best_permutation, "orthogonal": procrustes}


@dataclass(frozen=True)
class Matching:
    """elements: of B. objective: <A, moved B> after every sweep. settled: whether nothing moved in the last one."""

    elements: dict[str, Tensor]
    objective: list[float]
    settled: bool


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
        best = found if found.objective[-1] > best.objective[-1] else best
    return best


class _Descent:
    def __init__(self, symmetry: Symmetry, a: State, b: State, averaged: Sequence[str]) -> None:
        self.whole, self.a, self.b, self.averaged = symmetry, a, b, set(averaged)
        self.symmetry = symmetry.restricted(tuple(SOLVERS))
        self.spaces = self.symmetry.spaces
        axes = {name: self.symmetry.of_space(name) for name in self.spaces}
        self.others = {
            axis: [o for o in self.symmetry.of_parameter(axis.parameter) if o is not axis]
            for own in axes.values()
            for axis in own
        }
        self.axes = axes
        self.near = {n: {o.space for axis in own for o in self.others[axis]} for n, own in axes.items()}
        self.alone: dict[str, Tensor] = {}  # scores from parameters in which nothing else moves: never change
        self.rows: dict[Axis, Tensor] = {}  # of A, which never move
        self.scores: dict[Axis, tuple[list[Tensor], Tensor]] = {}  # the elements that they were made with, scores
        self.products: dict[str, tuple[list[Tensor], Tensor]] = {}  # the same of a parameter's share of the objective

    def run(self, order, max_sweeps, initial, anchored, after_sweep) -> Matching:
        elements = identity(self.symmetry) | dict(initial or {})
        elements = {name: elements[name] for name in self.spaces}
        stale, solved, objective = set(order), set() if anchored else set(order), []
        for sweep in range(max_sweeps):
            moved = False
            for name in order:
                if name not in stale:
                    continue
                stale.discard(name)
                usable = self._usable(name, solved)
                if len(usable) < len(self.axes[name]):
                    stale.add(name)  # to be solved with everything in the next sweep
                found = self._solve(name, usable, elements)
                solved.add(name)
                if not _same(found, elements[name]):
                    elements[name], moved = found, True
                    stale |= self.near[name]
            objective.append(self.objective(elements) if moved or not objective else objective[-1])
            if after_sweep is not None:
                after_sweep(sweep + 1, dict(elements))
            if not stale or (not moved and sweep > 0):
                return Matching(elements, objective, True)
        return Matching(elements, objective, False)

    def _usable(self, name: str, solved: set[str]) -> list[Axis]:
        near = [axis for axis in self.axes[name] if {o.space for o in self.others[axis]} <= solved]
        return near or self.axes[name]

    def _solve(self, name: str, usable: list[Axis], elements: Elements) -> Tensor:
        space = self.spaces[name]
        if name not in self.alone:
            fixed = [axis for axis in self.axes[name] if not self.others[axis]]
            self.alone[name] = sum((self._score(axis, elements) for axis in fixed), torch.zeros(()))
        parts = [self._kept_score(axis, elements) for axis in usable if self.others[axis]]
        scores = parts[0].clone() if parts else self.alone[name]
        for part in [*parts[1:], self.alone[name]] if parts else []:
            scores += part
        found = SOLVERS[space.group](scores)
        if space.per is None or space.per not in elements:
            return found
        placed = torch.empty_like(found)  # copies are numbered as in B, before its members move
        placed[elements[space.per]] = found
        return placed

    def _kept_score(self, axis: Axis, elements: Elements) -> Tensor:
        """`_score`, kept until a neighbour moves; where the space has but one neighbour that is always."""
        if len(self.near[axis.space]) == 1:
            return self._score(axis, elements)
        used = [elements[other.space] for other in self.others[axis]]
        return _kept(self.scores, axis, used, lambda: self._score(axis, elements))

    def _score(self, axis: Axis, elements: Elements) -> Tensor:
        """<rows of A, rows of B> over one axis, all else moved: (N, N) or (C, N, N)."""
        length = math.prod(axis.shape)
        if axis not in self.rows:
            self.rows[axis] = self._rows(self.a[axis.parameter].narrow(axis.dim, axis.start, length), axis)
        b = self.b[axis.parameter].narrow(axis.dim, axis.start, length)
        for other in self.others[axis]:
            if other.dim == axis.dim and other.start != axis.start:
                continue  # moves another stretch
            element = elements[other.space]
            element = dual(element, self.spaces[other.space].group) if other.reads else element
            b = move_axis(b, replace(other, start=0) if other.dim == axis.dim else other, element)
        b = self._rows(b, axis)
        scores = self.rows[axis] @ b.transpose(-2, -1)
        return scores / b.shape[-1] if axis.space in self.averaged else scores

    @staticmethod
    def _rows(x: Tensor, axis: Axis) -> Tensor:
        """(N, K), or (C, N, K)."""
        x = x.unflatten(axis.dim, axis.shape)
        if axis.copy is None:
            return x.movedim(axis.dim + axis.factor, 0).flatten(1) if x.ndim > 1 else x[:, None]
        x = x.movedim((axis.dim + axis.copy, axis.dim + axis.factor), (0, 1))
        return x.flatten(2) if x.ndim > 2 else x[..., None]

    def objective(self, elements: Elements) -> float:
        return float(sum(self._product(name, elements) for name in self.symmetry.parameters))

    def _product(self, name: str, elements: Elements) -> Tensor:
        """<A, moved B> of one parameter, in float64; kept until one of its spaces moves."""
        axes = self.symmetry.of_parameter(name)

        def product() -> Tensor:
            moved = self.b[name]
            for axis in axes:
                element = elements[axis.space]
                moved = move_axis(moved, axis, dual(element, self.spaces[axis.space].group) if axis.reads else element)
            return (self.a[name] * moved).sum(dtype=torch.float64)

        return _kept(self.products, name, [elements[axis.space] for axis in axes], product)


def _kept(kept: dict, key: object, used: list[Tensor], make: Callable[[], Tensor]) -> Tensor:
    """What was made for the key with these very tensors, or made now."""
    before = kept.get(key)
    if before is None or any(one is not other for one, other in zip(before[0], used, strict=True)):
        before = kept[key] = (used, make())
    return before[1]


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

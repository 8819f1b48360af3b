"""Symmetries of a network as data: which axes of which parameters move together under which group.

A *space* is a set of hidden coordinates (the residual stream, the hidden units of an MLP, the inside of a head). Each
axis of a parameter that runs over a space either *writes* it (h' = A h: the axis is multiplied by A) or *reads* it (the
axis is multiplied by the dual of A, so that what is read stays the same). One interpreter, `transform`, serves every
architecture; `specifications` writes the data down for those of shared/models.

Shapes: N size of a space, C copies of a space that each have an element of their own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from shared.base.errors import nearest_or_all
from shared.weightspace.states import State

Group = Literal["permutation", "semi-permutation", "orthogonal", "invertible"]


@dataclass(frozen=True)
class Space:
    """A set of hidden coordinates.

    Args:
        size: how many.
        group: what may act on them without a change of the function.
        copies: None for one element (N, ...); else that many, (copies, N, ...).
        per: the space whose members the copies belong to, and with which they move; None where they stay in place.
    """

    size: int
    group: Group
    copies: int | None = None
    per: str | None = None


@dataclass(frozen=True, eq=False)  # hashed by identity: an axis is a key in inner loops
class Axis:
    """How one axis of a parameter, or a stretch of it, moves.

    Args:
        parameter, dim: the axis.
        space: what it runs over. reads: whether it consumes the space's coordinates; else it produces them.
        start: where the stretch begins.
        shape: factors of the stretch, outermost first; a single factor if empty. (H, N) are H heads of width N.
        factor: which of them is the space. copy: which of them runs over the copies of a space that has some.
    """

    parameter: str
    dim: int
    space: str
    reads: bool = False
    start: int = 0
    shape: tuple[int, ...] = ()
    factor: int = 0
    copy: int | None = None


class Symmetry:
    """Spaces and the axes that run over them.

    Raises:
        ValueError: an axis names no space, two axes claim one factor, or sizes that contradict the spaces.
    """

    def __init__(self, spaces: Mapping[str, Space], axes: list[Axis]) -> None:
        self.spaces = dict(spaces)
        found: dict[tuple, Axis] = {}
        for axis in axes:
            if axis.space not in self.spaces:
                raise ValueError(f"{axis.parameter} names the space '{axis.space}'; {self._known(axis.space)}")
            space = self.spaces[axis.space]
            shape = axis.shape or (space.size,)
            axis = axis if axis.shape else replace(axis, shape=shape)
            copied = axis.copy is not None and shape[axis.copy] == space.copies
            if shape[axis.factor] != space.size or (space.copies is not None) != copied:
                raise ValueError(
                    f"axis {axis.dim} of {axis.parameter} has factors {shape}, which do not fit {axis.space}: {space}"
                )
            key = (axis.parameter, axis.dim, axis.start, axis.factor)
            if key in found:
                raise ValueError(f"axis {axis.dim} of {axis.parameter} is named twice, by {axis.space} and before")
            found[key] = axis
        # what belongs to members of another space acts before these are moved
        self.axes = sorted(found.values(), key=lambda axis: self.spaces[axis.space].copies is None)
        unused = [name for name in self.spaces if not any(axis.space == name for axis in self.axes)]
        if unused:
            raise ValueError(f"no axis runs over the space '{unused[0]}'; leave it out")

    def of_space(self, name: str) -> list[Axis]:
        """The axes that run over a space."""
        return [axis for axis in self.axes if axis.space == name]

    def of_parameter(self, name: str) -> list[Axis]:
        """The axes of a parameter that move, in the order in which they have to."""
        return [axis for axis in self.axes if axis.parameter == name]

    @property
    def parameters(self) -> list[str]:
        """Parameters that move, each once."""
        return list(dict.fromkeys(axis.parameter for axis in self.axes))

    def prefixed(self, prefix: str) -> "Symmetry":
        """The same for a network that is held as `prefix` of another."""
        return Symmetry(self.spaces, [Axis(**{**a.__dict__, "parameter": prefix + a.parameter}) for a in self.axes])

    def restricted(self, groups: tuple[Group, ...]) -> "Symmetry":
        """Only the spaces of these groups; the others keep their coordinates."""
        kept = {name: space for name, space in self.spaces.items() if space.group in groups}
        kept = {n: s if s.per in kept or s.per is None else Space(s.size, s.group, s.copies) for n, s in kept.items()}
        return Symmetry(kept, [axis for axis in self.axes if axis.space in kept])

    def as_permutations(self) -> "Symmetry":
        """The same spaces under permutations alone; what is larger loses its other elements."""
        spaces = {n: Space(s.size, "permutation", s.copies, s.per) for n, s in self.spaces.items()}
        return Symmetry(spaces, self.axes)

    def squared(self) -> "Symmetry":
        """The same with permutations where copies were allowed: a relaxed permutation is then not read as copies."""
        spaces = {n: replace(s, group=s.group.removeprefix("semi-")) for n, s in self.spaces.items()}
        return Symmetry(spaces, self.axes)

    def check(self, state: State) -> None:
        """ValueError unless every axis fits the parameters of `state`; names the first that does not."""
        for axis in self.axes:
            if axis.parameter not in state:
                hint = nearest_or_all(axis.parameter, state)
                raise ValueError(f"the symmetry moves {axis.parameter}, which these parameters lack; {hint}")
            shape, needed = state[axis.parameter].shape, axis.start + math.prod(axis.shape)
            if axis.dim >= len(shape) or shape[axis.dim] < needed:
                raise ValueError(
                    f"{axis.parameter} has the shape {tuple(shape)}; the symmetry moves {needed} of axis {axis.dim}"
                )

    def _known(self, name: str) -> str:
        return nearest_or_all(name, self.spaces)


def transform(symmetry: Symmetry, state: State, elements: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters after the symmetry: new tensors where something moves, the same ones elsewhere.

    Each name of `state` is moved once, whether or not it shares its storage with another (tied embeddings).

    Args:
        elements: space -> index (N,) with new[i] = old[index[i]], or matrix (M, N) with new = matrix @ old; with a
            leading C where the space has copies. Spaces that are left out keep their coordinates. Differentiable in
            matrices and parameters.
    """
    unknown = [name for name in elements if name not in symmetry.spaces]
    if unknown:
        raise ValueError(f"no space is called '{unknown[0]}'; {nearest_or_all(unknown[0], symmetry.spaces)}")
    moved = dict(state)
    duals = {name: dual(element, symmetry.spaces[name].group) for name, element in elements.items()}
    for axis in symmetry.axes:
        if axis.space in elements:
            element = duals[axis.space] if axis.reads else elements[axis.space]
            moved[axis.parameter] = move_axis(moved[axis.parameter], axis, element)
    return moved


def stretch(x: Tensor, axis: Axis) -> Tensor:
    """The part of a parameter that an axis runs over; the parameter itself where that is all of it."""
    length = math.prod(axis.shape)
    return x if length == x.shape[axis.dim] else x.narrow(axis.dim, axis.start, length)


def move_axis(x: Tensor, axis: Axis, element: Tensor) -> Tensor:
    """`x` with one axis multiplied by an element (or permuted, if it is an index)."""
    part = moving = stretch(x, axis)
    part = part.unflatten(axis.dim, axis.shape) if len(axis.shape) > 1 else part
    factor, copy = axis.dim + axis.factor, None if axis.copy is None else axis.dim + axis.copy
    if element.dtype == torch.int64 and copy is None:
        part = part.index_select(factor, element)
    elif element.dtype == torch.int64:
        shape = [1] * part.ndim
        shape[copy], shape[factor] = element.shape
        index = (element if copy < factor else element.T).reshape(shape)
        part = part.take_along_dim(index.expand(part.shape), factor)
    elif copy is None:
        part = (part.movedim(factor, -1) @ element.transpose(-2, -1)).movedim(-1, factor)
    else:
        front = part.movedim((copy, factor), (0, -1))  # (C, ..., N)
        shape = front.shape
        front = front.reshape(shape[0], -1, shape[-1]) @ element.transpose(-2, -1)
        part = front.reshape(*shape[:-1], element.shape[-2]).movedim((0, -1), (copy, factor))
    part = part.flatten(axis.dim, axis.dim + len(axis.shape) - 1) if len(axis.shape) > 1 else part
    if moving is x:
        return part
    before = x.narrow(axis.dim, 0, axis.start)
    end = axis.start + math.prod(axis.shape)
    return torch.cat([before, part, x.narrow(axis.dim, end, x.shape[axis.dim] - end)], dim=axis.dim)


def dual(element: Tensor, group: Group) -> Tensor:
    """What a reading axis is multiplied by: dual^T (element h) is h, for a relu after it too if semi-permutation."""
    if element.dtype == torch.int64 or group in ("permutation", "orthogonal"):
        return element
    if group == "semi-permutation":
        return (element > 0).to(element.dtype)
    return torch.linalg.inv(element).transpose(-2, -1)


def as_matrix(element: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The matrix of an index, (..., N) -> (..., N, N); matrices as they are."""
    if element.dtype != torch.int64:
        return element
    return torch.eye(element.shape[-1], dtype=dtype, device=element.device)[element]

"""Elements of a symmetry: membership, random draws, composition, inverse.

An element of a space is an index (N,) or a matrix (N, N), with a leading C where the space has copies.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from shared.weightspace.symmetry import Space, Symmetry, as_matrix

Elements = Mapping[str, Tensor]


def identity(symmetry: Symmetry) -> dict[str, Tensor]:
    """The element that moves nothing, as indices."""
    return {name: _many(space, torch.arange(space.size)) for name, space in symmetry.spaces.items()}


def _many(space: Space, one: Tensor) -> Tensor:
    return one if space.copies is None else one.expand(space.copies, *one.shape).clone()


def random_elements(symmetry: Symmetry, generator: torch.Generator, dtype=torch.float64) -> dict[str, Tensor]:
    """One draw from every space: uniform permutations, Haar rotations, well-conditioned invertible matrices."""
    found = {}
    for name, space in symmetry.spaces.items():
        draws = [_draw(space, generator, dtype) for _ in range(space.copies or 1)]
        found[name] = draws[0] if space.copies is None else torch.stack(draws)
    return found


def _draw(space: Space, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    if space.group in ("permutation", "semi-permutation"):  # a square semi-permutation is a permutation
        return torch.randperm(space.size, generator=generator)
    rotation = random_orthogonal(space.size, space.size, generator, dtype)
    if space.group == "orthogonal":
        return rotation
    scales = torch.rand(space.size, generator=generator, dtype=dtype) + 0.5
    return rotation * scales @ random_orthogonal(space.size, space.size, generator, dtype)


def random_orthogonal(rows: int, columns: int, generator: torch.Generator, dtype=torch.float64) -> Tensor:
    """Matrix with orthonormal columns (rows >= columns), Haar distributed.

    The signs of QR's diagonal are fixed; without that the draw is not uniform.
    """
    if rows < columns:
        raise ValueError(f"{columns} orthonormal columns need at least as many rows; got {rows}")
    q, r = torch.linalg.qr(torch.randn(rows, columns, generator=generator, dtype=dtype))
    return q * r.diagonal().sign()


def random_semi_permutation(rows: int, columns: int, generator: torch.Generator, dtype=torch.float64) -> Tensor:
    """(M, N), M >= N, entries >= 0, columns that sum to 1 and rows with one positive entry."""
    if rows < columns:
        raise ValueError(f"a semi-permutation has at least as many rows as columns; got {rows} and {columns}")
    owner = torch.cat([torch.arange(columns), torch.randint(columns, (rows - columns,), generator=generator)])
    owner = owner[torch.randperm(rows, generator=generator)]
    found = torch.zeros(rows, columns, dtype=dtype)
    found[torch.arange(rows), owner] = torch.rand(rows, generator=generator, dtype=dtype) + 0.1
    return found / found.sum(0)


def check_elements(symmetry: Symmetry, elements: Elements, tolerance: float = 1e-5) -> None:
    """ValueError unless each element belongs to its space's group; names the space and what is wrong."""
    for name, element in elements.items():
        space = symmetry.spaces[name]
        lead = () if space.copies is None else (space.copies,)
        if element.dtype == torch.int64:
            if element.shape != (*lead, space.size) or not torch.equal(
                element.sort(-1).values, torch.arange(space.size).expand_as(element)
            ):
                raise ValueError(f"the element of '{name}' is no permutation of {space.size}")
            continue
        rows = element.shape[-2] if space.group == "semi-permutation" else space.size
        if element.shape != (*lead, rows, space.size) or not element.isfinite().all():
            raise ValueError(f"the element of '{name}' is {tuple(element.shape)}, not a finite matrix of {space.size}")
        wrong = _distance(element, space)
        if not wrong <= tolerance:
            raise ValueError(f"the element of '{name}' is off the group '{space.group}' by {wrong:.3g}")


def _distance(element: Tensor, space: Space) -> float:
    """How far a matrix is from its group; 0 inside."""
    if space.group == "invertible":
        return 0.0 if float(torch.linalg.cond(element).max()) < 1e8 else float("inf")
    if space.group == "orthogonal":
        eye = torch.eye(space.size, dtype=element.dtype)
        return float((element.transpose(-2, -1) @ element - eye).abs().max())
    sums, several = element.sum(-2), (element > 0).sum(-1).sub(1).clamp(min=0)
    outside = max(float((sums - 1).abs().max()), float(several.max()), float((-element).max()))
    if space.group == "semi-permutation":
        return outside
    return max(outside, float((element - element.round()).abs().max()))


def compose(symmetry: Symmetry, first: Elements, then: Elements) -> dict[str, Tensor]:
    """The element that does `first`, then `then`: transform(x, composed) is transform(transform(x, first), then)."""
    full, found = identity(symmetry), {}
    first, then = full | dict(first), full | dict(then)
    for name, space in symmetry.spaces.items():
        a, b = first[name], then[name]
        if space.per is not None:  # copy j of the old network ends where the members were sent
            b = b[inverse_index(first[space.per])] if space.per in symmetry.spaces else b
        found[name] = _product(a, b)
    return found


def _product(first: Tensor, then: Tensor) -> Tensor:
    if first.dtype == torch.int64 and then.dtype == torch.int64:
        return first.gather(-1, then)
    dtype = then.dtype if first.dtype == torch.int64 else first.dtype
    return as_matrix(then, dtype) @ as_matrix(first, dtype)


def invert(symmetry: Symmetry, elements: Elements) -> dict[str, Tensor]:
    """The element that undoes another. Raises: ValueError for a semi-permutation that is no permutation."""
    elements, found = identity(symmetry) | dict(elements), {}
    for name, space in symmetry.spaces.items():
        element = elements[name]
        if element.dtype == torch.int64:
            undone = inverse_index(element)
        elif space.group in ("orthogonal", "permutation"):
            undone = element.transpose(-2, -1)
        elif space.group == "invertible":
            undone = torch.linalg.inv(element)
        else:
            raise ValueError(f"the element of '{name}' copies units and has no inverse")
        found[name] = undone[elements[space.per]] if space.per is not None else undone
    return found


def inverse_index(index: Tensor) -> Tensor:
    """(..., N): where each entry went."""
    return index.argsort(-1)

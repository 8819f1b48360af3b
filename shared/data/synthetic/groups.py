"""Finite groups by exact arithmetic, and their word problems: given x_1 .. x_k, all products x_1 ... x_t.

Elements are numbers 0 .. n-1; element 0 is the identity. Permutations are composed from the left to the right: the
product p q applies p first, (p q)(i) = q(p(i)), so that a word's product grows by the next element on the right.
"""

import functools
import itertools
import re
from dataclasses import dataclass

import numpy as np

from shared.base.errors import nearest_or_all
from shared.data.counter import row_uniforms

_LARGEST = {"Z": 4096, "S": 6, "A": 7, "D": 512}  # a table has n^2 entries


@dataclass(frozen=True)
class Group:
    """A group with its Cayley table.

    Args:
        name: as in `group`. table: (n, n) int64, table[a, b] = a b.
    """

    name: str
    table: np.ndarray

    @property
    def order(self) -> int:
        """n."""
        return len(self.table)

    @functools.cached_property
    def inverses(self) -> np.ndarray:
        """(n,): the inverse of each element."""
        return np.argmin(self.table, axis=1)  # the identity is 0

    @property
    def is_abelian(self) -> bool:
        return bool((self.table == self.table.T).all())

    def subgroup(self, generators: np.ndarray) -> np.ndarray:
        """Elements of the subgroup that `generators` span, sorted."""
        found = np.zeros(1, np.int64)
        while True:
            grown = np.unique(np.concatenate([found, self.table[np.ix_(found, generators)].ravel()]))
            if len(grown) == len(found):
                return found
            found = grown

    def commutator_subgroup(self, elements: np.ndarray | None = None) -> np.ndarray:
        """Elements of the subgroup that all a b a^-1 b^-1 span, for a, b in `elements` (the whole group)."""
        own = np.arange(self.order) if elements is None else elements
        product = self.table[np.ix_(own, own)]
        inverse = self.table[np.ix_(self.inverses[own], self.inverses[own])]
        return self.subgroup(np.unique(self.table[product, inverse]))

    @property
    def is_solvable(self) -> bool:
        """Whether the series of commutator subgroups ends at the identity."""
        elements = np.arange(self.order)
        while len(elements) > 1:
            smaller = self.commutator_subgroup(elements)
            if len(smaller) == len(elements):
                return False
            elements = smaller
        return True

    def prefix_products(self, words: np.ndarray) -> np.ndarray:
        """All products x_1 ... x_t, t = 1 .. k, of words (..., k) of elements."""
        products = np.empty_like(words)
        state = np.zeros(words.shape[:-1], words.dtype)
        for t in range(words.shape[-1]):
            products[..., t] = state = self.table[state, words[..., t]]
        return products

    def words(self, seed: int, purpose: str, step: int, rows: range, length: int) -> np.ndarray:
        """Words of independent uniform elements, (len(rows), length); a row is a function of (seed, step, row)."""
        if length < 1:
            raise ValueError(f"a word has at least one element; got length {length}")
        return (row_uniforms(seed, purpose, step, rows, length) * self.order).astype(np.int64)


@functools.cache
def group(name: str) -> Group:
    """A group by name: Zn cyclic, Sn symmetric, An alternating (on n points), Dn dihedral (2 n elements).

    Raises:
        ValueError: unknown family, a size out of range, or a group of one element.
    """
    match = re.fullmatch(r"([A-Z])(\d+)", name)
    if not match or match[1] not in _LARGEST:
        raise ValueError(f"unknown group '{name}'; {nearest_or_all(name, ['Z2', 'Z60', 'S3', 'S5', 'A5', 'D4'])}")
    family, n = match[1], int(match[2])
    if n > _LARGEST[family]:
        raise ValueError(f"group '{name}' is too large for a table; {family}n goes to n = {_LARGEST[family]}")
    if family == "Z":
        table = np.add.outer(np.arange(n), np.arange(n)) % max(n, 1)
    else:
        table = _cayley(_dihedral(n) if family == "D" else _permutations(n, even=family == "A"))
    if len(table) < 2:
        raise ValueError(f"group '{name}' has one element: every word has the same product; take a larger one")
    return Group(name, table.astype(np.int64))


def _permutations(n: int, even: bool) -> np.ndarray:
    """Permutations of n points in lexicographic order, the identity first; even ones alone if asked for; (m, n)."""
    every = np.array(list(itertools.permutations(range(n))))
    return every[parity(every) == 0] if even else every


def _dihedral(n: int) -> np.ndarray:
    """Rotations and reflections of n points, (2 n, n); n of at least 3 acts faithfully."""
    if n < 3:
        raise ValueError(f"D{n} does not act faithfully on {n} points; take D3 or larger")
    points = np.arange(n)
    return np.stack([(sign * points + k) % n for sign in (1, -1) for k in range(n)])


def parity(permutations: np.ndarray) -> np.ndarray:
    """0 for even and 1 for odd ones, by their inversions; (m, n) -> (m,)."""
    below = permutations[:, :, None] > permutations[:, None, :]
    return np.triu(below, 1).sum((1, 2)) % 2


def _cayley(permutations: np.ndarray) -> np.ndarray:
    """table[a, b] = number of the permutation that applies a first, then b."""
    number = {tuple(p): i for i, p in enumerate(permutations.tolist())}
    products = permutations[:, permutations].swapaxes(0, 1)  # [a, b, i] = b(a(i))
    return np.array([[number[tuple(p)] for p in row] for row in products.tolist()])

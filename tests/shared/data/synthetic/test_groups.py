"""Groups by exact arithmetic, against the axioms and permutations composed by hand."""

import itertools
import math

import numpy as np
import pytest

from shared.data.synthetic.groups import group, parity

NAMES = ["Z2", "Z5", "Z12", "S3", "S4", "A4", "D4", "A5"]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_a_group(name):
    own = group(name)
    table, every = own.table, np.arange(own.order)
    assert (table[table[:, :, None], every] == table[every[:, None, None], table]).all()  # associative
    assert (table[0] == every).all() and (table[:, 0] == every).all()
    assert (table[every, own.inverses] == 0).all() and (table[own.inverses, every] == 0).all()


@pytest.mark.parametrize(
    ("name", "order"), [("Z60", 60), ("S3", 6), ("S4", 24), ("S5", 120), ("A4", 12), ("A5", 60), ("D5", 10)]
)
def test_orders(name, order):
    assert group(name).order == order


def test_products_apply_the_left_permutation_first():
    permutations = list(itertools.permutations(range(4)))
    table = group("S4").table
    for a, b in itertools.product(range(24), repeat=2):
        composed = tuple(permutations[b][permutations[a][i]] for i in range(4))
        assert permutations[table[a, b]] == composed


def test_a5_is_its_own_commutator_subgroup_and_the_small_groups_are_solvable():
    assert len(group("A5").commutator_subgroup()) == 60
    assert len(group("S5").commutator_subgroup()) == 60
    assert [group(n).is_solvable for n in ("Z2", "S3", "S4", "A4", "D4", "A5", "S5")] == [True] * 5 + [False] * 2


def test_commutators_by_brute_force():
    own = group("S4")
    found = {
        own.table[own.table[a, b], own.table[own.inverses[a], own.inverses[b]]]
        for a, b in itertools.product(range(24), repeat=2)
    }
    assert set(own.commutator_subgroup()) == found  # of S4 the commutators are a subgroup already: A4
    assert len(found) == math.factorial(4) // 2


def test_only_cyclic_groups_here_are_abelian():
    assert [group(n).is_abelian for n in ("Z2", "Z12", "S3", "A4", "D4")] == [True, True, False, False, False]


def test_prefix_products_of_permutations_composed_by_hand():
    permutations = np.array([p for p in itertools.permutations(range(5)) if parity(np.array([p]))[0] == 0])
    own = group("A5")
    words = own.words(0, "test", 0, range(3), 7)
    products = own.prefix_products(words)
    for word, found in zip(words, products, strict=True):
        points = np.arange(5)
        for x, product in zip(word, found, strict=True):
            points = permutations[x][points]
            assert (permutations[product] == points).all()


def test_parity_of_z2_words_is_the_sum():
    words = group("Z2").words(1, "test", 0, range(8), 9)
    assert (group("Z2").prefix_products(words) == words.cumsum(1) % 2).all()


def test_a_row_does_not_depend_on_the_others():
    own = group("S5")
    whole = own.words(3, "test", 5, range(8), 6)
    assert (own.words(3, "test", 5, range(2, 4), 6) == whole[2:4]).all()
    assert len(np.unique(whole)) > 20  # of 48 draws from 120


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("Z1", "one element"), ("S1", "one element"), ("S9", "too large"), ("Q8", "unknown group"), ("D2", "faithfully")],
)
def test_refused_groups(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        group(name)


def test_empty_words_are_refused():
    with pytest.raises(ValueError, match="at least one element"):
        group("Z2").words(0, "test", 0, range(2), 0)

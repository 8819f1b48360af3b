"""Crossovers on tables whose roots are known."""

import math

import pytest

from papers.optimizer_gap.gap import crossovers, error_of, last_crossover


def test_a_gap_linear_in_log_batch_size_has_its_root_where_it_should():
    batches = [1, 4, 16, 64]
    assert crossovers(batches, [math.log2(b) - 3 for b in batches]) == [pytest.approx(8.0)]


def test_no_change_of_sign_gives_none():
    assert crossovers([2, 16, 128], [0.1, 0.2, 1.0]) == []
    assert crossovers([2, 16, 128], [0.0, 0.2, 1.0]) == []


def test_two_roots_are_both_found_in_any_order_of_rows():
    assert crossovers([16, 1, 4], [1.0, 1.0, -1.0]) == [pytest.approx(2.0), pytest.approx(8.0)]


def test_a_root_at_a_batch_size_is_listed_once():
    assert crossovers([1, 4, 16], [-1.0, 0.0, 2.0]) == [pytest.approx(4.0)]
    assert crossovers([1, 4, 16], [1.0, 0.0, 2.0]) == []


def test_malformed_tables_are_refused():
    for batches, gap in (([2], [0.1]), ([2, 4], [0.1]), ([2, 4], [0.1, math.inf]), ([0, 4], [1, 2]), ([4, 4], [1, -2])):
        with pytest.raises(ValueError):
            crossovers(batches, gap)


def test_the_last_crossover_is_where_the_gap_stays_positive():
    assert last_crossover([1, 4, 16, 64], [1.0, -1.0, -1.0, 1.0]) == pytest.approx(32.0)
    assert last_crossover([16, 1], [1.0, 0.5]) == 0 and last_crossover([1, 16], [0.5, -0.1]) == math.inf


def test_a_crossover_is_as_sure_as_the_gap_there_over_its_slope():
    """Two doublings apart, the gap grows by 2 a doubling; its error there is between 0.2 and 0.6."""
    found = error_of(8, [4, 16, 64], [-2.0, 2.0, 3.0], [0.2, 0.6, 9.0])
    assert found == pytest.approx(0.4 / 2)
    assert error_of(32, [4, 16, 64], [-2.0, -0.5, 0.5], [0.2, 0.6, 1.0]) == pytest.approx(0.8 / 0.5)

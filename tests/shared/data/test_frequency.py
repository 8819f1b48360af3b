"""Groups of tokens by frequency: masses, a partition, dominant tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.data.frequency import frequency_groups, token_counts


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 50), min_size=3, max_size=60), num_groups=st.integers(1, 6))
def test_masses_are_equal_up_to_the_largest_token(counts, num_groups):
    counts = np.array(counts)
    if counts.sum() == 0 or counts.max() * num_groups > counts.sum():
        return  # one token fills a group: see below
    groups = frequency_groups(counts, num_groups)
    masses = np.bincount(groups, weights=counts, minlength=num_groups) / counts.sum()
    assert len(masses) == num_groups
    assert np.abs(masses - 1 / num_groups).max() <= counts.max() / counts.sum() + 1e-12


def test_every_token_has_one_group_and_groups_follow_frequency():
    counts = np.array([1, 40, 3, 20, 9, 0, 5, 22])
    groups = frequency_groups(counts, 3)
    assert groups[1] == 0 and groups[5] == 2
    for g in range(2):
        assert counts[groups == g].min() >= counts[groups == g + 1].max()


def test_a_dominant_token_leaves_fewer_groups_without_gaps():
    groups = frequency_groups(np.array([90, 4, 3, 3]), 5)
    assert groups[0] == 0 and sorted(set(groups)) == list(range(groups.max() + 1)) and groups.max() < 4


def test_equal_counts_make_equal_groups():
    assert np.bincount(frequency_groups(np.ones(12), 4)).tolist() == [3, 3, 3, 3]


def test_counts_are_those_of_the_text_and_unknown_ids_are_refused():
    assert token_counts(np.array([[0, 2], [2, 2]], dtype=np.uint16), 4).tolist() == [1, 0, 3, 0]
    with pytest.raises(ValueError, match="holds id 9"):
        token_counts(np.array([9]), 4)


def test_no_counts_and_no_groups_are_refused():
    with pytest.raises(ValueError, match="not all zero"):
        frequency_groups(np.zeros(3), 2)
    with pytest.raises(ValueError, match="at least one group"):
        frequency_groups(np.ones(3), 0)

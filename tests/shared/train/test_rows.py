"""Which rows a process and a pass get, and which items they are."""

import pytest
import torch

from shared.train.rows import random_indices, rows_of_pass, shuffled_indices


def test_passes_of_all_processes_cover_the_global_batch_in_order():
    parts = [rows_of_pass(24, 2, 3, process, index) for process in range(2) for index in range(3)]
    assert [row for part in parts for row in part] == list(range(24))


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(
        ValueError, match=r"batch_size 20 cannot be shared evenly by 2 processes with 3 .* multiple of 6"
    ):
        rows_of_pass(20, 2, 3, 0, 0)


@pytest.mark.parametrize("draw", [random_indices, shuffled_indices])
def test_a_row_has_one_index_whichever_rows_are_asked_for(draw):
    whole = draw(0, 5, range(8), batch_size=8, num_items=30)
    parts = [draw(0, 5, range(start, start + 2), batch_size=8, num_items=30) for start in (6, 0, 4, 2)]
    assert torch.equal(torch.cat([parts[1], parts[3], parts[2], parts[0]]), whole)


@pytest.mark.parametrize("draw", [random_indices, shuffled_indices])
def test_steps_and_seeds_give_other_indices(draw):
    draws = {
        tuple(draw(seed, step, range(8), batch_size=8, num_items=99).tolist()) for seed in (0, 1) for step in (0, 1)
    }
    assert len(draws) == 4


def test_every_epoch_holds_every_item_once_in_another_order():
    drawn = torch.cat([shuffled_indices(0, step, range(8), batch_size=8, num_items=12) for step in range(3)])
    first, second = drawn[:12].tolist(), drawn[12:].tolist()
    assert sorted(first) == sorted(second) == list(range(12)) and first != second

"""Soups, task arithmetic, TIES, and BatchNorm after a merge."""

import pytest
import torch
from torch import nn

from shared.base.seeding import torch_generator
from shared.weightspace.batchnorm import has_statistics, reset_statistics
from shared.weightspace.interpolation import lerp
from shared.weightspace.task_vectors import (
    average,
    dare_vector,
    fisher_average,
    greedy_soup,
    task_arithmetic,
    task_vector,
    ties,
    ties_vector,
)


def state(seed, size=40):
    draw = torch_generator(seed, "state")
    return {"w": torch.randn(size, 3, generator=draw, dtype=torch.float64), "n": torch.tensor(seed)}


def test_half_of_two_task_vectors_from_one_base_is_the_average():
    base, a, b = state(0), state(1), state(2)
    found = task_arithmetic(base, [a, b], 0.5)
    assert torch.allclose(found["w"], average([a, b])["w"], atol=1e-12)
    assert torch.allclose(found["w"], lerp(a, b, 0.5)["w"], atol=1e-12)
    assert found["n"] == 0  # the base's


def test_ties_by_hand():
    first = {"a": torch.tensor([3.0, -1.0]), "b": torch.tensor([0.1, 2.0])}
    second = {"a": torch.tensor([-2.0, -4.0]), "b": torch.tensor([0.2, 1.0])}
    merged = ties_vector([first, second], keep=0.5)
    assert torch.cat([merged["a"], merged["b"]]).tolist() == [3.0, -4.0, 0.0, 2.0]


def test_ties_that_keeps_all_of_equal_signs_is_the_mean():
    base = {"w": torch.zeros(30)}
    ends = [{"w": torch.rand(30, generator=torch_generator(s, "w"))} for s in (1, 2, 3)]
    assert torch.allclose(ties(base, ends, keep=1.0)["w"], average(ends)["w"])


def test_ties_drops_entries_that_cancel():
    assert ties_vector([{"w": torch.tensor([1.0])}, {"w": torch.tensor([-1.0])}], keep=1.0)["w"].item() == 0


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.5])
def test_ties_refuses_shares_outside_of_0_to_1(keep):
    with pytest.raises(ValueError, match="share in"):
        ties_vector([state(0)], keep)


def test_an_average_refuses_weights_that_do_not_sum_to_one():
    with pytest.raises(ValueError, match="sum 1"):
        average([state(0), state(1)], [0.5, 0.6])
    with pytest.raises(ValueError, match="at least one model"):
        average([])


def test_a_greedy_soup_takes_only_what_helps():
    goal = state(0)["w"]
    ends = [{"w": goal + 1}, {"w": goal - 1}, {"w": goal + 50}]
    soup, kept = greedy_soup(ends, lambda s: -float((s["w"] - goal).square().sum()))
    assert sorted(kept) == [0, 1] and torch.allclose(soup["w"], goal)


def test_a_task_vector_of_the_base_is_zero():
    assert not task_vector(state(0), state(0))["w"].any()
    assert "n" not in task_vector(state(0), state(0))


def test_dare_drops_its_share_and_keeps_the_mean():
    vector = {"w": torch.ones(40_000)}
    found = dare_vector(vector, 0.75, torch_generator(0, "dare"))["w"]
    assert set(found.tolist()) == {0.0, 4.0}
    assert (found == 0).float().mean().item() == pytest.approx(0.75, abs=0.01)
    assert torch.equal(dare_vector(vector, 0.0, torch_generator(0, "dare"))["w"], vector["w"])
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        dare_vector(vector, 1.0, torch_generator(0, "dare"))


def test_fisher_merging_is_the_best_of_two_quadratics():
    """With losses F_i (theta - theta_i)^2 / 2 the merge is where their sum is least; without information the mean."""
    ends = [{"w": torch.tensor([1.0, 1.0, 0.0]), "n": torch.tensor([2.0])}, {"w": torch.tensor([3.0, 5.0, 4.0])}]
    ends[1]["n"] = torch.tensor([4.0])
    fishers = [{"w": torch.tensor([3.0, 0.0, 0.0])}, {"w": torch.tensor([1.0, 2.0, 0.0])}]
    found = fisher_average(ends, fishers, floor=1e-9)
    assert found["w"].tolist() == pytest.approx([1.5, 5.0, 2.0]) and found["n"].item() == 3.0
    assert torch.allclose(fisher_average(ends, fishers, floor=1e9)["w"], average(ends)["w"])
    with pytest.raises(ValueError, match="a diagonal per model"):
        fisher_average(ends, fishers[:1])


def test_reset_statistics_are_those_of_all_the_inputs():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2)).train()
    x = 5 + 2 * torch.randn(64, 3, generator=torch_generator(0, "x"))
    weights = model[2].weight.clone()
    reset_statistics(model, x.split(16))
    assert torch.allclose(model[0].running_mean, x.mean(0), atol=1e-5)
    parts = torch.stack([part.var(0) for part in x.split(16)]).mean(0)
    assert torch.allclose(model[0].running_var, parts, rtol=1e-5)
    assert model.training and model[0].training and model[0].momentum == 0.1
    assert torch.equal(model[2].weight, weights)


def test_models_without_statistics_are_left_alone():
    model = nn.Linear(3, 2)
    assert not has_statistics(model)
    reset_statistics(model, [])
    with pytest.raises(ValueError, match="at least one batch"):
        reset_statistics(nn.Sequential(nn.BatchNorm1d(3)), [])

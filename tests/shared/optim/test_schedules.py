"""Schedules against their closed forms."""

import math
import pickle

import pytest
import torch

from shared.optim.schedules import constant, cosine, linear, make_schedule, stages, warmup_stable_decay

NAMES = ["constant", "cosine", "linear", "wsd", "stages"]


def schedule(name, num_steps=100, warmup_steps=10, floor=0.1):
    return make_schedule(
        name,
        num_steps=num_steps,
        warmup_steps=warmup_steps,
        floor=0.0 if name in ("constant", "stages") else floor,
        decay_steps=20 if name == "wsd" else 0,
    )


@pytest.mark.parametrize("name", NAMES)
def test_warmup_is_step_plus_one_over_length(name):
    assert [schedule(name)(step) for step in range(10)] == [(step + 1) / 10 for step in range(10)]


@pytest.mark.parametrize("name", NAMES)
def test_first_update_after_warmup_is_at_the_peak(name):
    assert schedule(name)(10) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_without_warmup_first_update_is_at_the_peak(name):
    assert schedule(name, warmup_steps=0)(0) == 1.0


@pytest.mark.parametrize("name", ["cosine", "linear", "wsd"])
def test_floor_is_reached_at_num_steps_and_kept(name):
    assert schedule(name)(100) == pytest.approx(0.1, abs=1e-15)
    assert schedule(name)(10_000) == pytest.approx(0.1, abs=1e-15)


@pytest.mark.parametrize("name", ["cosine", "linear", "wsd"])
def test_last_update_stays_above_a_zero_floor(name):
    assert 0 < schedule(name, floor=0.0)(99) < 0.06


def test_cosine_is_halfway_at_half_of_the_decay():
    assert cosine(55, num_steps=100, warmup_steps=10, floor=0.1) == pytest.approx(0.55, abs=1e-15)


def test_cosine_at_a_third_of_the_decay():
    assert cosine(40, num_steps=100, warmup_steps=10) == pytest.approx((1 + math.cos(math.pi / 3)) / 2, abs=1e-15)


def test_linear_at_a_third_of_the_decay():
    assert linear(40, num_steps=100, warmup_steps=10, floor=0.4) == pytest.approx(0.8, abs=1e-15)


def test_wsd_is_flat_then_linear():
    values = [warmup_stable_decay(s, num_steps=100, warmup_steps=10, decay_steps=20) for s in range(100)]
    assert values[10:81] == [1.0] * 71
    assert values[90] == pytest.approx(0.5, abs=1e-15)


def test_wsd_over_the_whole_run_is_the_linear_schedule():
    pairs = [
        (warmup_stable_decay(s, num_steps=50, decay_steps=50, floor=0.2), linear(s, num_steps=50, floor=0.2))
        for s in range(60)
    ]
    assert all(a == b for a, b in pairs)


def test_stages_are_tenths_of_each_other_in_thirds_of_the_run():
    """90 epochs of 10 updates: the step changes after 30 and 60 epochs, and stays beyond the end."""
    found = [stages(step, num_steps=900) for step in (0, 299, 300, 599, 600, 899, 2000)]
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])
    assert [stages(step, num_steps=100) for step in (33, 34, 66, 67)] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_constant_stays_at_the_peak():
    assert constant(10**9, warmup_steps=5) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_schedule_drives_lambda_lr(name):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(name))
    lrs = []
    for _ in range(100):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert lrs == [0.5 * schedule(name)(step) for step in range(100)]


def test_schedule_survives_pickling():
    again = pickle.loads(pickle.dumps(schedule("wsd")))
    assert [again(s) for s in range(100)] == [schedule("wsd")(s) for s in range(100)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "cosin", "num_steps": 10}, "unknown schedule 'cosin'"),
        ({"name": "cosine", "num_steps": 0}, "num_steps of at least 1"),
        ({"name": "cosine", "num_steps": 10, "warmup_steps": 11}, "between 0 and num_steps = 10; got 11"),
        ({"name": "linear", "num_steps": 10, "floor": 1.5}, "in \\[0, 1\\]; got 1.5"),
        ({"name": "wsd", "num_steps": 10}, "needs decay_steps between 1 and .* = 10; got 0"),
        ({"name": "cosine", "num_steps": 10, "decay_steps": 3}, "belongs to schedule 'wsd'"),
        ({"name": "constant", "num_steps": 10, "floor": 0.1}, "does not decay to a floor"),
        ({"name": "stages", "num_steps": 10, "floor": 0.1}, "does not decay to a floor"),
    ],
)
def test_impossible_schedules_are_refused_in_a_sentence(settings, words):
    with pytest.raises(ValueError, match=words):
        make_schedule(**settings)

"""Descents on several rotations of the blocks, and what holds over all of them."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from papers.optimizer_gap.descents import Rotations, cases, descent_rows
from papers.optimizer_gap.problems import SOLVED
from papers.optimizer_gap.rotations import decades, fewest_decades, over_rotations, ratios_by_rotation
from shared.artifacts.config import load_config
from shared.base.seeding import torch_generator
from shared.optim.quadratics import LANDSCAPES, block_quadratic, descend
from shared.optim.schedules import make_schedule


def made_up(ratios, adam=1.0, fresh=(False, True, True), batch_size=1):
    """Descents whose SGD is `ratios` times behind Adam, one per rotation; seed s multiplies both losses by 1 + s.

    A second learning rate of SGD is better on the seed that chooses and 100 times worse on the others.
    """
    rows = [
        {"noise": "rows", "landscape": "het", "sigma": 0.0, "num_samples": 9, "batch_size": batch_size, "num_steps": 9,
         "optimizer": o, "lr": lr, "momentum": 0.9, "draw": d, "seed": s, "fresh": again, "diverged": False,
         "loss": adam * (ratio if o == "sgd" else 1) * (1 + s)
         * ((100 if again else 0.5) if o == "sgd" and lr == 2 else 2 if lr == 2 else 1)}
        for d, ratio in enumerate(ratios) for s, again in enumerate(fresh) for o in ("adam", "sgd") for lr in (1.0, 2.0)
        if not (again and (lr == 2.0) != (o == "sgd"))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def sgd(table):
    return table[table.optimizer == "sgd"].iloc[0]


def test_a_rotation_is_tuned_on_some_seeds_and_measured_on_others():
    found = ratios_by_rotation(made_up([3.0, 5.0])).query("optimizer == 'sgd'")
    assert found.lr.tolist() == [2.0, 2.0] and found.num_seeds.tolist() == [2, 2]
    assert np.exp(found.log_ratio).tolist() == pytest.approx([300, 500])
    assert found.log_ratio_error.tolist() == pytest.approx([0, 0], abs=1e-12)  # the seeds' factor is shared


def test_noise_is_over_rotations_and_the_worst_of_them_is_told():
    row = sgd(over_rotations(made_up([1.0, 100.0, 10.0])))
    assert row.over_adam == pytest.approx(1000) and row.num_draws == 3
    assert row.log_error == pytest.approx(math.log(10) / math.sqrt(3))
    assert row.low == pytest.approx(10 ** (3 - 4.302653 / math.sqrt(3)), rel=1e-5)
    assert (row.smallest, row.largest) == (pytest.approx(100), pytest.approx(10000))
    assert decades(row).value == pytest.approx(3) and fewest_decades(row).value == pytest.approx(2)
    assert decades(row).dof == 2 and fewest_decades(row).dof == 1


def test_a_descent_without_noise_is_exact_and_a_bound_where_adam_is_at_the_floor():
    found = made_up([3.0, 5.0], adam=SOLVED, fresh=(False,), batch_size=9)
    row = sgd(over_rotations(found))
    assert row.num_seeds == 1 and row.floored == 2
    assert fewest_decades(row).noise is None and fewest_decades(row).value == pytest.approx(math.log10(1.5))


def test_edges_are_counted_over_rotations():
    assert sgd(over_rotations(made_up([3.0, 5.0]))).at_edge == "lr high on 2"


def test_columns_are_the_quadratics_of_the_rotations():
    problem, w = (
        Rotations("het", (0, 3), 2),
        torch.randn(5, 4, 9, generator=torch_generator(0, "w"), dtype=torch.float64),
    )
    rows = torch.tensor([[0, 4, 2], [1, 1, 8], [3, 5, 7], [0, 1, 2]])
    for k, draw in enumerate((0, 0, 3, 3)):
        one, own = block_quadratic(LANDSCAPES["het"], draw, "sqrt"), w[:, k : k + 1]
        torch.testing.assert_close(problem.loss(w)[:, k], one.loss(own)[:, 0])
        torch.testing.assert_close(problem.gradient(w)[:, k], one.gradient(own)[:, 0])
        torch.testing.assert_close(problem.row_gradient(w, rows)[:, k], one.row_gradient(own, rows[k : k + 1])[:, 0])


@pytest.fixture(scope="module")
def small():
    settings = load_config("optimizer_gap", "smoke").quadratics
    few = {
        "landscapes": ("het",),
        "num_samples": (2048,),
        "batch_sizes": (256,),
        "row_batch_sizes": (3, 9),
        "row_steps": 20,
    }
    return settings.model_copy(update=few | {"draws": (2, 5)})


def test_descents_choose_on_some_seeds_and_run_the_best_on_others(small):
    found = pd.DataFrame(descent_rows(small))
    noisy, exact = found[found.batch_size != 9], found[found.batch_size == 9]
    tuning, again = noisy[~noisy.fresh], noisy[noisy.fresh]
    assert set(tuning.seed) == {0, 1} and set(again.seed) == {2, 3, 4}
    assert set(exact.seed) == {0} and not exact.fresh.any()
    cell = ["noise", "batch_size", "optimizer", "draw"]
    assert set(again.groupby(cell).size()) == {3} and again.groupby(cell).lr.nunique().max() == 1
    best = tuning.groupby([*cell, "lr", "momentum"]).loss.mean().groupby(level=cell).min()
    own = again.drop_duplicates(cell).merge(tuning, on=[*cell, "lr", "momentum"]).groupby(cell).loss_y.mean()
    pd.testing.assert_series_equal(own, best, check_names=False)
    assert len(ratios_by_rotation(found)) == 12


def test_no_two_rotations_share_their_noise(small):
    """A descent is that of its own stream alone, and rotations get different ones."""
    found = pd.DataFrame(descent_rows(small)).query("noise == 'additive' and optimizer == 'sgd' and not fresh")
    _, noise, num_steps = next(iter(cases(small)))
    schedule = make_schedule("cosine", num_steps=num_steps, warmup_steps=max(1, round(0.1 * num_steps)))
    setting = [{"lr": 1e-4, "momentum": 0.9}]
    for draw in (2, 5):
        one = block_quadratic(LANDSCAPES["het"], draw, "sqrt")
        end = descend(one, noise, "sgd_ema", setting, [schedule(k) for k in range(num_steps)], [1000 * draw + 1]).final
        own = found[(found.draw == draw) & (found.seed == 1) & (found.lr == 1e-4) & (found.momentum == 0.9)]
        assert own.loss.tolist() == pytest.approx(end.flatten().tolist(), rel=1e-9)


def test_decades_have_decadic_noise():
    row = pd.Series({"over_adam": 100.0, "log_error": 0.1 * math.log(10), "num_draws": 8})
    assert (decades(row).value, decades(row).noise) == pytest.approx((2.0, 0.1))
    worst = pd.Series({"smallest": 1000.0, "smallest_log_error": 0.2 * math.log(10), "num_seeds": 3})
    found = fewest_decades(worst)
    assert (found.value, found.noise) == pytest.approx((3.0, 0.2))

"""The reducer of sweeps: against tables whose optimum is known."""

import math

import numpy as np
import pandas as pd
import pytest

from shared.artifacts.sweeps import edge_of, final_rows, over_seeds, tuned, with_regret


def sweep(best: float, rates=(0.1, 0.2, 0.4, 0.8), seeds=(0, 1), **columns) -> pd.DataFrame:
    """A parabola in log lr with its minimum at `best`; seeds lie symmetrically around it."""
    rows = [
        {"lr": lr, "seed": seed, "val_loss": 1 + np.log2(lr / best) ** 2 + 0.01 * (2 * seed - 1), "diverged": False}
        for lr in rates
        for seed in seeds
    ]
    return pd.DataFrame(rows).assign(**columns)


def test_tuning_finds_the_minimum_of_a_parabola_and_its_spread():
    found = tuned(sweep(0.2, optimizer="adam"), ["optimizer"]).iloc[0]
    assert (found.lr, found.edge, found.num_seeds, found.num_settings) == (0.2, "inside", 2, 4)
    assert found.val_loss == pytest.approx(1.0, abs=1e-12)
    assert found["std"] == pytest.approx(0.02 / math.sqrt(2), abs=1e-12)


@pytest.mark.parametrize(("best", "edge"), [(0.01, "low"), (0.1, "low"), (0.3, "inside"), (0.8, "high"), (9.0, "high")])
def test_an_optimum_at_the_end_of_the_grid_is_flagged(best, edge):
    assert tuned(sweep(best, a=1), ["a"])["edge"].tolist() == [edge]


def test_one_learning_rate_is_no_grid():
    assert tuned(sweep(0.1, rates=(0.1,), a=1), ["a"])["edge"].tolist() == ["single"]


def test_a_diverged_seed_rules_its_setting_out_and_is_counted():
    table = sweep(0.2, a=1)
    table.loc[(table.lr == 0.2) & (table.seed == 1), ["diverged", "val_loss"]] = [True, math.nan]
    means = over_seeds(table, ["lr"]).set_index("lr")
    assert means.val_loss[0.2] == math.inf and means.num_diverged[0.2] == 1
    found = tuned(table, ["a"]).iloc[0]
    assert found.lr != 0.2 and found.num_diverged == 1


def test_a_cell_where_everything_diverged_has_an_infinite_loss():
    table = sweep(0.2, a=1).assign(diverged=True)
    assert tuned(table, ["a"]).val_loss.tolist() == [math.inf]


def test_the_edge_is_judged_on_the_rates_of_the_best_other_value():
    table = pd.concat([sweep(0.2, momentum=0.9, a=1), sweep(5.0, rates=(0.2, 2.0), momentum=0.0, a=1)])
    found = tuned(table, ["a"], over=["lr", "momentum"]).iloc[0]
    assert (found.lr, found.momentum, found.edge, found.num_settings) == (0.2, 0.9, "inside", 6)


def test_every_tuned_hyperparameter_has_an_edge_of_its_own():
    table = pd.concat([sweep(0.2, momentum=m, a=1).assign(val_loss=lambda t, m=m: t.val_loss + m) for m in (0.5, 0.9)])
    found = tuned(table, ["a"], over=["lr", "momentum"]).iloc[0]
    assert (found.edge, found.edge_momentum) == ("inside", "low")
    assert list(found.index[-2:]) == ["edge", "edge_momentum"]
    rising = table.assign(val_loss=table.val_loss - 2 * table.momentum)
    assert tuned(rising, ["a"], over=["lr", "momentum"]).edge_momentum.tolist() == ["high"]
    without = table.assign(momentum=table.momentum - 0.5)
    assert tuned(without, ["a"], over=["lr", "momentum"]).edge_momentum.tolist() == ["inside"]  # 0 has nothing below it


def test_an_edge_is_judged_on_the_values_beside_the_best():
    """Momentum 0.9 was run at another learning rate alone."""
    table = pd.concat([sweep(0.2, momentum=0.5, a=1), sweep(9.0, rates=(0.8,), momentum=0.9, a=1)])
    assert tuned(table, ["a"], over=["lr", "momentum"]).edge_momentum.tolist() == ["single"]


@pytest.mark.parametrize(
    ("value", "grid", "edge"),
    [
        (0.0, [0.9, 0.0], "inside"),
        (0.9, [0.9, 0.0], "high"),
        (1, [1], "single"),
        ("cosine", ["cosine", "wsd"], "unordered"),
    ],
)
def test_zero_is_no_edge_and_names_have_no_order(value, grid, edge):
    assert edge_of(value, np.array(grid)) == edge


def test_a_hyperparameter_that_an_optimiser_has_not_does_not_hide_its_grid():
    table = pd.concat([sweep(0.2, a=1, momentum=0.9), sweep(0.4, a=2, momentum=np.nan)])
    found = tuned(table, ["a"], over=["lr", "momentum"]).set_index("a")
    assert found.edge.tolist() == ["inside", "inside"] and found.lr[2] == 0.4


def test_regret_is_zero_at_the_best_of_its_group():
    table = pd.DataFrame({"beta1": [0.9, 0.9, 0.8], "beta2": [0.9, 0.95, 0.9], "val_loss": [2.0, 1.5, 3.0]})
    assert with_regret(table, ["beta1"]).regret.tolist() == [0.5, 0.0, 0.0]
    assert with_regret(table, []).regret.tolist() == [0.5, 0.0, 1.5]


def test_the_last_evaluation_of_a_run_counts_and_a_diverged_run_keeps_a_row():
    records = pd.DataFrame(
        {
            "run": ["a", "a", "a", "b"],
            "phase": ["eval", "train", "eval", "diverged"],
            "step": [5, 10, 10, 3],
            "diverged": [False, False, False, True],
            "val_loss": [2.0, np.nan, 1.0, np.nan],
        }
    )
    found = final_rows(records).set_index("run")
    assert found.val_loss["a"] == 1.0 and bool(found.diverged["b"])


def test_an_unknown_column_is_named():
    with pytest.raises(ValueError, match="no column 'momentum'"):
        tuned(sweep(0.2), ["momentum"])

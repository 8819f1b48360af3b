"""Grids are widened where the best value lies at an edge, on the scale of each hyperparameter."""

import pandas as pd
import pytest

from shared.train.sweep.config import SweepConfig, expand
from shared.train.sweep.widening import best_on, beyond_the_edges, follow_best, neighbour


def runs_of(optimizer="sgd", seeds=1, fixed=None, **grid):
    blocks = [{"optimizer": optimizer, "grid": grid, "fixed": fixed or {}}]
    return list(expand(SweepConfig(batch_size=2, num_steps=6, seeds=seeds, blocks=blocks)))


def table(runs, loss, diverged=()):
    """One evaluation a run; `loss` of its settings."""
    rows = [
        {"run": run.name, "phase": "eval", "diverged": run.name in diverged, "val_loss": loss(run.settings)}
        for run in runs
    ]
    return pd.DataFrame(rows)


def test_a_grid_is_widened_at_its_own_ratio_for_every_seed():
    runs = runs_of("adam", seeds=2, beta2=[0.9], lr=[1e-3, 4e-3])
    up = beyond_the_edges(runs, table(runs, lambda s: -s["lr"]))
    down = beyond_the_edges(runs, table(runs, lambda s: s["lr"]))
    assert [(run.settings["lr"], run.seed) for run in up] == [(0.016, 0), (0.016, 1)]
    assert [run.settings["lr"] for run in down] == [0.00025, 0.00025]
    assert up[0].name == "adam beta2=0.9 lr=0.016 seed=0"


def test_only_cells_whose_best_is_at_an_edge_are_widened():
    runs = runs_of(momentum=[0.0, 0.9], lr=[0.1, 1.0, 10.0])
    losses = {0.0: {0.1: 3.0, 1.0: 2.0, 10.0: 4.0}, 0.9: {0.1: 3.0, 1.0: 2.0, 10.0: 1.0}}
    measured = table(runs, lambda s: losses[s["momentum"]][s["lr"]])
    added = beyond_the_edges(runs, measured)
    assert {(run.settings["momentum"], run.settings["lr"]) for run in added} == {(0.9, 100.0)}
    best = table(runs, lambda s: losses[s["momentum"]][s["lr"]], diverged=["sgd momentum=0.9 lr=10 seed=0"])
    assert beyond_the_edges(runs, best) == []


def test_the_best_point_of_each_cell_is_trained_on_fresh_seeds():
    runs = runs_of("adam", beta2=[0.9, 0.99], lr=[1e-3, 4e-3])
    best = {0.9: 1e-3, 0.99: 4e-3}
    again = best_on([1, 2], runs, table(runs, lambda s: float(s["lr"] != best[s["beta2"]])))
    assert [(r.settings["beta2"], r.settings["lr"], r.seed) for r in again] == [
        (0.9, 1e-3, 1),
        (0.9, 1e-3, 2),
        (0.99, 4e-3, 1),
        (0.99, 4e-3, 2),
    ]
    assert again[0].name == "adam beta2=0.9 lr=0.001 seed=1"
    with pytest.raises(ValueError, match="seed 0 chose the best points and cannot measure them"):
        best_on([0, 1], runs, table(runs, lambda s: 1.0))


def test_following_the_best_trains_edges_then_fresh_seeds_and_says_which_is_which():
    names = []

    def train(runs, name):
        names.append(name)
        return table(runs, lambda s: abs(s["lr"] - 9.0))

    found = follow_best(train, runs_of(lr=[0.1, 1.0]), 5, (3,))
    assert names == ["runs", "extension-1", "extension-2", "fresh"]
    assert list(found.run) == [f"sgd lr={lr:g} seed=0" for lr in (0.1, 1, 10, 100)] + ["sgd lr=10 seed=3"]
    assert list(found.extension) == [0, 0, 1, 2, 0] and list(found.fresh) == [False] * 4 + [True]
    assert "fresh" not in follow_best(train, runs_of(lr=[0.1, 1.0]), 0, ())


def test_a_cell_that_diverged_altogether_is_widened_downwards():
    runs = runs_of(lr=[0.1, 1.0])
    (added,) = beyond_the_edges(runs, table(runs, lambda s: 1.0, diverged=[run.name for run in runs]))
    assert added.settings["lr"] == 0.01


@pytest.mark.parametrize(
    ("grid", "low", "high"),
    [
        ([0.9, 0.95], 0.8, 0.975),  # 1 - beta: 0.1, 0.05; ratio 2
        ([0.9, 0.99], 0.0, 0.999),  # 0.1, 0.01; ten times 0.1 is 1: no averaging
        ([0.0, 0.9], None, 0.99),  # 0 is the end of the scale
        ([0.6, 0.8], 0.2, 0.9),
    ],
)
def test_averaging_factors_go_on_in_the_logarithm_of_what_they_forget(grid, low, high):
    for name in ("alpha", "beta", "beta1", "beta2", "momentum"):
        assert neighbour(name, grid, grid[0], low=True) == low
        assert neighbour(name, grid, grid[1], low=False) == high


def test_averaging_factors_never_reach_one():
    grid = [0.9, 0.99]
    for _ in range(20):
        value = neighbour("beta", grid, grid[-1], low=False)
        if value is None:
            break
        assert grid[-1] < value < 1
        grid.append(value)
    assert value is None and len(grid) > 8


@pytest.mark.parametrize(
    ("grid", "low", "high"),
    [([0.01, 0.1], 0.001, 1.0), ([0.0, 0.01, 0.1], None, 1.0), ([0.0, 0.1], None, 0.316)],
)
def test_a_decay_goes_on_by_its_own_ratio_and_ends_at_zero(grid, low, high):
    assert neighbour("weight_decay", grid, grid[0], low=True) == low
    assert neighbour("weight_decay", grid, grid[-1], low=False) == high


def test_a_grid_of_two_hyperparameters_is_widened_along_the_lines_through_its_best():
    runs = runs_of(momentum=[0.0, 0.9], lr=[0.1, 1.0])
    measured = table(runs, lambda s: -s["lr"] - s["momentum"])
    added = beyond_the_edges(runs, measured, widen=("lr", "momentum"))
    assert [(run.settings["lr"], run.settings["momentum"]) for run in added] == [(10.0, 0.9), (1.0, 0.99)]
    assert [run.name for run in added] == ["sgd momentum=0.9 lr=10 seed=0", "sgd momentum=0.99 lr=1 seed=0"]


def test_a_best_point_off_the_grid_gets_the_neighbours_that_it_lacks():
    runs = runs_of(momentum=[0.0, 0.9], lr=[0.1, 1.0, 10.0])
    runs += [run for run in runs_of(momentum=[0.99], lr=[1.0])]
    added = beyond_the_edges(runs, table(runs, lambda s: -s["momentum"]), widen=("lr", "momentum"))
    assert {(run.settings["lr"], run.settings["momentum"]) for run in added} == {
        (0.1, 0.99),
        (10.0, 0.99),
        (1.0, 0.999),
    }


def test_zero_momentum_is_no_edge():
    runs = runs_of(momentum=[0.0, 0.9], lr=[0.1, 1.0, 10.0])
    best = table(runs, lambda s: s["momentum"] + abs(s["lr"] - 1.0))
    assert beyond_the_edges(runs, best, widen=("lr", "momentum")) == []


def test_a_value_that_the_rule_refuses_is_not_tried():
    runs = runs_of("sgd", fixed={"momentum": 0.9}, nesterov=[0.5, 1.0], lr=[0.1])
    assert beyond_the_edges(runs, table(runs, lambda s: -s["nesterov"]), widen=("nesterov",)) == []


def test_a_hyperparameter_of_another_optimiser_is_left_alone():
    runs = [*runs_of("sgd", momentum=[0.5, 0.9], lr=[0.1]), *runs_of("adam", lr=[0.1])]
    added = beyond_the_edges(runs, table(runs, lambda s: -s.get("momentum", 0.0)), widen=("momentum",))
    assert [(run.optimizer, run.settings["momentum"]) for run in added] == [("sgd", 0.98)]

"""What claims and figures of tuned sweeps share: gains over pairs of seeds, edges, estimates of a row, error bands."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from shared.artifacts.claims import at_edges
from shared.artifacts.estimates import of_row
from shared.artifacts.plots import line, lines, styles
from shared.artifacts.sweeps import gains


def runs(seeds=(0, 1)) -> pd.DataFrame:
    """Momentum 0.9 gains 0.5 and 0.7 over momentum 0 at lr 1; the seed itself moves all losses by a whole unit."""
    rows = [
        {"batch_size": 8, "momentum": m, "lr": lr, "seed": s, "diverged": False,
         "val_loss": 3 + s + (lr != 1.0) - (m == 0.9) * (0.5 + 0.2 * s)}
        for m in (0.0, 0.9) for lr in (0.5, 1.0, 2.0) for s in seeds
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_gain_is_a_mean_over_pairs_of_seeds():
    found = gains(runs(), ["batch_size"], "momentum", 0.0)
    assert found.gain.tolist() == pytest.approx([0.0, 0.6]) and found.gain_error.tolist() == pytest.approx([0.0, 0.1])
    assert found.lr.tolist() == [1.0, 1.0] and found.standard_error[0] == pytest.approx(0.5)


def test_one_seed_has_no_error_and_a_cell_without_baseline_no_gain():
    assert gains(runs(seeds=(0,)), ["batch_size"], "momentum", 0.0).gain_error.isna().all()
    assert gains(runs(), ["batch_size"], "momentum", 0.5).gain.isna().all()


def test_only_optima_at_an_edge_are_named():
    table = pd.DataFrame({"batch_size": [2, 16], "momentum": [0.0, 0.9], "edge": ["inside", "high"]})
    assert [found.reason for found in at_edges(table)] == [
        "the best learning rate lies at an edge of its grid (16, 0.9: high)"
    ]
    assert not list(at_edges(table[:1])) and not list(at_edges(table[["batch_size", "momentum"]].assign(at_edge="")))


def test_a_row_has_as_many_degrees_of_freedom_as_its_seeds_allow():
    estimate = of_row({"gap": 0.3, "gap_error": 0.01, "num_seeds": 3}, "gap")
    assert (estimate.value, estimate.noise, estimate.dof) == (0.3, 0.01, 2)
    assert of_row({"gap": 0.3, "gap_error": math.nan, "num_seeds": 1}, "gap").margin() == math.inf


def test_a_band_is_drawn_only_where_an_error_is_known():
    figure, ax = plt.subplots()
    line(ax, [2, 1], [1.0, 2.0], error=[math.nan, math.nan])
    assert not ax.collections
    line(ax, [2, 1], [1.0, 2.0], error=[0.5, 0.1])
    vertices = ax.collections[0].get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx(2.1) and vertices[:, 1].min() == pytest.approx(0.5)
    plt.close(figure)


def test_lines_are_drawn_for_values_that_have_rows_in_the_order_of_their_looks():
    table = pd.DataFrame({"method": ["b", "a", "b"], "x": [2, 1, 1], "y": [0.0, 1.0, 3.0]})
    figure, ax = plt.subplots()
    lines(ax, table, "x", "y", by="method", looks=styles(["a", "b", "c"]), shown={"b": "second"})
    assert [drawn.get_label() for drawn in ax.lines] == ["a", "second"]
    assert ax.lines[1].get_xydata().tolist() == [[1.0, 3.0], [2.0, 0.0]]
    plt.close(figure)

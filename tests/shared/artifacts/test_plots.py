"""The pieces that figures are drawn from: what cannot be drawn is marked, and equal things look equal."""

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from shared.artifacts import plots


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_lines_differ_by_marker_or_dash_as_well_as_by_colour():
    by_marker, by_dash = plots.styles(["a", "b", "c"]), plots.styles([0.1, 0.9, 0.5], lines=True)
    assert len({s["marker"] for s in by_marker.values()}) == len({str(s["color"]) for s in by_marker.values()}) == 3
    assert len({str(s["linestyle"]) for s in by_dash.values()}) == 3
    assert list(by_dash) == [0.1, 0.5, 0.9], "numbers stand in their order"
    assert plots.colours(["a", "b"])["a"] == plots.styles(["a", "b"])["a"]["color"]


def test_a_diverged_run_leaves_a_gap_and_a_triangle_at_the_edge(ax):
    plots.line(ax, [3, 1, 2, 4], [math.inf, 1.0, 2.0, 9.0], top=5.0)
    drawn, marks = ax.lines
    assert np.array_equal(drawn.get_xdata(), [1, 2, 3, 4]) and np.isnan(drawn.get_ydata()[2:]).all()
    assert marks.get_marker() == "^" and np.array_equal(marks.get_xdata(), [3, 4]) and (marks.get_ydata() == 5.0).all()


def test_without_a_top_the_mark_lies_at_the_edge_of_the_panel_whatever_its_limits(ax):
    plots.line(ax, [1, 2], [1.0, math.nan])
    ax.set_ylim(0, 1000)
    place = ax.lines[1].get_transform().transform(ax.lines[1].get_xydata())
    assert math.isclose(ax.transAxes.inverted().transform(place)[0, 1], 1.0)


def test_seeds_are_a_mean_with_a_band_from_least_to_most_and_have_no_mean_where_one_is_gone(ax):
    table = pd.DataFrame({"x": [1, 1, 2, 2], "y": [1.0, 3.0, 5.0, math.inf]})
    plots.seeds(ax, table, "x", "y")
    assert ax.lines[0].get_ydata().tolist() == [2.0]
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (1.0, 3.0)
    assert ax.lines[1].get_marker() == "^" and ax.lines[1].get_xdata().tolist() == [2]


def test_seeds_may_be_thin_lines_each(ax):
    table = pd.DataFrame({"x": [2, 1, 1, 2], "y": [5.0, 1.0, 3.0, 7.0], "seed": [0, 0, 1, 1]})
    plots.seeds(ax, table, "x", "y", each="seed", label="a")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2.0, 6.0], [1.0, 5.0], [3.0, 7.0]]
    assert not ax.collections and ax.get_legend_handles_labels()[1] == ["a"]


def test_one_legend_has_each_label_once_and_numbers_in_their_order():
    figure, axes = plots.panels(2)
    for ax in axes:
        for value in ("10", "2", "0.5"):
            ax.plot([0, 1], [0, 1], label=value)
    plots.legend(figure, axes, "lr")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0.5", "2", "10"]
    plt.close(figure)


def test_panels_that_are_left_over_are_empty():
    figure, axes = plots.panels(4, most=3)
    assert len(axes) == 4 and [ax.axison for ax in figure.axes] == [True] * 4 + [False] * 2
    plt.close(figure)


def test_ticks_are_values_of_the_grid_in_plain_numbers(ax):
    ax.plot([1e-4, 1e-1], [1, 100])
    plots.value_ticks(ax.xaxis, [1e-4, 1e-3, 1e-2, 1e-1], most=2)
    ax.set_yscale("log")
    plots.log_ticks(ax.yaxis, (1, 3))
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.0001", "0.01"]
    assert {"1", "3", "10", "30", "100"} <= {t.get_text() for t in ax.get_yticklabels()}


def test_limits_leave_out_what_is_not_finite():
    low, high = plots.limits(pd.Series([1.0, 2.0, math.inf]))
    assert low < 1.0 and 2.0 < high < 2.2
    assert plots.limits(pd.Series([1.0, 9.0]), headroom=0.5)[1] < 1.6


def test_a_scale_line_that_is_not_known_is_not_drawn(ax):
    plots.scale_line(ax, math.nan, "paper")
    assert not ax.lines
    plots.scale_line(ax, 1.5, "entropy rate")
    assert ax.lines[0].get_ydata()[0] == 1.5


def test_records_without_such_runs_say_so():
    figure = plots.nothing("These records hold no such runs.")
    assert figure.axes[0].texts[0].get_text() == "These records hold no such runs."
    plt.close(figure)


def test_of_nested_looks_the_first_has_the_largest_marker_and_each_keeps_its_own():
    looks = plots.styles(["a", "b", "c"])
    found = plots.nested(looks, 6, 3)
    assert [look["markersize"] for look in found.values()] == [6, 4.5, 3]
    assert [look["marker"] for look in found.values()] == [look["marker"] for look in looks.values()]


def test_an_axis_may_be_linear_up_to_one_and_logarithmic_beyond(ax):
    plots.symlog_ticks(ax.yaxis, (0, 0.5, 1, 2, 5))
    ax.set_ylim(-1, 10)
    place = ax.transData.transform([(0, y) for y in (0, 0.5, 1, 2, 4, 8)])[:, 1]
    steps = np.diff(place)
    assert math.isclose(steps[0], steps[1]) and np.allclose(steps[2:], steps[2])
    assert [ax.yaxis.get_major_formatter()(y, None) for y in ax.get_yticks()] == ["0", "0.5", "1", "2", "5"]

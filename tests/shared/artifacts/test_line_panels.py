"""Figures made of panels: every line is where its rows are, and what left the panel is marked."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from shared.artifacts.line_panels import decade_ticks, heat_panels, line_panels

CURVES = pd.DataFrame(
    [
        (kind, rate, x, 10.0 ** (sign * x))
        for kind, sign in (("up", 1), ("down", -1))
        for rate in (0.1, 1.0)
        for x in range(6)
    ],
    columns=["kind", "rate", "x", "y"],
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_panel_for_each_value_and_a_line_for_each_other():
    _, axes = line_panels(CURVES, "x", "y", panel=["kind"], by="rate", labels=("x", "y"))
    assert [ax.get_title() for ax in axes] == ["up", "down"]
    for ax, sign in zip(axes, (1, -1), strict=True):
        assert [line.get_label() for line in ax.lines] == ["0.1", "1"]
        for line in ax.lines:
            np.testing.assert_allclose(line.get_ydata(), 10.0 ** (sign * np.arange(6)))


def test_what_leaves_the_limits_ends_in_a_triangle_above_and_on_the_floor_below():
    _, (up, down) = line_panels(CURVES, "x", "y", panel=["kind"], by="rate", limits=(1e-3, 1e3))
    marks = [line for line in up.lines if line.get_label() == "_gone"]
    assert [list(mark.get_xdata()) for mark in marks] == [[3], [3]]
    assert not [line for line in down.lines if line.get_label() == "_gone"]
    assert down.lines[0].get_ydata().min() == 1e-3


def test_lost_runs_are_marked_where_they_were_lost():
    lost = CURVES.assign(lost=(CURVES.x == 4) & (CURVES.rate == 1.0))
    _, axes = line_panels(lost, "x", "y", panel=["kind"], by="rate", gone="lost")
    assert [list(line.get_xdata()) for line in axes[0].lines if line.get_label() == "_gone"] == [[4]]


def test_marks_of_runs_lost_at_one_place_hang_below_each_other():
    lost = CURVES.assign(lost=CURVES.x == 4)
    lost["y"] = lost.y.where(lost.x < 4)  # lost runs have no mean
    figure, axes = line_panels(lost[lost.x < 5], "x", "y", panel=["kind"], by="rate", gone="lost")
    figure.canvas.draw()
    marks = [line for line in axes[0].lines if line.get_label() == "_gone"]
    assert [list(mark.get_xdata()) for mark in marks] == [[4], [4]]
    first, second = (mark.get_transform().transform((4, 1.0)) for mark in marks)
    assert first[0] == second[0] and second[1] < first[1]


def test_decades_are_thinned_to_at_most_as_many_as_wanted():
    _, ax = plt.subplots()
    ax.set(xscale="log", xlim=(1e-6, 1e6))
    decade_ticks(ax.xaxis, most=5)
    ticks = ax.get_xticks()
    assert len(ticks) <= 5 and np.allclose(np.log10(ticks), np.round(np.log10(ticks)))


def test_cells_of_a_heat_map_hold_their_numbers():
    table = pd.DataFrame(
        {"method": "a", "row": [0.0, 0.0, 1.0, 1.0], "lr": [0.1, 1.0] * 2, "ppl": [4.0, 5.0, 6.0, 21.5]}
    )
    figure = heat_panels(table, "ppl", panel=["method"], rows="row", columns="lr", labels=("lr", "row"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["4", "5", "6", "21.5"]
    empty = heat_panels(table[:0], "ppl", panel=["method"], rows="row", columns="lr", labels=("lr", "row"))
    assert "no such runs" in empty.axes[0].texts[0].get_text()


def test_cells_of_a_heat_map_may_hold_their_errors():
    table = pd.DataFrame({"m": "a", "row": [1, 2], "lr": [0.1, 0.1], "ppl": [4.0, 5.0], "error": [0.25, np.nan]})
    figure = heat_panels(table, "ppl", panel=["m"], rows="row", columns="lr", labels=("lr", "row"), error="error")
    assert [text.get_text() for text in figure.axes[0].texts] == ["4\n± 0.25", "5"]


def test_heat_maps_may_span_negative_numbers_and_say_how_they_are_written():
    table = pd.DataFrame({"m": "a", "row": [1, 1, 2, 2], "lr": [0.1, 1.0, 0.1, 1.0], "gain": [-2.0, 0.5, 1.0, 3.0]})
    how = {"panel": ["m"], "rows": "row", "columns": "lr", "labels": ("lr", "row")}
    figure = heat_panels(table, "gain", limits=(None, 3.0), form="{:.2f}", **how)
    (image,) = figure.axes[0].get_images()
    assert image.get_clim() == (-2.0, 3.0)
    written = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert written == {"-2.00": "white", "0.50": "black", "1.00": "black", "3.00": "black"}


def test_heat_maps_have_their_own_colours_or_those_between_limits():
    table = pd.DataFrame({"m": "a", "row": [1, 2], "lr": [0.1, 0.1], "share": [0.25, 0.75]})
    how = {"panel": ["m"], "rows": "row", "columns": "lr", "labels": ("lr", "row")}
    own = heat_panels(table, "share", **how).axes[0].images[0].get_clim()
    given = heat_panels(table, "share", limits=(0.0, 1.0), **how).axes[0].images[0].get_clim()
    assert own == (0.25, 0.5) and given == (0.0, 1.0)

"""Shapes that several figures have: what is drawn is what they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from shared.artifacts.figures import paper_style
from shared.artifacts.line_panels import measure_panels
from shared.artifacts.plots import marks, styles
from shared.artifacts.shapes import CHARS, bars, dots, heat_maps, name_points, text_boxes


def test_heat_maps_share_one_scale_and_write_values_only_into_small_grids():
    small = pd.DataFrame([[0.0, 1.0], [2.0, 3.0]], index=["a", "b"], columns=["x", "y"])
    large = pd.DataFrame(np.full((9, 2), 7.0))
    with paper_style():
        figure = heat_maps({"small": small, "large": large}, "loss")
        meshes = [ax.collections[0] for ax in figure.axes[:2]]
        assert {mesh.get_clim() for mesh in meshes} == {(0.0, 7.0)}
        assert [text.get_text() for text in figure.axes[0].texts] == ["0.00", "1.00", "2.00", "3.00"]
        assert not figure.axes[1].texts and figure.axes[2].get_ylabel() == "loss"
        fixed = heat_maps({"small": small}, "loss", limits=(0, None))
        assert fixed.axes[0].collections[0].get_clim() == (0.0, 3.0)


def test_a_name_stands_above_its_point_below_where_asked_and_left_of_the_last():
    with paper_style():
        _, ax = plt.subplots()
        name_points(ax, ["one", "two", "last"], [1, 2, 3], [5, 5, 5], below=["two"])
        found = {text.get_text(): (text.xyann[1], text.get_ha()) for text in ax.texts}
    assert found == {"one": (4, "center"), "two": (-9, "center"), "last": (4, "right")}


def test_a_long_line_of_a_text_box_is_broken_and_indented_and_no_mark_is_lost():
    text = "def f():\n    " + " ".join(["word"] * 60) + "\n    cost = '$5'"
    with paper_style():
        figure = text_boxes([("Title", text)], [("C3", "#fdf0ee")], continued=["    "])
        shown = figure.axes[0].texts[0].get_text().replace(r"\$", "$")
    lines = shown.splitlines()
    assert max(map(len, lines)) <= CHARS and lines[2].startswith("        word") and shown.split() == text.split()
    assert figure.texts[0].get_text() == "Title"


def test_dots_and_bars_have_one_mark_per_value():
    table = pd.DataFrame({"row": ["a", "b", "a", "b"], "by": ["x", "x", "y", "y"], "value": [1.0, 2.0, 3.0, np.nan]})
    with paper_style():
        figure = dots({"": table}, "row", "by", "value", {"x": "X", "y": "Y"}, "points")
        drawn = [container.lines[0].get_xdata() for container in figure.axes[0].containers]
        np.testing.assert_array_equal(np.array(drawn, float), [[1, 2], [3, np.nan]])
        _, (ax,) = bars({"count": pd.Series([3, 4], index=["a", "b"])}, unit="n")
        assert [patch.get_height() for patch in ax.patches] == [3, 4]


def test_measures_share_their_legend_and_only_gains_have_a_line_at_zero():
    table = pd.DataFrame({"x": [1.0, 10.0] * 2, "of": [1, 1, 2, 2], "my_gain": [0.1, 0.2, 0.3, 0.4]})
    table = table.assign(my_gain_error=0.05, loss=[4.0, 3.0, 2.0, 1.0], merged=[3.0, 2.0, 1.0, 0.5])
    with paper_style():
        labels = {"my_gain": "gain", "loss": "loss, nats"}
        figure, (first, second) = measure_panels(table, "x", "of", labels, form="B = {}", dashed="merged", log="rate")
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["B = 1", "B = 2"]
        assert [ax.get_ylabel() for ax in (first, second)] == ["gain", "loss, nats"]
        assert [ax.get_xlabel() for ax in (first, second)] == ["rate"] * 2 and first.get_xscale() == "log"
        assert [len(ax.collections) for ax in (first, second)] == [2, 0]  # bands where the error is known
        assert [line.get_label() for line in first.lines][-1] == "_zero"
        drawn = [line.get_ydata().tolist() for line in second.lines]
        assert drawn == [[4.0, 3.0], [2.0, 1.0], [3.0, 2.0], [1.0, 0.5]]
        plt.close(figure)


def test_marks_are_unconnected_and_named_by_form():
    table = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0], "error": [0.5, 0.25], "of": ["a", "b"]})
    with paper_style():
        figure, ax = plt.subplots()
        marks(ax, table, "x", "y", by="of", looks=styles(["a", "b", "c"]), error="error", form="method {}")
        assert ax.get_legend_handles_labels()[1] == ["method a", "method b"]
        assert [bar.lines[0].get_linestyle() for bar in ax.containers] == ["None", "None"]
        low, high = ax.containers[1].lines[2][0].get_segments()[0][:, 1]
        assert (low, high) == (3.75, 4.25)
        plt.close(figure)

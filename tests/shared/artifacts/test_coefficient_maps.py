"""Coefficient maps: what lies where, the colour scale, the labels."""

import numpy as np
import pandas as pd

from shared.artifacts.coefficient_maps import coefficient_maps


def rows(values):
    return pd.DataFrame([{"i": i, "j": j, "alpha": a} for (i, j), a in values.items()])


def test_queries_run_down_and_sources_to_the_right():
    figure = coefficient_maps({"one": rows({(0, 0): 1.0, (1, 0): -2.0, (1, 1): 0.5})})
    (image,) = figure.axes[0].images
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), [[1.0, np.nan], [-2.0, 0.5]])
    assert image.get_clim() == (-2.0, 2.0)  # zero is white
    assert figure.axes[0].get_title() == "one\nlargest 2"


def test_each_panel_has_its_own_scale_and_the_tokens_label_both_axes():
    maps = {"a": rows({(0, 0): 1.0, (1, 1): -0.5}), "b": rows({(0, 0): 0.0, (1, 0): 0.25, (1, 1): 0.0})}
    figure = coefficient_maps(maps, tokens=["x", "y"], most=2)
    assert [ax.images[0].get_clim()[1] for ax in figure.axes] == [1.0, 0.25]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["x", "y"]


def test_a_map_of_zeros_is_drawn():
    assert coefficient_maps({"zero": rows({(0, 0): 0.0})}).axes[0].images[0].get_clim() == (-1.0, 1.0)

"""Figures of a scale that has several tasks and widths: no curve joins what does not belong together."""

import itertools

import numpy as np
import pandas as pd
import pytest

from papers.ar_scaling.figures import fig_1, fig_3, fig_4, fig_6, fig_gap, fig_pairs, fig_window

CELLS = list(itertools.product(("Attention", "Mamba"), ("m64", "m128"), (1, 2), (64, 128, 256)))


def table(**axis) -> pd.DataFrame:
    """A row per cell and value of the axis, an accuracy of its own each."""
    (name, values), *_ = axis.items()
    rows = [
        {"row": row, "task": task, "num_layers": layers, "d_model": width, name: value}
        for (row, task, layers, width), value in itertools.product(CELLS, values)
    ]
    found = pd.DataFrame(rows)
    accuracy = np.linspace(0.1, 0.9, len(found))
    return found.assign(
        accuracy=accuracy, low=accuracy - 0.01, high=accuracy + 0.01, standard_error=0.01, baseline=0.3, trained_on=4
    )


def curves(figure) -> list[tuple]:
    """x of every line that is a curve, and not one across a panel."""
    return [tuple(line.get_xdata()) for ax in figure.axes for line in ax.lines if len(line.get_xdata()) > 2]


@pytest.mark.parametrize(
    ("draw", "axis", "values", "num"),
    [
        (fig_1, "lr", [1e-3, 3e-3, 1e-2], len(CELLS)),
        (fig_3, "params", [1000.0], len(CELLS) // 3),
        (fig_4, "params", [1000.0], len(CELLS) // 3),
        (fig_gap, "at", [2, 4, 6], len(CELLS)),
        (fig_pairs, "at", [1, 2, 4], len(CELLS) + 2),  # with the baseline of each task
    ],
)
def test_a_curve_is_one_model_at_one_size_on_one_task(draw, axis, values, num):
    found = table(**{axis: values})
    if axis == "params":
        found = found.assign(params=found.d_model * 100.0 * found.num_layers)
    drawn = curves(draw(found))
    assert len(drawn) == num and all(len(set(x)) == len(x) for x in drawn)


def test_a_column_of_panels_is_one_model_at_one_size_on_one_task():
    found = table(step=[10, 20, 30]).assign(measure="val_loss", value=1.0)
    drawn = curves(fig_6(found))
    assert len(drawn) == len(CELLS) and all(len(set(x)) == len(x) for x in drawn)


def test_a_row_of_windows_is_one_model_at_one_size_on_one_task():
    found = table(threshold=[0.9]).assign(width=0.5, low=0.4, high=0.6, grid_step=0.3, decades=2.0)
    labels = [text.get_text() for text in fig_window(found).axes[0].get_yticklabels()]
    assert len(labels) == len(set(labels)) == len(CELLS)


def test_two_points_are_no_curve():
    found = table(params=[1000.0])
    figure = fig_3(found[found.d_model < 256])
    lines = [
        line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() != "None"
    ]
    assert lines and all(line.get_linestyle() == "None" for line in lines)

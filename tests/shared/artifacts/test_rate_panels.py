"""Loss against learning rate: lines of the sweep, stars of fresh seeds, triangles of what diverged."""

import math

import numpy as np
import pandas as pd

from shared.artifacts.rate_panels import rate_panels


def table() -> pd.DataFrame:
    rows = [
        {"beta": beta, "lr": lr, "fresh": False, "val_loss": loss, "standard_error": math.nan}
        for beta, losses in {0.8: (3.2, 3.0, 3.1), 0.9: (3.3, 3.1, math.inf)}.items()
        for lr, loss in zip((1e-3, 1e-2, 1e-1), losses, strict=True)
    ]
    return pd.DataFrame([*rows, {"beta": 0.8, "lr": 1e-2, "fresh": True, "val_loss": 3.05, "standard_error": 0.01}])


def drawn(**how):
    figure = rate_panels(table(), panel={}, line="beta", legend="beta", **how)
    return figure, figure.axes[0]


def test_a_star_is_not_joined_to_the_line_that_chose_it():
    _, ax = drawn()
    lines = {line.get_marker(): line for line in ax.lines if len(line.get_xdata())}
    assert lines["*"].get_xdata().tolist() == [1e-2] and lines["*"].get_ydata().tolist() == [3.05]
    assert lines["o"].get_ydata().tolist() == [3.2, 3.0, 3.1]
    ((low, high),) = [bar.get_segments()[0][:, 1] for bar in ax.collections if len(bar.get_segments())]
    assert (low, high) == (3.05 - 0.02, 3.05 + 0.02)


def test_a_rate_that_diverged_is_a_triangle_and_a_gap():
    _, ax = drawn()
    (gone,) = [line for line in ax.lines if line.get_label() == "_gone"]
    assert gone.get_xdata().tolist() == [1e-1]
    assert any(np.isnan(line.get_ydata()).any() for line in ax.lines)


def test_the_legend_tells_of_fresh_seeds_only_where_there_are_some():
    texts = [text.get_text() for text in drawn()[0].legends[0].get_texts()]
    assert texts == ["0.8", "0.9", "fresh seeds"]
    without = rate_panels(table()[lambda t: ~t.fresh], panel={}, line="beta", legend="beta")
    assert [text.get_text() for text in without.legends[0].get_texts()] == ["0.8", "0.9"]


def test_no_runs_are_a_sentence():
    figure = rate_panels(table().iloc[:0], panel={}, line="beta", legend="beta")
    assert "no runs" in figure.axes[0].texts[0].get_text()

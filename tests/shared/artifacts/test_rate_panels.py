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


def starred(**how) -> list[np.ndarray]:
    """Places of the stars of `table` and of a second one at the same rate."""
    second = {"beta": 0.9, "lr": 1e-2, "fresh": True, "val_loss": 3.15, "standard_error": 0.01}
    figure = rate_panels(pd.concat([table(), pd.DataFrame([second])]), panel={}, line="beta", legend="beta", **how)
    return [line.get_xydata()[0] for line in figure.axes[0].lines if line.get_marker() == "*" and len(line.get_xdata())]


def test_stars_of_one_rate_stand_side_by_side_before_the_next_rate():
    (first, second) = starred()
    assert 1e-2 < first[0] < second[0] < 2e-2 and (first[1], second[1]) == (3.05, 3.15)


def test_lines_of_too_few_rates_are_left_out_unless_all_have_as_few():
    one = pd.DataFrame([{"beta": 0.95, "lr": 1e-2, "fresh": False, "val_loss": 3.02, "standard_error": math.nan}])
    figure = rate_panels(pd.concat([table(), one]), panel={}, line="beta", legend="beta", fewest=3)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0.8", "0.9", "fresh seeds"]
    alone = rate_panels(one, panel={}, line="beta", legend="beta", fewest=3)
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["0.95"]
    assert alone.axes[0].get_xlim() == (5e-3, 2e-2)


def test_a_logarithmic_axis_shows_every_run_and_is_labelled_with_losses():
    _, ax = drawn(log_above=0.05, headroom=0.01)
    shown = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() in "os"])
    np.testing.assert_allclose(np.sort(shown[np.isfinite(shown)]), [0.05, 0.15, 0.15, 0.25, 0.35])
    low, high = ax.get_ylim()
    assert ax.get_yscale() == "log" and low < 0.05 and high > 0.35
    ticks = ax.yaxis.get_major_locator()()
    texts = [ax.yaxis.get_major_formatter()(tick, None) for tick in ticks]
    assert texts == ["3.00", "3.05", "3.10", "3.20"]
    np.testing.assert_allclose(ticks, [0.05, 0.1, 0.15, 0.25])

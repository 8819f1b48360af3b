"""Tables from records made by hand: which end is which, what lies above the line, which angle is the median."""

from types import SimpleNamespace

import pandas as pd
import pytest

from papers.symmetry_lmc import tables
from papers.symmetry_lmc.names import LM


def records(rows):
    return lambda *names: pd.DataFrame(rows)


def test_a_barrier_is_above_the_line_between_the_ends_and_lam_one_is_a():
    losses = {0.0: 1.0, 0.25: 1.7, 0.5: 2.6, 0.75: 2.9, 1.0: 3.0}
    rows = [{"study": "vit", "method": LM, "pair": 0, "lam": lam, "loss": x} for lam, x in losses.items()]
    (row,) = tables.tab_pairs(pd.DataFrame(rows[::-1])).to_dict("records")
    assert (row["loss_a"], row["loss_b"], row["middle"]) == (3.0, 1.0, 2.6)
    assert row["barrier"] == pytest.approx(2.6 - 2.0)


def test_a_path_below_the_line_has_no_barrier():
    rows = [
        {"study": "vit", "method": LM, "pair": 0, "lam": lam, "loss": x} for lam, x in ((0, 1.0), (0.5, 0.7), (1, 1.2))
    ]
    assert tables.tab_pairs(pd.DataFrame(rows)).barrier.tolist() == [0.0]


def test_the_median_angle_is_of_sizes_not_of_signs():
    angles = {"O_WM": (-2.0, -1.0, 3.0), "O_diff": (-0.3, 0.1, -0.2)}
    rows = [{"study": "vit", "pair": 0, "matrix": m, "angle": x} for m, own in angles.items() for x in own]
    (row,) = tables.tab_angles(tables.fig_5(records(rows))).to_dict("records")
    assert (row["median_wm"], row["median_diff"]) == (2.0, 0.2)


def test_the_largest_deviation_of_a_triple_is_over_its_whole_simplex():
    rows = [{"study": "vit", "method": LM, "triple": 0, "deviation": d} for d in (0.0, 0.4, -0.1)]
    (row,) = tables.tab_simplex(records(rows)).to_dict("records")
    assert (row["largest"], row["smallest"]) == (0.4, -0.1)


def test_narrow_models_are_at_lam_zero():
    rows = [
        {"width": 8, "wide": 64, "method": LM, "pair": 0, "lam": lam, "loss": loss}
        for lam, loss in ((0.0, 2.9), (0.5, 2.6), (1.0, 2.4))
    ]
    (row,) = tables.tab_widths(records(rows)).to_dict("records")
    assert (row["loss_narrow"], row["loss_wide"]) == (2.9, 2.4)


def test_studies_carry_their_title_and_the_data_set_that_they_stand_for():
    study = SimpleNamespace(title="ViT, digits", dataset="ViT CIFAR-10")
    settings = SimpleNamespace(studies={"vit": study, "gpt": None})
    rows = records([{"study": "vit", "method": LM, "pair": 0, "step": 5, "barrier": 0.1}])
    (row,) = tables.tab_starts(rows, settings).to_dict("records")
    assert (row["title"], row["dataset"]) == ("ViT, digits", "ViT CIFAR-10")

"""Sensitivity and width by hand, runs kept apart, layers taken apart, settings."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from papers.ngn_m.config import shards
from papers.ngn_m.layers import watch_layers
from papers.ngn_m.runs import scored, with_methods
from papers.ngn_m.sensitivity import counted, sensitivity, width_in_decades, width_interval
from papers.ngn_m.tables import tab_betas, tab_seeds, tab_stability
from papers.ngn_m.untrained import with_untrained
from shared.artifacts.config import load_config
from shared.artifacts.reported import Reported
from shared.base.seeding import numpy_generator
from shared.train.images.task import ImageTask
from shared.train.task import Task


def test_sensitivity_by_hand_with_a_run_that_diverged():
    """Losses 0.5, 0.1, nan, 0.95 from 0.9: counted 0.5, 0.1, 0.9, 0.9; less 0.1 and averaged 0.5."""
    losses = np.array([0.5, 0.1, math.nan, 0.95])
    np.testing.assert_array_equal(counted(losses, 0.9), [0.5, 0.1, 0.9, 0.9])
    assert sensitivity(losses, 0.9) == pytest.approx((0.4 + 0 + 0.8 + 0.8) / 4)
    assert sensitivity(np.array([math.inf, math.nan]), 0.9) == 0


def test_width_by_hand():
    lrs = np.array([0.01, 0.1, 1.0, 10.0])
    assert width_in_decades(lrs, np.array([0.9, 0.9, 0.9, 0.9])) == pytest.approx(3)
    # log quality falls by 2 log 1.1 in a decade, so half of each is good
    fallen = 1.1**-2
    assert width_in_decades(lrs, np.array([fallen, 1.0, 1.0, fallen])) == pytest.approx(0.5 + 1 + 0.5)
    assert width_in_decades(lrs, np.array([1e-6, 1e-6, 1.0, 1e-6])) == pytest.approx(2 * math.log(1.1) / math.log(1e6))


def test_the_interval_holds_the_width_and_is_a_point_where_seeds_agree():
    lrs, quality = np.array([0.1, 1.0, 10.0]), np.array([[0.5, 1.0, 0.92], [0.5, 1.0, 0.7], [0.5, 0.9, 0.9]])
    width, low, high = width_interval(lrs, quality, numpy_generator(0, "t"))
    assert low < width < high
    same = width_interval(lrs, quality[[0, 0, 0]], numpy_generator(0, "t"))
    assert same[0] == pytest.approx(same[1]) == pytest.approx(same[2])


def logged_rows(best_at_1=False):
    """Two studies with runs of equal names; in the second the run at lr 1 diverged."""
    rows = []
    for study, losses in (("mlp", {0.1: 0.95, 1.0: 0.97 if best_at_1 else 0.9}), ("cnn", {0.1: 0.8, 1.0: math.nan})):
        for lr, accuracy in losses.items():
            lost = math.isnan(accuracy)
            row = {
                "study": study,
                "run": f"sgd lr={lr:g} seed=0",
                "optimizer": "sgd",
                "momentum": 0.9,
                "lr": lr,
                "seed": 0,
            }
            row |= {"untrained_val_loss": 2.3, "untrained_val_accuracy": 0.1, "diverged": lost}
            rows.append(row | {"phase": "train", "step": 1, "loss": 1.0})
            last = {"phase": "diverged", "step": 2} if lost else {"phase": "eval", "step": 9, "val_loss": 0.3}
            rows.append(row | last | {"val_accuracy": accuracy})
    studies = load_config("ngn_m", "cpu").studies
    return with_methods([pd.DataFrame(rows)], studies)


def test_runs_of_one_name_in_two_studies_stay_apart_and_a_lost_one_counts_as_untrained():
    runs = scored(logged_rows()).set_index(["study", "lr"])
    assert list(runs.method.unique()) == ["SGDM"] and len(runs) == 4
    assert runs.score["mlp", 0.1] == pytest.approx(95) and runs.score["cnn", 0.1] == pytest.approx(80)
    assert runs.score["cnn", 1.0] == pytest.approx(10) and runs.train_loss["cnn", 1.0] == 2.3
    found = tab_seeds(scored(logged_rows())).set_index("study").sensitivity
    assert found["mlp"] == pytest.approx(0.025) and found["cnn"] == pytest.approx(0.35)
    best = tab_seeds(scored(logged_rows(best_at_1=True))).set_index("study")
    assert best.best_lr["mlp"] == 1.0 and best.best_score["mlp"] == pytest.approx(97)
    table = tab_stability(scored(logged_rows())).set_index(["study", "lr"])
    assert table.num_diverged["cnn", 1.0] == 1 and table.num_diverged.sum() == 1


def test_the_ablation_of_the_averaging_factors_pools_no_other_study():
    """The language model's own sweep has the same factors: its runs count a seed twice or are of other data."""
    rows = [
        {
            "study": study,
            "method": "Adam",
            "beta1": beta1,
            "beta2": beta2,
            "lr": 0.01,
            "seed": seed,
            "score": score + seed,
        }
        for study, beta1, beta2, score in (
            ("betas", 0.9, 0.95, 20.0),
            ("betas", 0.9, 0.8, 10.0),
            ("lm", 0.9, 0.95, 90.0),
        )
        for seed in (0, 1, 2)
    ]
    table = tab_betas(pd.DataFrame(rows), Reported("ngn_m"))
    own = table[table.ppl.notna()].set_index(["varied", "beta"]).sort_index()
    assert own.index.tolist() == [("beta1", 0.9), ("beta2", 0.8), ("beta2", 0.95)]
    assert own.ppl.tolist() == [21.0, 11.0, 21.0] and set(own.num_seeds) == {3}
    assert own.ppl_error.tolist() == pytest.approx([3**-0.5] * 3)


class Parabola(Task):
    """|w|^2 / 2 of one parameter, whatever the batch."""

    def build(self, seed):
        model = nn.Linear(2, 1, bias=False)
        model.weight.data = torch.tensor([[3.0, -1.0]])
        return model

    def batch(self, step, rows, seed):
        return {"x": torch.zeros(len(rows), 2)}

    def loss(self, model, batch, values):
        return model.weight.square().sum() / 2


def test_the_first_effective_step_and_update_by_hand():
    """D = eps + |g| after one update. Adam moves each coordinate by lr; NGN-MDv1 by 0.1 gamma."""
    adam, *_ = watch_layers(Parabola(), "adam", 0.3, ["weight"], batch_size=1, num_steps=1, every=1, seed=0)
    assert adam["effective_step"] == pytest.approx(0.3 * (1 / 3 + 1) / 2, rel=1e-5)
    assert adam["update_rms"] == pytest.approx(0.3, rel=1e-5) and adam["loss"] == 5
    ngn, *_ = watch_layers(Parabola(), "ngn_md", 0.3, ["weight"], batch_size=1, num_steps=1, every=1, seed=0)
    gamma = 0.3 / (1 + 0.3 * (3 + 1) / (2 * 5))  # |g|^2 in the metric 1 / D is 3 + 1
    assert ngn["effective_step"] == pytest.approx(gamma * (1 / 3 + 1) / 2, rel=1e-5)
    assert ngn["update_rms"] == pytest.approx(0.1 * gamma, rel=1e-5)


def test_a_layer_that_the_model_does_not_have_is_named():
    with pytest.raises(ValueError, match="no parameter 'convs'; its parameters are weight"):
        next(watch_layers(Parabola(), "adam", 0.3, ["convs"], batch_size=1, num_steps=1, every=1, seed=0))


def test_untrained_scores_are_those_of_the_seed():
    shard = shards(load_config("ngn_m", "smoke"))["classify"]["mlp-00"]
    task = ImageTask.of_shard(shard)
    table = with_untrained(pd.DataFrame({"seed": [1, 0]}), task, shard)
    own = task.evaluate(task.build(1).eval(), 0)
    assert table.untrained_val_loss[0] == own["val_loss"] and table.study.tolist() == ["mlp", "mlp"]
    assert table.untrained_val_accuracy[0] != table.untrained_val_accuracy[1]


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_methods_of_one_family_have_equal_grids(scale):
    """Equal budgets: as many learning rates over as many decades for every method of a family in a study."""
    config = load_config("ngn_m", scale)
    for name, study in config.present().items():
        budgets = {}
        for block in study.sweep.blocks:
            lrs = block.grid["lr"]
            diagonal = block.optimizer not in ("sgd", "ngn", "ngn_m", "momsps", "momo", "alr_smag")
            budgets.setdefault(diagonal, set()).add((len(lrs), round(math.log10(max(lrs) / min(lrs)), 3)))
        assert all(len(found) == 1 for found in budgets.values()), (name, budgets)

"""What records are summarised into, which settings count, what stands beside the paper's numbers; by hand."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.merging_noise import claims, collapse, curves, rows
from papers.merging_noise.stand_ins import stand_ins
from shared.artifacts.estimates import quantile

LIMITS = SimpleNamespace(comparable=7.0, comparable_nats=0.5)
ROW = {"study": "grid", "statistics": "averaged", "num_merged": 2, "fork": 100, "lr_after": 0.1, "momentum": 0.0}
ROW |= {"weight_decay": 0.0, "batch_size": 16, "loss": 0.5, "diverged": False, "seed": 0}


def records(**parts):
    return lambda step, part: pd.DataFrame(parts[part])


def test_settings_far_below_the_best_and_with_a_diverged_run_do_not_count():
    accuracies = {0.1: 90.0, 0.2: 84.0, 0.3: 82.0, 0.4: 91.0}
    table = pd.DataFrame([ROW | {"lr": lr, "accuracy": accuracy} for lr, accuracy in accuracies.items()])
    table.loc[table.lr == 0.4, "diverged"] = True
    table = pd.concat([table, pd.DataFrame([ROW | {"lr": 0.4, "accuracy": 91.0, "seed": 1}])])
    kept = rows.judged(table, {}, LIMITS).groupby("lr").kept.all()
    assert kept.to_dict() == {0.1: True, 0.2: True, 0.3: False, 0.4: False}


def test_the_rise_is_from_the_lowest_loss_to_the_largest_scale():
    losses = zip((0.0, 0.5, 1.2), (3.0, 1.0, 1.6), strict=True)
    found = [{"study": "scratch", "method": "TIES", "lr": 0.1, "seed": 0, "scale": s, "loss": x} for s, x in losses]
    (row,) = curves.arithmetic_rises(records(arithmetic=found[::-1])).to_dict("records")
    assert (row["best_scale"], row["lowest"]) == (0.5, 1.0)
    assert row["rise"] == pytest.approx(0.6)


def test_two_tasks_stand_at_the_scale_that_is_best_in_the_mean():
    scores = {(0.5, 0): 90.0, (0.5, 1): 70.0, (1.0, 0): 85.0, (1.0, 1): 85.0}
    found = [
        {
            "method": m,
            "lr_1": 0.1,
            "lr_2": lr,
            "scale": scale,
            "seed": seed,
            "normalised": x,
            "accuracy": x,
            "single_1": 95.0,
            "single_2": 70.0 if lr == 0.1 else 91.0,
        }
        for m, lr, ((scale, seed), x) in itertools.product(("TIES", "other"), (0.1, 0.3), scores.items())
    ]
    settings = SimpleNamespace(thresholds=SimpleNamespace(comparable=20.0))
    best = curves.best_merges(records(merged=found), settings)
    assert set(best["scale"]) == {1.0} and set(best.normalised) == {85.0} and len(best) == 4
    assert best.kept.tolist() == [False, True] * 2  # the second task is not learned at 0.1
    shown = curves.merged_accuracies(best)
    assert shown[shown.measure == "absolute"].value.tolist() == [85.0] * 4
    assert shown[shown.measure == "normalised"].value.isna().tolist() == [True, False] * 2
    seeds = curves.best_merges_of_seeds(records(merged=found), best)
    assert len(seeds) == 4 and set(seeds.lr) == {0.1} and set(seeds["scale"]) == {1.0}


def test_norms_are_averaged_geometrically():
    how = {"study": "d", "lr": 0.1, "weight_decay": 0.0, "layer": "1.layers.0.weight"}
    found = [how | {"seed": k, "squared_norm": x, "eta_eff": 0.1 / x} for k, x in enumerate((1.0, 100.0))]
    (row,) = curves.layer_norms(records(layers=found)).to_dict("records")
    assert row["layer"] == "layers.0"
    assert (row["squared_norm"], row["eta_eff"]) == pytest.approx((10.0, 0.01))


def test_noise_of_power_2_is_that_of_a_squared_sum():
    table = pd.DataFrame([{"study": s, "lr": 0.1, "batch_size": 10, "momentum": 0.9} for s in ("momentum", "grid")])
    (row,) = curves.equal_noise(table).to_dict("records")
    assert row["noise_2"] == pytest.approx(1.0)


def test_augmentation_is_measured_over_the_same_weights_without_it():
    plain = {"study": "grid", "augmentation": "none", "lr": 0.1, "batch_size": 64, "main": True, "seed": 0}
    plain |= {"trace": 2.0, "trace_plain": 2.0, "acc_gain": 0.1, "loss_gain": 0.1, "accuracy": 80.0}
    others = [plain | {"study": "gaussian", "augmentation": "gaussian", "trace": 6.0}, plain | {"batch_size": 16}]
    found = curves.noise_of_augmentation(pd.DataFrame([plain, *others])).set_index("augmentation")
    assert found.ratio.to_dict() == {"none": 1.0, "gaussian": 3.0}
    assert found.num_seeds.to_dict() == {"none": 1, "gaussian": 1}


def grid_of(gain) -> pd.DataFrame:
    cells = itertools.product((0.01, 0.1, 1.0), (4, 16, 64), range(4))
    table = pd.DataFrame([{"study": "grid", "lr": lr, "batch_size": b, "seed": s} for lr, b, s in cells])
    table["noise"] = table.lr / table.batch_size
    draws = np.random.default_rng(0).normal(0, 0.05, len(table))
    table["acc_gain"] = table["loss_gain"] = gain(table) + draws
    return table.assign(bin=collapse.half_decades(table.noise))


@pytest.mark.parametrize(("name", "sign"), [("noise", 1), ("lr", -1)])
def test_what_makes_the_gain_explains_it_best(name, sign):
    (row, _) = collapse.by_study(grid_of(lambda t: np.log10(t[name]) ** 2)).to_dict("records")
    assert sign * row["over_lr"] > 0.1 and row["num_merges"] == 36 and row["num_seeds"] == 4
    assert row[f"r2_{name}"] > 0.95


def test_bootstrap_errors_of_the_fits_are_those_of_a_plain_bootstrap():
    table = grid_of(lambda t: np.log10(t.noise) ** 2)
    parts = [own for _, own in table.groupby("seed")]

    def over_lr(chosen):
        own = pd.concat(chosen)
        return np.subtract(*(collapse.explained(own[x], own.loss_gain, 3) for x in ("noise", "lr")))

    found = collapse.compared(table, "loss_gain")
    assert found["over_lr_error"] == pytest.approx(
        collapse.bootstrap(parts, over_lr, num_draws=collapse.NUM_DRAWS).noise, rel=1e-6
    )


def test_bins_give_each_seed_one_vote():
    table = grid_of(lambda t: np.log10(t.noise) ** 2)
    found = collapse.binned(table).set_index("bin")
    for index, own in table.groupby("bin"):
        means = own.groupby("seed").loss_gain.mean()
        assert found.loss_gain[index] == pytest.approx(means.mean())
        assert found.loss_gain_error[index] == pytest.approx(means.std() / 2)
        assert found.noise[index] == pytest.approx(np.exp(np.log(own.noise).mean()))
        assert found.num_merges[index] == len(own)


def test_few_seeds_are_read_with_students_t_where_errors_are_bootstrapped():
    row = {"study": "grid", "measure": "loss_gain", "num_seeds": 5, "r2_noise": 0.6, "optimum": 0.1}
    row |= {"over_lr": 0.2, "over_lr_error": 0.1, "over_batch_size": 0.2, "over_batch_size_error": 0.1}
    given = {"tab_collapse": pd.DataFrame([row]), "settings": SimpleNamespace(thresholds=SimpleNamespace(collapse=0.1))}
    check = next(iter(claims.collapse(**given)))
    assert check.estimate.margin() == pytest.approx(quantile(0.975, 4) * 0.1)


@pytest.mark.parametrize("sizes", [(16, 32, 64, 128, 256), (4, 16, 64, 256)])
def test_the_claim_on_batch_sizes_compares_16_with_256_wherever_both_were_run(sizes):
    cells = itertools.product(sizes, (0.1, 1.0), range(3))
    table = pd.DataFrame([ROW | {"batch_size": b, "lr": lr, "seed": s, "kept": True} for b, lr, s in cells])
    gain, sizes_compared, _ = claims.batch_at_fixed_lr(table.assign(loss_gain=1.0 / table.batch_size))
    assert sizes_compared.value == "16 and 256"
    assert gain.estimate.value == pytest.approx(1 / 16 - 1 / 256)


@pytest.mark.parametrize("scale", ["gpu", "paper"])
def test_no_claim_is_called_testable_where_its_studies_are_not_run(scale):
    from papers.merging_noise.config import Config
    from shared.artifacts.claims import claims_of
    from shared.artifacts.config import load_config

    config = load_config("merging_noise", scale)
    assert isinstance(config, Config)
    needed = {"wd-scale-invariant": {"decay_normalised", "decay_plain"}, "wd-too-large": {"decay_normalised"}}
    needed |= {"annealing-needed": {"constant"}, "momentum-raises": {"momentum"}, "language-large-lr": {"language"}}
    needed |= {"ta-init-reversal": {"transfer", "scratch"}, "collapse": {"grid"}}
    testable = {claim.id for claim in claims_of("merging_noise") if scale in claim.scales}
    for name in testable & set(needed):
        assert needed[name] <= set(config.present()), name
    assert any(config.cross.values()) and any(config.alignments.values())
    assert {"moderate-lr-best-merged", "rebasin-flatter"} <= testable


def test_every_reported_number_with_a_likeness_here_gets_it():
    setting = {"batch_size": 16, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "kept": True, "accuracy": 80.0}
    setting |= {"loss": 0.5, "acc_gain": 0.1, "accuracy_merged": 80.0, "study": "grid"}
    best = setting | {"lr": 1.0, "acc_gain": 0.9, "accuracy": 85.0}
    plain = [setting | {"study": "decay_plain", "weight_decay": lam, "acc_gain": x} for lam, x in ((0, 0.1), (1, 0.3))]
    tuned = [
        setting | {"study": "transfer", "title": "CLIP", "lr": lr, "accuracy_merged": 80 - abs(lr - 2), "acc_gain": lr}
        for lr in (1, 2, 3)
    ]
    cross = pd.DataFrame({"method": ["TIES", "TIES"], "normalised": [90.0, 120.0], "kept": [True, False]})
    settings = SimpleNamespace(cross={"digits": None, "published": SimpleNamespace(title="two tasks")})
    rows = list(stand_ins(pd.DataFrame([setting, best, *plain, *tuned]), cross, settings))
    found = {item: ours for item, _, _, ours in rows}
    assert found["parents, CIFAR-100"] == 85.0
    assert found["difference between lam, MLP"] == pytest.approx(0.2)
    assert found["best eta of the merged model, CLIP on FMoW"] == 2.0
    assert found["Pearson r of gain and eta, CLIP on FMoW"] == pytest.approx(1.0)
    assert found["best TIES, FMoW and RESISC45"] == 90.0
    named = {item: stands for item, _, stands, _ in rows}
    assert named["Pearson r of gain and eta, CLIP on FMoW"] == "CLIP, all lr"
    assert named["best TIES, FMoW and RESISC45"] == "two tasks"


def test_networks_at_paper_have_their_published_sizes():
    """DenseNet121 (7,978,856 with 1,000 classes) on Tiny ImageNet, ResNet18 on CIFAR-100 (11,220,132) and on SVHN."""
    import torch

    from shared.artifacts.config import load_config
    from shared.train.images.task import ImageTask

    studies = load_config("merging_noise", "paper").present()
    sizes = {"decay_normalised": 7_978_856 - 800 * 1025, "grid": 11_220_132, "svhn_forks": 11_173_962}
    for name, size in sizes.items():
        with torch.device("meta"):
            model = ImageTask(studies[name].images, {}, 128).build(0)
        assert model.num_params == size, name

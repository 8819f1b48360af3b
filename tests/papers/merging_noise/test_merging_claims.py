"""Claims that rest on several rows at once, on tables made by hand: each can hold and can fail."""

import itertools

import pandas as pd
import pytest

from papers.merging_noise import claims
from papers.merging_noise.collapse import both_schedules
from shared.artifacts.checks import FAILS, HOLDS, verdict_of
from shared.artifacts.config import Settings

SEEDS = range(5)
COMMON = {"lr_after": 0.3, "fork": 100, "num_merged": 2, "statistics": "averaged", "kept": True, "momentum": 0.0}
COMMON |= {"weight_decay": 0.0, "batch_size": 16, "augmentation": "none", "noise": 0.01, "cka": 0.9, "loss_gain": 0.0}


def pairs(*rows: dict) -> pd.DataFrame:
    """Every row once per seed, its gains a little different."""
    found = []
    for row, seed in itertools.product(rows, SEEDS):
        wiggle = 1 + 0.01 * (seed - 2)
        own = COMMON | row | {"seed": seed}
        gains = {name: own[name] * wiggle for name in ("acc_gain", "loss_gain") if name in own}
        found.append(own | gains)
    return pd.DataFrame(found)


def verdict(claim, **tables) -> str:
    return verdict_of(list(claim(**tables)))


@pytest.mark.parametrize(("normalised", "plain", "expected"), [(1.2, 0.1, HOLDS), (0.1, 0.1, FAILS), (1.2, 0.9, FAILS)])
def test_decay_helps_normalised_networks_alone(normalised, plain, expected):
    rows = [
        {"study": study, "lr": 0.3, "weight_decay": decay, "acc_gain": 0.1 if decay == 0 else gain}
        for study, gain in (("decay_normalised", normalised), ("decay_plain", plain))
        for decay in (0.0, 0.01)
    ]
    assert verdict(claims.wd_scale_invariant, tab_pairs=pairs(*rows)) == expected


@pytest.mark.parametrize(
    ("smallest", "best", "expected"), [(0.001, 0.05, HOLDS), (0.02, 0.05, FAILS), (-0.03, -0.01, FAILS)]
)
def test_a_language_model_gains_at_large_rates_and_not_at_the_smallest(smallest, best, expected):
    rows = [
        {"study": "language", "lr": lr, "acc_gain": 0.0, "loss_gain": gain}
        for lr, gain in ((0.001, smallest), (0.01, best / 2), (0.1, best))
    ]
    assert verdict(claims.language_large_lr, tab_pairs=pairs(*rows)) == expected


@pytest.mark.parametrize(("at_largest", "expected"), [(0.2, HOLDS), (2.0, FAILS)])
def test_too_much_decay(at_largest, expected):
    rows = [
        {
            "study": "decay_normalised",
            "lr": 0.3,
            "weight_decay": decay,
            "acc_gain": gain,
            "accuracy_merged": 80.0 + gain,
        }
        for decay, gain in ((0.0, 0.5), (0.01, 1.0), (0.1, at_largest))
    ]
    table = pairs(*rows)
    if expected == FAILS:  # the largest decay is the best one: nothing is lost
        table.loc[table.weight_decay == 0.1, "kept"] = False
    assert verdict(claims.wd_too_large, tab_pairs=table) == expected


@pytest.mark.parametrize(("power", "expected"), [(1, HOLDS), (2, FAILS)])
def test_equal_noise_by_the_power_that_gains_follow(power, expected):
    """Gains made from the noise scale of one power hold the claim if it is power 1."""
    settings = [(0.032, 0.0), (0.016, 0.5), (0.0032, 0.9), (0.32, 0.0), (0.16, 0.5), (0.032, 0.9), (0.008, 0.5)]
    settings += [(0.00032, 0.9), (0.08, 0.5)]
    rows = []
    for lr, momentum in settings:
        gain = (lr / 16 / (1 - momentum) ** power) ** 0.5
        row = {"study": "momentum", "lr": lr, "momentum": momentum, "loss_gain": gain, "acc_gain": gain}
        rows.append(row | {"noise": lr / 16 / (1 - momentum)})
    peak = [{"study": "grid", "bin": k, "seed": seed, "loss_gain": float(k == -3)} for k in (-6, -3) for seed in SEEDS]
    tables = {"tab_pairs": pairs(*rows), "tab_bin_seeds": pd.DataFrame(peak)}
    assert verdict(claims.momentum_equal_noise, **tables) == expected


@pytest.mark.parametrize(
    ("transfer", "scratch", "expected"),
    [((1.8, 1.2), (1.8, 3.5), HOLDS), ((1.2, 1.8), (1.8, 3.5), FAILS), ((1.8, 1.2), (3.5, 1.8), FAILS)],
)
@pytest.mark.parametrize("scale", ["cpu", "paper"])
def test_task_arithmetic_reverses_with_the_base(scale, transfer, scratch, expected):
    settings = Settings("merging_noise", "claims", scale)
    lrs = [settings.thresholds.middle_lr, settings.thresholds.large_lr]
    rows = [
        {"study": study, "method": "task arithmetic", "lr": lr[study], "seed": seed, "rise": rise * (1 + 0.01 * seed)}
        for study, rises in (("transfer", transfer), ("scratch", scratch))
        for lr, rise in zip(lrs, rises, strict=True)
        for seed in SEEDS
    ]
    assert verdict(claims.ta_init_reversal, tab_arithmetic=pd.DataFrame(rows), settings=settings) == expected


@pytest.mark.parametrize(
    ("accuracies", "expected"), [((85, 92, 80), HOLDS), ((85, 92, 91), FAILS), ((95, 92, 80), FAILS)]
)
def test_the_best_learning_rate_of_two_tasks_is_inside(accuracies, expected):
    rows = [
        {"method": "task arithmetic", "lr": lr, "seed": seed, "accuracy": value + 0.1 * seed * (1 + lr), "kept": True}
        for lr, value in zip((0.01, 0.1, 1.0), accuracies, strict=True)
        for seed in SEEDS
    ]
    rows += [rows[0] | {"lr": 1e-4, "seed": seed, "accuracy": 50.0, "kept": False} for seed in SEEDS]  # untrained
    assert verdict(claims.moderate_lr_best_merged, tab_cross_seeds=pd.DataFrame(rows)) == expected


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0.0, 0.001, 0.01, 0.03, 0.02, 0.001), HOLDS),
        ((0.0, 0.001, 0.01, 0.03, 0.03, 0.029), FAILS),
        ((0.029, 0.03, 0.03, 0.03, 0.02, 0.001), FAILS),
        ((0.0, 0.03, 0.01), FAILS),
    ],
)
def test_a_peak_needs_both_of_its_sides_and_enough_bins(gains, expected):
    rows = [
        {
            "study": "grid",
            "bin": k,
            "seed": seed,
            "loss_gain": gain * (1 + 0.01 * seed) + 1e-6 * seed * k,
            "acc_gain": 0.0,
        }
        for k, gain in enumerate(gains)
        for seed in SEEDS
    ]
    assert verdict(claims.non_monotonic, tab_bin_seeds=pd.DataFrame(rows)) == expected


@pytest.mark.parametrize(("lowest", "expected"), [(0.0005, HOLDS), (0.02, FAILS), (-0.02, FAILS)])
def test_the_lowest_noise_gains_nothing_either_way(lowest, expected):
    rows = [
        {"study": "grid", "bin": k, "seed": seed, "loss_gain": gain * (1 + 0.01 * seed), "acc_gain": 0.0}
        for k, gain in enumerate((lowest, 0.03, 0.01))
        for seed in SEEDS
    ]
    assert verdict(claims.low_noise_no_gain, tab_bin_seeds=pd.DataFrame(rows)) == expected


@pytest.mark.parametrize(("aligned", "expected"), [((1.0, 0.1, 0.3), HOLDS), ((1.0, 0.6, 0.9), FAILS)])
def test_barriers_fall_with_noise(aligned, expected):
    rows = [
        {"lr": lr, "noise": lr / 16, "pair": pair, "barrier_aligned": value * (1 + 0.02 * pair), "barrier_plain": 1.0}
        for lr, value in zip((0.03, 0.3, 3.0), aligned, strict=True)
        for pair in SEEDS
    ]
    assert verdict(claims.rebasin_flatter, tab_barriers=pd.DataFrame(rows)) == expected


@pytest.mark.parametrize(("small", "large", "expected"), [(0.03, 0.01, HOLDS), (0.01, 0.03, FAILS)])
def test_batch_sizes_are_compared_where_the_smaller_peaks(small, large, expected):
    rows = [
        {"study": "grid", "batch_size": size, "lr": lr, "loss_gain": gain if lr == 1.0 else 0.001, "acc_gain": 0.0}
        for size, gain in ((4, 0.5), (16, small), (64, 0.02), (256, large))
        for lr in (0.1, 1.0)
    ]
    assert verdict(claims.batch_at_fixed_lr, tab_pairs=pairs(*rows)) == expected


def test_data_of_schedules_hold_settings_that_do_not_count():
    """Which do is decided by the processor where one lies at the limit; a row may not come and go with it."""
    means = pd.DataFrame({"study": ["grid", "constant", "forks"], "kept": [True, False, True], "main": True})
    rows = pd.DataFrame({"study": "grid", "bin": 0, "seed": [0, 1], "noise": 0.1, "acc_gain": 1.0, "loss_gain": 0.1})
    found = both_schedules(rows, means)
    assert found[found.what == "setting"].kept.tolist() == [True, False]

"""Claims on tables made by hand: they hold, fail, and are within noise where they have to be."""

import numpy as np
import pandas as pd
import pytest

from papers.ngn_m.claims import (
    effective_step_saturates,
    mdv1_lm_large_lr,
    mdv1_lr_sensitivity,
    momentum_ablation,
    ngnm_lr_sensitivity,
    ngnm_peak,
    theory_step_good_default,
)
from papers.ngn_m.runs import over_draws
from papers.ngn_m.tables import tab_steps
from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of
from shared.artifacts.config import load_config

LRS = (0.01, 0.1, 1.0)


def tables(best_ratio: float, large_gap: float, error: float = 0.1, lrs=LRS):
    """NGN-MDv1's best perplexity over Adam's (Adam: 17 at 0.01), and its perplexity less Adam's from 0.1 on."""
    seeds = [
        {"study": "lm", "method": method, "seed": seed, "best_loss": np.log(17 * ratio) + 0.001 * seed}
        for method, ratio in (("Adam", 1.0), ("NGN-MDv1", best_ratio))
        for seed in range(3)
    ]
    runs = [
        {"study": "lm", "method": method, "lr": lr, "score": 40 + gap, "score_error": error, "num_seeds": 3}
        for method, gap in (("Adam", 0.0), ("NGN-MDv1", large_gap))
        for lr in lrs
    ]
    best = pd.DataFrame({"study": ["lm"], "method": ["Adam"], "lr": [0.01]})
    return pd.DataFrame(runs), pd.DataFrame(seeds), best


@pytest.mark.parametrize(
    ("best_ratio", "large_gap", "error", "verdict"),
    [
        (1.0, -5.0, 0.1, HOLDS),
        (1.1, -5.0, 0.1, FAILS),  # ten per cent behind Adam at its best
        (1.0, 5.0, 0.1, FAILS),  # worse at large learning rates
        (1.0, -5.0, 5.0, NOISE),
    ],
)
def test_the_language_model_decides_by_best_and_by_large_learning_rates(best_ratio, large_gap, error, verdict):
    assert verdict_of(list(mdv1_lm_large_lr(*tables(best_ratio, large_gap, error)))) == verdict


def test_a_grid_that_ends_at_adams_best_learning_rate_decides_nothing():
    assert verdict_of(list(mdv1_lm_large_lr(*tables(1.0, -5.0, lrs=(0.01, 0.02))))) == NOT_TESTABLE


SETTINGS = load_config("ngn_m", "cpu")
SPREAD = (-0.1, 0.0, 0.1)  # over three seeds; half of a 95 % interval is then 0.25


def by_seed(column: str, values: dict[tuple[str, str], float], spread=SPREAD) -> pd.DataFrame:
    """A value per study and method -> a row per seed; methods get opposite spreads, so that differences have them."""
    return pd.DataFrame(
        {"study": study, "method": method, "seed": seed, column: value + (off if method.startswith("NGN-M") else 0)}
        for (study, method), value in values.items()
        for seed, off in enumerate(spread)
    )


@pytest.mark.parametrize(
    ("ours", "spread", "verdict"),
    [
        (95.5, SPREAD, HOLDS),  # the better rival has 96
        (94.0, SPREAD, FAILS),
        (95.1, SPREAD, NOISE),
        (95.5, (-1.0, 0.0, 1.0), NOISE),
    ],
)
def test_the_peak_is_compared_with_the_best_rival_of_every_image_study(ours, spread, verdict):
    values = {("cnn", "NGN-M"): 97.0, ("cnn", "SGDM"): 90.0, ("vit", "NGN-M"): ours, ("vit", "SGDM"): 80.0}
    values |= {("vit", "MoMo"): 96.0, ("vit", "Adam"): 99.0, ("lm", "NGN-M"): 17.0}  # Adam is of the other family
    best = pd.DataFrame({"study": s, "method": m, "score": v} for (s, m), v in values.items())
    found = list(ngnm_peak(best, by_seed("best_score", values, spread), SETTINGS))
    assert [check.name for check in found] == ["points_over_SGDM_cnn", "points_over_MoMo_vit"]
    assert verdict_of(found) == verdict


@pytest.mark.parametrize(("ngn", "verdict"), [(4.0, HOLDS), (1.0, FAILS), (2.0, NOISE)])
def test_sensitivity_has_to_be_half_of_each_rivals(ngn, verdict):
    values = {
        ("mlp", "NGN-M"): 1.0,
        ("mlp", "SGDM"): 4.0,
        ("cnn", "NGN-M"): 1.0,
        ("cnn", "SGDM"): 4.0,
        ("cnn", "NGN"): ngn,
    }
    assert verdict_of(list(ngnm_lr_sensitivity(by_seed("sensitivity", values)))) == verdict


@pytest.mark.parametrize(("adam", "version2", "verdict"), [(4.0, 2.0, HOLDS), (1.0, 2.0, FAILS), (4.0, 0.5, FAILS)])
def test_the_diagonal_form_has_to_beat_half_of_adam_and_its_version_2(adam, version2, verdict):
    values = {("mlp", "NGN-MDv1"): 1.0, ("mlp", "Adam"): adam, ("mlp", "NGN-MDv2"): version2}
    seeds = by_seed("sensitivity", values)
    seeds.loc[seeds.method == "NGN-MDv2", "sensitivity"] = version2  # its spread is that of the difference
    assert verdict_of(list(mdv1_lr_sensitivity(seeds, SETTINGS))) == verdict


def step_sizes(study: str, at_100: float) -> pd.DataFrame:
    """Logged steps of NGN-M: 0.5 at c = 1 in the middle of three, `at_100` at c = 100; Adam's do not count."""
    rows = [
        {"study": study, "seed": seed, "lr": lr, "method": "NGN-M", "phase": "train", "effective_lr": value * factor}
        for seed in range(3)
        for lr, value in ((1.0, 0.5), (100.0, at_100), (10.0, 1e6))
        for factor in (0.1, 1.0, 100.0)
    ]
    return pd.DataFrame([*rows, {**rows[0], "method": "Adam", "effective_lr": 1e9}])


@pytest.mark.parametrize(("at_100", "verdict"), [(4.9, HOLDS), (5.1, FAILS)])
def test_the_step_of_images_may_grow_tenfold(at_100, verdict):
    table = pd.concat([tab_steps(step_sizes("cnn", at_100)), tab_steps(step_sizes("lm", 500.0))])
    assert table.log10_ratio.iloc[0] == pytest.approx(np.log10(at_100 / 0.5))
    assert verdict_of(list(effective_step_saturates(table, SETTINGS))) == verdict


@pytest.mark.parametrize(("ours", "error", "verdict"), [(8.0, 0.1, HOLDS), (12.0, 0.1, FAILS), (8.0, 3.0, NOISE)])
def test_half_of_adams_perplexity_is_asked_for_at_the_large_learning_rate(ours, error, verdict):
    rows = [
        {"varied": varied, "beta": 0.9, "method": method, "lr": lr, "ppl": ppl, "ppl_error": error, "num_seeds": 3}
        for varied, method, lr, ppl in (
            ("beta1", "NGN-MDv1", 0.03, ours), ("beta1", "Adam", 0.03, 20.0), ("beta1", "NGN-MDv1", 0.01, 90.0),
            ("beta1", "Adam", 0.01, 20.0), ("beta2", "NGN-MDv1", 0.03, 90.0),
        )
    ]  # fmt: skip
    assert verdict_of(list(momentum_ablation(pd.DataFrame(rows), SETTINGS))) == verdict


LAST = {"num_steps": 10, "step": 10, "condition": 4.0}


@pytest.mark.parametrize(
    ("behind", "spread", "verdict"), [(1.4, 0.3, HOLDS), (0.7, 0.3, FAILS), (0.9, 1.0, NOISE), (1.1, 1.0, NOISE)]
)
def test_ten_times_ahead_is_of_the_mean_over_draws(behind, spread, verdict):
    """Constant rates are `behind` decades behind in the mean, on draws that differ by decades in all rates alike."""
    shifts = np.linspace(-spread, spread, 10)
    rows = [
        LAST | {"draw": draw, "shift": r, "rate": rate, "loss": 10.0 ** (at - draw)}
        for draw, off in enumerate(shifts)
        for r in (0.0, 10.0)
        for rate, at in (("1/sqrt(k)", 0.0), ("0.001", behind + off), ("0.0001", 3.0))
    ]  # fmt: skip
    table = over_draws(pd.DataFrame(rows))
    own = table[(table.rate == "0.001") & (table["shift"] == 0)].iloc[0]
    assert own.log10_ratio == pytest.approx(-behind) and own.num_draws == 10 and own.condition == 4
    assert own.log10_ratio_error == pytest.approx(shifts.std(ddof=1) / 10**0.5)
    assert own.loss == pytest.approx(10 ** (behind - 4.5))
    assert verdict_of(list(theory_step_good_default(table))) == verdict


def test_losses_that_are_rounding_are_all_alike():
    rows = [
        LAST | {"draw": draw, "shift": 100.0, "rate": rate, "loss": loss}
        for draw in range(2)
        for rate, loss in (("1/sqrt(k)", 1e-31), ("0.001", 7e-30))
    ]
    assert (over_draws(pd.DataFrame(rows)).log10_ratio == 0).all()

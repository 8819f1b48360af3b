"""Claims on made-up tables: each holds where it should, fails where it should, and is not decided at an edge."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.optimizer_gap import claims, comparing, gap, tables
from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of

HALF_A_NAT = SimpleNamespace(thresholds=SimpleNamespace(gap_at_largest_batch=0.5))


def judged(claim, *args):
    return verdict_of(list(claim(*args)))


def gap_table(gaps=(-0.02, 0.2, 1.0), edge="", error=0.01, num_seeds=3):
    return pd.DataFrame(
        {"batch_size": [2, 16, 128], "gap": gaps, "gap_tuned": gaps, "gap_error": error, "gap_tuned_error": error,
         "num_seeds": num_seeds, "at_edge": ["", "", edge]}
    )  # fmt: skip


def test_a_growing_gap_holds_a_shrinking_one_fails_and_an_edge_decides_nothing():
    assert judged(claims.gap_grows_with_batch, gap_table(), HALF_A_NAT) == HOLDS
    assert judged(claims.gap_grows_with_batch, gap_table(gaps=(-0.02, 0.9, 0.7)), HALF_A_NAT) == FAILS
    assert judged(claims.gap_grows_with_batch, gap_table(gaps=(-0.02, 0.1, 0.4)), HALF_A_NAT) == FAILS
    assert judged(claims.gap_grows_with_batch, gap_table(gaps=(0.9, 0.9, 0.88), error=1e-4), HALF_A_NAT) == FAILS
    assert judged(claims.gap_grows_with_batch, gap_table(edge="sgd lr high"), HALF_A_NAT) == NOT_TESTABLE


def test_one_seed_or_a_wide_spread_decides_nothing():
    assert judged(claims.gap_grows_with_batch, gap_table(error=math.nan, num_seeds=1), HALF_A_NAT) == NOISE
    assert judged(claims.sgd_matches_adam_small_batch, gap_table(error=0.1)) == NOISE


def test_the_smallest_batch_alone_is_compared_with_both_columns_of_adam():
    assert judged(claims.sgd_matches_adam_small_batch, gap_table(edge="sgd lr high")) == HOLDS  # the edge is elsewhere
    assert judged(claims.sgd_matches_adam_small_batch, gap_table(gaps=(0.2, 0.2, 1.0))) == FAILS
    assert judged(claims.sgd_matches_adam_small_batch, gap_table().assign(gap_tuned=0.2)) == FAILS


@pytest.mark.parametrize(
    ("adam", "verdict"), [((3.55, 3.5, 3.56), HOLDS), ((3.5, 3.5, 3.9), FAILS), ((3.0, 3.5, 5.0), FAILS)]
)
def test_adam_is_flat_where_it_spans_a_tenth_of_a_nat_and_less_than_sgd(adam, verdict):
    losses = {"SGD": (3.6, 3.7, 4.9), "Adam": adam}
    rows = [(m, b, loss) for m, found in losses.items() for b, loss in zip((2, 16, 128), found, strict=True)]
    table = pd.DataFrame(rows, columns=["method", "batch_size", "val_loss"])
    table = table.assign(standard_error=0.001, num_seeds=4, edge="inside")
    assert judged(claims.adam_flat_in_batch, table) == verdict


def test_at_equal_updates_the_gap_has_to_grow_and_the_small_batch_to_learn():
    table = gap_table().assign(sgd_learned=1.0, sgd_learned_error=0.01)
    assert judged(claims.gap_grows_at_equal_updates, table) == HOLDS
    assert judged(claims.gap_grows_at_equal_updates, table.assign(sgd_learned=-0.1)) == FAILS
    assert judged(claims.gap_grows_at_equal_updates, table.assign(gap=[0.5, 0.2, 0.1])) == FAILS


def beta2_table(gain, middle, edge="inside"):
    rows = [(2, 0.95, 0.0), (2, 0.999, gain), (16, 0.95, 0.0), (16, 0.999, middle), (128, 0.95, 0.0)]
    table = pd.DataFrame(rows, columns=["batch_size", "beta2", "gain"])
    return table.assign(gain_error=0.002, num_seeds=4, edge=edge)


def test_beta2_has_to_help_more_where_the_batch_is_small():
    assert judged(claims.beta2_caveat, beta2_table(0.15, 0.02)) == HOLDS
    assert judged(claims.beta2_caveat, beta2_table(0.15, 0.2)) == FAILS
    assert judged(claims.beta2_caveat, beta2_table(0.04, 0.0)) == FAILS
    assert judged(claims.beta2_caveat, beta2_table(0.15, 0.02, edge="high")) == NOT_TESTABLE


def test_momentum_is_judged_at_the_largest_batch():
    rows = [(2, 0.0, 3.0, 0.0), (2, 0.9, 3.2, -0.2), (128, 0.0, 5.1, 0.0), (128, 0.9, 5.05, 0.05)]
    grid = pd.DataFrame(rows, columns=["batch_size", "momentum", "val_loss", "gain"])
    grid = grid.assign(clip="norm 1", lr=1.0, edge="inside", gain_error=0.001, num_seeds=3)
    assert judged(claims.sgd_needs_tuned_momentum, grid) == HOLDS
    assert judged(claims.sgd_needs_tuned_momentum, grid.assign(gain=[0.0, -0.2, 0.0, 0.01])) == FAILS


def test_every_group_has_to_shrink_and_the_rarer_half_more():
    gaps = {2: (0.1, 0.2, 0.3), 128: (0.2, 0.5, 1.2)}
    rows = [(b, g, gap) for b, found in gaps.items() for g, gap in enumerate(found)]
    groups = pd.DataFrame(rows, columns=["batch_size", "group", "gap_val"]).assign(gap_val_error=0.001, num_seeds=3)
    assert judged(claims.imbalance_not_sufficient, groups, gap_table()) == HOLDS
    groups.loc[2, "gap_val"] = 0.5  # the rarest shrinks by less than 3
    assert judged(claims.imbalance_not_sufficient, groups, gap_table()) == FAILS


def arms(adam_on_sgd=4.9, sgd_on_adam=4.1, clipped=4.7, edge="inside"):
    names = ["SGD", "Adam", "Adam length, SGD direction", "SGD length, Adam direction", "SGD, clip p=0.1"]
    table = pd.DataFrame({"arm": names, "val_loss": [5.0, 4.0, adam_on_sgd, sgd_on_adam, clipped]})
    table = table.assign(batch_size=128, gain=5 - table.val_loss, recovered=5 - table.val_loss)
    return table[["batch_size", *table.columns[:2], "gain", "recovered"]].assign(
        gain_error=0.01, recovered_error=0.01, num_seeds=3, edge=edge
    )


@pytest.mark.parametrize(
    ("claim", "against"),
    [
        (claims.grafting_does_not_rescue, {"adam_on_sgd": 4.4}),
        (claims.direction_suffices, {"sgd_on_adam": 4.4}),
        (claims.adaptive_clip_helps, {"clipped": 4.95}),
    ],
)
def test_interventions(claim, against):
    assert judged(claim, arms()) == HOLDS
    assert judged(claim, arms(**against)) == FAILS
    assert judged(claim, arms(edge="high")) == NOT_TESTABLE


def quadratics(over_adam, num_samples=32768, sigma=100.0):
    rows = [("het", sigma, num_samples, b, "sgd", ratio) for b, ratio in over_adam.items()]
    table = pd.DataFrame(rows, columns=["landscape", "sigma", "num_samples", "batch_size", "optimizer", "over_adam"])
    return table.assign(relative_error=0.05, num_seeds=5, edge="inside")


def test_quadratics():
    shown = quadratics({16: 1.0, 64: 2.4, 256: 4.0})
    assert judged(claims.quadratic_noise_gap, shown) == HOLDS
    assert judged(claims.quadratic_noise_gap, quadratics({16: 3.0, 256: 4.0})) == FAILS
    assert judged(claims.quadratic_noise_gap, quadratics({16: 1.0, 256: 2.6})) == NOISE
    assert judged(claims.quadratic_interpolation_gap, quadratics({1: 1e5, 9: 1e8})) == HOLDS
    assert judged(claims.quadratic_interpolation_gap, quadratics({1: 1e5, 9: 10.0})) == FAILS


def test_quadratics_have_to_agree_at_every_number_of_samples():
    shown, other = quadratics({16: 1.0, 256: 4.0}), quadratics({16: 1.0, 256: 1.5}, num_samples=131072)
    assert judged(claims.quadratic_noise_gap, pd.concat([shown, other])) == FAILS
    louder = quadratics({16: 1.0, 256: 1.0}, sigma=1000.0)
    assert judged(claims.quadratic_noise_gap, pd.concat([shown, louder])) == HOLDS  # another noise


def test_orders_and_exponents_are_exact():
    sde = pd.DataFrame({"method": "sgd", "eta": [0.1, 0.05, 0.025], "error": [0.1, 0.05, 0.025], "equation": 1.0,
                        "euler": 1.0, "euler_standard_error": 0.1})  # fmt: skip
    assert judged(claims.sde_order_one, sde) == HOLDS
    assert judged(claims.sde_order_one, sde.assign(error=sde.error**2)) == FAILS
    parts = {"sgd": (1.0, 0.25), "signsgd": (1.0, 0.5)}
    rows = [(m, b, v) for m, found in parts.items() for b, v in zip((1, 4), found, strict=True)]
    variances = pd.DataFrame(rows, columns=["method", "batch_size", "variance"])
    assert judged(claims.sign_stationary_sqrt_b, variances) == HOLDS
    assert judged(claims.sign_stationary_sqrt_b, variances.assign(variance=[1, 0.25, 1, 0.25])) == FAILS


def made_up_runs(best_lr=1.0, seeds=(0, 1), momenta=(0.0, 0.9, 0.98)):
    """SGD a tenth of a nat behind Adam with beta2 = 0.99; the seed moves all alike, and SGD by 0.02 more.

    Adam's beta1 and SGD's momentum are best at 0.9, beta2 at 0.99; a learning rate costs a nat per decade.
    """
    adam = [(b1, 0.95) for b1 in (0.0, 0.9, 0.98)] + [(0.9, 0.99), (0.9, 0.999)]
    settings = [("sgd_ema", m, math.nan, math.nan) for m in momenta] + [("adam", math.nan, *pair) for pair in adam]
    rows = [
        {"optimizer": o, "batch_size": b, "num_steps": 128 // b, "lr": lr, "momentum": m, "beta1": b1, "beta2": b2,
         "seed": s}
        for b in (2, 16)
        for o, m, b1, b2 in settings
        for lr in (0.1, 1.0, 10.0)
        for s in seeds
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(diverged=False, sweep="main")
    sgd = table.optimizer == "sgd_ema"
    distance = (table.lr.map(math.log10) - math.log10(best_lr)).abs()
    behind = sgd * (0.1 + 0.02 * table.seed) + 0.05 * (table.beta2 == 0.95) + 0.02 * (table.beta2 == 0.999)
    off = 0.1 * ((table.momentum.fillna(0.9) - 0.9).abs() + (table.beta1.fillna(0.9) - 0.9).abs())
    return table.assign(val_loss=3 + distance + behind + off + table.seed)


def test_gap_of_made_up_runs_tunes_both_hyperparameters_and_pairs_the_seeds():
    runs = made_up_runs()
    best = tables.tab_best(runs)
    found = tables.tab_gap(best, tables.best_runs(runs, best))
    assert found.gap.tolist() == pytest.approx([0.06, 0.06]) and found.gap_tuned.tolist() == pytest.approx([0.11, 0.11])
    assert found.gap_error.tolist() == pytest.approx([0.01, 0.01])  # 0.05 and 0.07; the seeds' own nat cancels
    assert found.at_edge.tolist() == ["", ""] and found.num_steps.tolist() == [64, 8] and set(found.num_seeds) == {2}
    assert found[["sgd_settings", "adam_settings", "adam_tuned_settings"]].to_numpy().tolist() == [[9, 9, 9]] * 2
    chosen = best.set_index("method").loc[:, ["momentum", "beta1", "beta2"]].drop_duplicates()
    assert chosen.loc["SGD"].momentum == 0.9 and chosen.loc["Adam"].tolist()[1:] == [0.9, 0.95]
    assert chosen.loc["Adam, beta2 tuned"].tolist()[1:] == [0.9, 0.99]


def test_an_end_of_either_grid_is_told_by_name():
    best = tables.tab_best(runs := made_up_runs(best_lr=10.0))
    at_edge = tables.tab_gap(best, tables.best_runs(runs, best)).at_edge
    assert at_edge.tolist() == ["sgd lr high; adam lr high; adam_tuned lr high"] * 2
    steep, flat = made_up_runs(momenta=(0.2, 0.5)), made_up_runs(momenta=(0.5, 0.55))
    edges = [tables.tab_best(part).set_index("method").edge["SGD"].unique().tolist() for part in (steep, flat)]
    assert edges == [["momentum high"], ["inside"]]  # 0.03 and 0.005 nats better than the value before


def test_gain_over_a_fixed_beta2():
    gains = tables.tab_gap_beta2(made_up_runs())
    assert gains.beta2.tolist() == [0.95, 0.99, 0.999] * 2
    assert gains.gain.tolist() == pytest.approx([0.0, 0.05, 0.03] * 2) and gains.gain_error.max() < 1e-9


def test_the_gap_of_a_group_is_sgd_less_adam():
    rows = [("SGD", 3.0, 2.0), ("Adam", 2.5, 2.2)]
    seeds = pd.DataFrame(rows, columns=["method", "val_group_0", "train_group_0"])
    seeds = pd.concat([seeds.assign(seed=0), seeds.assign(seed=1)]).assign(batch_size=2)
    found = comparing.group_gaps(seeds, pd.DataFrame({"group": [0], "mass": [1.0]})).iloc[0]
    assert found.gap_val == pytest.approx(0.5) and found.gap_train == pytest.approx(-0.2) and found.gap_val_error == 0


def test_an_arm_recovers_the_share_of_the_gap_that_it_closes():
    loss = {"SGD": (5.0, 5.2), "Adam": (4.0, 4.2), "arm": (4.75, 4.95)}
    rows = [{"arm": arm, "seed": s, "val_loss": x} for arm, pair in loss.items() for s, x in enumerate(pair)]
    found = comparing.closed_gaps(pd.DataFrame(rows))
    assert found.recovered.to_dict() == pytest.approx({"SGD": 0.0, "Adam": 1.0, "arm": 0.25})
    assert found.gain["arm"] == pytest.approx(0.25) and found.recovered_error.max() < 1e-9
    row = found.rename_axis("arm").reset_index().assign(num_seeds=2)
    assert comparing.share_left(row, "arm").value == pytest.approx(0.75)


def crossing_runs(seeds=(0, 1, 2), shift=0.0):
    """The gap to Adam with beta2 = 0.95 is log2(batch size) - 2 + a seed's shift (-0.2, 0, 0.2), to 0.99 a nat more."""
    adam = [("adam", math.nan, 0.9, beta2) for beta2 in (0.95, 0.99)]
    rows = [
        {"batch_size": b, "seed": s, "lr": lr, "optimizer": o, "momentum": m, "beta1": b1, "beta2": b2,
         "val_loss": 3 + (lr - 1) + (o == "sgd_ema") * (math.log2(b) - 2 + 0.2 * (s - 1) + shift) - (b2 == 0.99)}
        for b in (1, 2, 4, 8, 16) for s in seeds for lr in (1.0, 2.0)
        for o, m, b1, b2 in (("sgd_ema", 0.9, math.nan, math.nan), *adam)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_crossover_and_its_interval_over_resampled_seeds():
    found = gap.crossings(crossing_runs()).set_index("baseline")
    assert found.batch_size.tolist() == pytest.approx([4.0, 2.0]) and found.num_roots.tolist() == [1, 1]
    assert found.low["Adam"] == pytest.approx(2**1.8) and found.high["Adam"] == pytest.approx(2**2.2)


def test_a_crossover_outside_the_batch_sizes_is_none():
    behind, ahead = (gap.crossings(crossing_runs(shift=shift)).set_index("baseline") for shift in (9.0, -9.0))
    assert behind.batch_size.isna().all() and behind.behind_everywhere.tolist() == [1.0, 1.0]
    assert ahead.low.isna().all() and ahead.never_behind.tolist() == [1.0, 1.0]


def test_every_draw_of_the_seeds_is_tuned_anew():
    """The setting that is best for seed 0 is worst for seed 1; each alone is tuned to its own."""
    rows = [
        (2, 0, 1.0, 3.0),
        (2, 0, 2.0, 4.0),
        (2, 1, 1.0, 4.5),
        (2, 1, 2.0, 3.1),
        (2, 0, 9.0, math.inf),
        (2, 1, 9.0, 1.0),
    ]
    runs = pd.DataFrame(rows, columns=["batch_size", "seed", "lr", "val_loss"])
    runs = runs.assign(momentum=math.nan, beta1=0.9, beta2=0.95)
    sizes, loss = gap.tuned_means(runs, np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    assert sizes.tolist() == [2] and loss[:, 0].tolist() == pytest.approx([3.0, 3.1, 3.55])


def test_phases_average_probes_then_seeds():
    rows = [
        (0, 0.0, 0.2, 4.0, -1.0, 0.5),
        (0, 0.4, 0.4, 2.0, -3.0, 1.5),
        (1, 0.1, 0.5, 6.0, -1.0, 1.0),
        (0, 1.0, 9.0, 9.0, -1.0, 9.0),
    ]
    names = ["seed", "progress", "cosine", "normalised_sharpness", "first_order", "second_order"]
    found = comparing.phases(pd.DataFrame(rows, columns=names).assign(method="SGD", batch_size=2), 2)
    assert found.progress.tolist() == [0.25, 0.75] and found.num_seeds.tolist() == [2, 1]
    assert found.cosine.tolist() == pytest.approx([0.4, 9.0]) and found.cosine_error[0] == pytest.approx(0.1)
    assert found.overshoot.tolist() == pytest.approx([0.75, 9.0])  # (2/4 + 1) / 2


def test_powers_are_read_off_in_log_log_coordinates():
    assert comparing.power([1, 2, 4], [-3, -24, -192]) == pytest.approx(3)
    part = pd.DataFrame({"eta": [0.2, 0.05, 0.025], "error": [9.0, 0.05, 0.025]})
    assert comparing.power_over_eta(part, up_to=0.05) == pytest.approx(1) and comparing.power_over_eta(part) > 1.2
    part = part.assign(euler=[1.0, 1.0, 1.3], equation=1.0, euler_standard_error=0.1)
    assert comparing.standard_errors_off(part) == pytest.approx(3)


def test_ratio_of_quadratic_losses_pairs_the_seeds():
    rows = [
        {"noise": "rows", "landscape": "het", "sigma": 0.0, "num_samples": 9, "batch_size": 1, "num_steps": 9,
         "optimizer": o, "lr": 1.0, "momentum": 0.9, "seed": s, "loss": factor * (1 + s), "diverged": False}
        for o, factor in (("adam", 1.0), ("sgd", 3.0)) for s in (0, 1)
    ]  # fmt: skip
    found = comparing.ratios_to_adam(pd.DataFrame(rows)).set_index("optimizer")
    assert found.over_adam.to_dict() == pytest.approx({"adam": 1.0, "sgd": 3.0})
    assert found.relative_error.to_dict() == pytest.approx({"adam": 0.0, "sgd": 0.0})

"""Claims on made-up tables: each holds where it should, fails where it should, and is not decided at an edge."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from papers.optimizer_gap import claims, comparing, gap, paired, powers, tables
from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of

HALF_A_NAT = SimpleNamespace(thresholds=SimpleNamespace(gap_at_largest_batch=0.5))


def judged(claim, *args):
    return verdict_of(list(claim(*args)))


def gap_table(gaps=(-0.02, 0.2, 1.0), edge="", error=0.01, num_seeds=3, growth_error=None):
    growth = {"growth": np.diff(gaps, prepend=math.nan), "growth_overall": np.subtract(gaps, gaps[0])}
    growth |= {f"{name}_error": error if growth_error is None else growth_error for name in growth}
    return pd.DataFrame(
        {"batch_size": [2, 16, 128], "gap": gaps, "gap_tuned": gaps, "gap_error": error, "gap_tuned_error": error,
         "num_seeds": num_seeds, "at_edge": ["", "", edge], **growth}
    )  # fmt: skip


def test_growth_is_judged_by_the_errors_of_the_differences():
    noisy = gap_table(error=0.05, growth_error=0.001)  # a spread that all batch sizes share says nothing of the growth
    assert judged(claims.gap_grows_with_batch, noisy.assign(gap_error=0.01), HALF_A_NAT) == HOLDS
    assert judged(claims.gap_grows_with_batch, gap_table(growth_error=0.2), HALF_A_NAT) == NOISE


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


@pytest.mark.parametrize(("span", "verdict"), [(0.06, HOLDS), (0.4, FAILS), (0.098, NOISE)])
def test_adam_is_flat_where_it_spans_a_tenth_of_a_nat_and_less_than_sgd(span, verdict):
    table = pd.DataFrame({"method": ["SGD", "Adam"], "lowest_at": 2, "range": [1.3, span], "over_sgd": [1, span / 1.3]})
    table = table.assign(range_error=0.001, over_sgd_error=0.001, num_seeds=5, edge="inside")
    assert judged(claims.adam_flat_in_batch, table) == verdict
    steeper = table.assign(over_sgd=[1.0, 0.7])
    assert judged(claims.adam_flat_in_batch, steeper) == FAILS
    assert judged(claims.adam_flat_in_batch, table.assign(edge="B2 lr high")) == NOT_TESTABLE


def test_at_equal_updates_the_gap_has_to_grow_and_the_worse_method_to_learn_at_the_small_batch():
    table = gap_table().assign(least_learned=[0.3, 1.0, 1.0], least_learned_error=0.01, least_learned_by="Adam")
    assert judged(claims.gap_grows_at_equal_updates, table) == HOLDS
    assert judged(claims.gap_grows_at_equal_updates, table.assign(least_learned=-0.1)) == FAILS
    assert judged(claims.gap_grows_at_equal_updates, table.assign(growth_overall=-0.1)) == FAILS


def seed_losses(losses):
    """Runs of the best settings: (batch size, method) -> the loss of each seed."""
    rows = [
        {"batch_size": b, "method": m, "seed": s, "val_loss": x, "num_steps": 64 // b}
        for (b, m), found in losses.items()
        for s, x in enumerate(found)
    ]
    return pd.DataFrame(rows)


def test_the_worse_of_both_methods_is_what_has_to_learn():
    losses = {(2, "SGD"): (5.0, 5.2), (2, "Adam"): (5.4, 5.6), (8, "SGD"): (4.9, 5.1), (8, "Adam"): (4.0, 4.2)}
    found = paired.learned(pd.DataFrame({"batch_size": [2, 8]}), seed_losses(losses), 5.7)
    assert found.least_learned_by.tolist() == ["Adam", "SGD"]
    assert found.least_learned.tolist() == pytest.approx([0.2, 0.7])
    assert found.least_learned_error.tolist() == pytest.approx([0.1, 0.1])


SHARED = (0.0, 0.2, -0.2)  # what a seed adds to the gap at every batch size


def test_gaps_of_two_batch_sizes_are_compared_seed_by_seed():
    losses = {
        (b, m): [3 + (m == "SGD") * (gap + x) for x in SHARED]
        for b, gap in ((2, 0.1), (8, 0.4))
        for m in ("SGD", "Adam")
    }
    best = pd.DataFrame([{"batch_size": b, "method": m, "num_settings": 9, "edge": "inside"} for b, m in losses])
    found = paired.gap_table(best, seed_losses(losses), ["SGD", "Adam"])
    assert found.gap.tolist() == pytest.approx([0.1, 0.4]) and found.gap_error.min() > 0.1
    assert found.growth[1] == pytest.approx(0.3) and found.growth_error[1] == pytest.approx(0.0, abs=1e-12)
    assert found.growth_overall[1] == pytest.approx(0.3) and math.isnan(found.growth[0])
    margin = 4.302653 * 0.2 / math.sqrt(3)  # t with two degrees of freedom
    assert found.gap_low[0] == pytest.approx(0.1 - margin) and found.gap_high[0] == pytest.approx(0.1 + margin)


def test_a_range_is_between_the_batch_sizes_that_other_seeds_found_extreme():
    methods = ("SGD", "Adam", "Adam, beta2 tuned")
    losses = {
        (b, m): [level * (1 + (m == "SGD")) + x for x in SHARED]
        for b, level in ((2, 3.0), (8, 3.1), (32, 3.5))
        for m in methods
    }
    chosen = {2: 3.0, 8: 2.9, 32: 3.6}
    best = pd.DataFrame([{"method": m, "batch_size": b, "chosen_loss": chosen[b], "edge": "inside"} for b, m in losses])
    found = paired.ranges(best, seed_losses(losses)).set_index("method")
    assert found.loc["Adam", ["lowest_at", "highest_at"]].tolist() == [8, 32]
    assert found.range["Adam"] == pytest.approx(0.4) and found.range_error["Adam"] == pytest.approx(0.0, abs=1e-12)
    assert found.over_sgd["Adam"] == pytest.approx(0.5) and found.over_sgd_error["Adam"] == pytest.approx(0, abs=1e-12)


def gains_table(method, small, middle, large, edge="inside"):
    table = pd.DataFrame(
        {"method": method, "batch_size": [2, 16, 128], "value": 0.9, "num_seeds": 5, "gain": [small, middle, large]}
    )
    lead = small - table.gain
    return table.assign(gain_error=0.002, lead=lead, lead_error=0.002, edge=edge)


def test_beta2_has_to_help_more_where_the_batch_is_small():
    method = "Adam, beta2 tuned"
    assert judged(claims.beta2_caveat, gains_table(method, 0.15, 0.02, 0.5)) == HOLDS
    assert judged(claims.beta2_caveat, gains_table(method, 0.15, 0.2, 0.0)) == FAILS
    assert judged(claims.beta2_caveat, gains_table(method, 0.04, 0.0, 0.0)) == FAILS
    assert judged(claims.beta2_caveat, gains_table(method, 0.15, 0.02, 0.0, edge="high")) == NOT_TESTABLE


def test_the_middle_batch_is_the_middle_one_of_four():
    table = pd.concat(
        [gains_table("Adam, beta2 tuned", 0.15, 0.02, 0.0), gains_table("Adam, beta2 tuned", 0.15, 0.3, 0)]
    )
    four = table.iloc[[0, 4, 1, 2]].assign(batch_size=[2, 8, 16, 128])  # at batch size 8 tuning helps more than at 2
    assert judged(claims.beta2_caveat, four) == HOLDS


def test_momentum_is_judged_at_the_largest_batch():
    assert judged(claims.sgd_needs_tuned_momentum, gains_table("SGD", -0.2, 0.0, 0.05)) == HOLDS
    assert judged(claims.sgd_needs_tuned_momentum, gains_table("SGD", 0.3, 0.3, 0.01)) == FAILS


def test_every_group_has_to_shrink_and_the_rarer_half_more():
    gaps = {2: (0.1, 0.2, 0.3), 128: (0.2, 0.5, 1.2)}
    rows = [(b, g, gap) for b, found in gaps.items() for g, gap in enumerate(found)]
    groups = pd.DataFrame(rows, columns=["batch_size", "group", "gap_val"]).assign(room_error=0.001, num_seeds=3)
    groups = groups.assign(allowed=[2 / 3, 2 / 3, 1 / 3] * 2, room=0.01, gap_tuned=0.1)
    groups = groups.assign(room_tuned=-0.1, room_tuned_error=0.001)  # told, and decides nothing
    assert judged(claims.imbalance_not_sufficient, groups, gap_table()) == HOLDS
    groups.loc[2, "room"] = -0.1  # the rarest shrinks by less than 3
    assert judged(claims.imbalance_not_sufficient, groups, gap_table()) == FAILS


def arms(adam_on_sgd=4.9, sgd_on_adam=4.1, clipped=4.7, edge="inside"):
    names = ["SGD", "Adam", "Adam length, SGD direction", "SGD length, Adam direction", "SGD, clip p=0.1"]
    table = pd.DataFrame({"arm": names, "val_loss": [5.0, 4.0, adam_on_sgd, sgd_on_adam, clipped]})
    table = table.assign(batch_size=128, gain=5 - table.val_loss, recovered=5 - table.val_loss)
    table = table.assign(chosen_loss=table.val_loss, gain_error=0.01, recovered_error=0.01, num_seeds=3, edge=edge)
    return table[["batch_size", "arm", "val_loss", "gain", "recovered", *table.columns[5:]]]


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


def test_the_clip_that_is_judged_is_the_one_that_the_seeds_of_the_grids_chose():
    table = arms()
    lucky = table[table.arm.str.startswith("SGD, clip")].assign(arm="SGD, clip p=0.5", chosen_loss=9.0, gain=0.0)
    lucky = lucky.assign(val_loss=4.0)  # best on the seeds that judge, worst on those that choose
    assert judged(claims.adaptive_clip_helps, pd.concat([table, lucky], ignore_index=True)) == HOLDS
    table.loc[table.arm == "SGD, clip p=0.1", "gain"] = 0.0
    assert judged(claims.adaptive_clip_helps, pd.concat([table, lucky.assign(gain=1.0)], ignore_index=True)) == FAILS


def quadratics(over_adam, num_samples=32768, sigma=100.0, log_error=0.05):
    rows = [("het", sigma, num_samples, b, "sgd", ratio) for b, ratio in over_adam.items()]
    table = pd.DataFrame(rows, columns=["landscape", "sigma", "num_samples", "batch_size", "optimizer", "over_adam"])
    table = table.assign(log_error=log_error, num_draws=8, num_seeds=4, at_edge="", floored=0, largest=table.over_adam)
    return table.assign(smallest=table.over_adam, smallest_log_error=0.1)


def test_quadratics():
    shown = quadratics({16: 1.0, 64: 2.4, 256: 4.0})
    assert judged(claims.quadratic_noise_gap, shown) == HOLDS
    assert judged(claims.quadratic_noise_gap, quadratics({16: 3.0, 256: 4.0})) == FAILS
    assert judged(claims.quadratic_noise_gap, quadratics({16: 1.0, 256: 2.6})) == NOISE
    assert judged(claims.quadratic_noise_gap, shown.assign(log_error=0.5)) == NOISE  # rotations do not agree


def test_the_worst_rotation_decides_whether_rows_leave_a_gap():
    shown = quadratics({1: 1e5, 9: 1e8})
    assert judged(claims.quadratic_interpolation_gap, shown) == HOLDS
    assert judged(claims.quadratic_interpolation_gap, shown.assign(smallest=[1e5, 10.0])) == FAILS
    assert judged(claims.quadratic_interpolation_gap, shown.assign(smallest=[1e5, 1.2e3])) == NOISE
    exact = shown.assign(smallest=[1e5, 1.2e3], smallest_log_error=[0.1, math.nan])  # without noise it is clear
    assert judged(claims.quadratic_interpolation_gap, exact) == HOLDS


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
    formula = variances.assign(variance=[1, 0.3, 1, 0.5])  # SGD's is a closed form, and nothing hangs on it
    assert judged(claims.sign_stationary_sqrt_b, formula) == HOLDS


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
    table = pd.DataFrame(rows).assign(diverged=False, sweep="main", fresh=False)
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


def with_fresh_seeds(seeds=(5, 6, 7), luck=2.0):
    """The made-up runs of two seeds, a lucky one of which is bad elsewhere, and all of them again on other seeds."""
    runs = made_up_runs()
    lucky = (runs.optimizer == "sgd_ema") & (runs.lr == 10) & (runs.momentum == 0.98)
    return pd.concat([runs.assign(val_loss=runs.val_loss - luck * lucky), made_up_runs(seeds=seeds).assign(fresh=True)])


def test_what_a_setting_is_worth_is_of_seeds_that_did_not_choose_it():
    best = tables.tab_best(runs := with_fresh_seeds())
    sgd = best[best.method == "SGD"].iloc[0]
    assert (sgd.lr, sgd.momentum, sgd.num_settings, sgd.num_seeds) == (10, 0.98, 9, 3)  # chosen by luck
    assert sgd.chosen_loss == pytest.approx(4.108 + 0.01 + 0.5 - 2) and sgd.val_loss == pytest.approx(4.108 + 0.12 + 6)
    seeds = tables.best_runs(runs, best)
    assert set(seeds.seed) == {5, 6, 7} and seeds.fresh.all()
    found = tables.tab_gap(best, seeds)
    assert found.gap.tolist() == pytest.approx([4.108 + 0.12 - 3.05] * 2) and set(found.num_seeds) == {3}


def test_curves_and_ablations_are_of_the_seeds_that_chose():
    runs = with_fresh_seeds()
    assert set(tables.fig_lr_sweep(runs).num_seeds) == {2} and set(tables.tab_gap_beta2(runs).num_seeds) == {2}


def test_momentum_and_beta1_stand_beside_each_other_at_their_best_rates():
    runs = made_up_runs()
    sgd = runs[(runs.optimizer == "sgd_ema") & (runs.batch_size == 16)]
    found = tables.tab_momentum(pd.concat([runs, sgd.assign(sweep="no_clip", val_loss=sgd.val_loss + 1)]))
    assert found.groupby("clip").val_loss.min().to_dict() == pytest.approx({"none": 4.61, "norm 1": 3.55})
    assert found.groupby("method").momentum.unique().map(list).to_dict() == {m: [0, 0.9, 0.98] for m in ("SGD", "Adam")}
    assert found.query("momentum == 0.9").gain.tolist() == pytest.approx([0.09] * 5) and set(found.lr) == {1.0}


def test_at_equal_updates_the_main_sweep_lends_the_runs_that_are_as_long():
    runs = made_up_runs()
    other = runs[(runs.batch_size == 16) & (runs.beta2.isna() | (runs.beta2 == 0.95))]
    short = other.assign(sweep="steps", num_steps=64, val_loss=other.val_loss - 1)
    facts = SimpleNamespace(unigram_entropy_nats=pd.Series([9.0]))
    found = tables.tab_equal_steps(pd.concat([runs, short]), lambda step: facts)
    assert found.batch_size.tolist() == [2, 16] and set(found.num_steps) == {64}
    assert found.sgd_loss.diff().iloc[1] == pytest.approx(-1) and set(found.adam_settings) == {9}


def test_fresh_runs_are_those_of_the_best_setting_of_every_method_and_comparison():
    chosen = comparing.chosen_runs(made_up_runs())
    own = chosen[(chosen.batch_size == 2) & (chosen.seed == 0)]
    found = sorted(own[comparing.SETTING].fillna(-1).itertuples(index=False, name=None))
    adam = [(1.0, -1, 0.9, 0.95), (1.0, -1, 0.9, 0.99)]  # the first is also what beta2 is compared with
    assert found == sorted([*adam, (1.0, 0.0, -1, -1), (1.0, 0.9, -1, -1)])
    runs = made_up_runs()
    pair = comparing.chosen_runs(runs[runs.beta2.isna() | (runs.beta2 == 0.95)])  # where beta2 does not vary
    assert len(pair.query("batch_size == 2 and seed == 0")) == 2


def test_a_tuned_hyperparameter_is_compared_with_one_value_of_it_seed_by_seed():
    runs = made_up_runs()
    runs.loc[(runs.batch_size == 16) & (runs.beta2 == 0.99), "val_loss"] += 0.01 * runs.seed
    found = paired.tuning_gains(runs).set_index(["method", "batch_size"])
    assert found.gain["SGD", 2] == pytest.approx(0.09) and found.value["SGD", 16] == 0.9
    beta2 = found.loc["Adam, beta2 tuned"]
    assert beta2.gain.tolist() == pytest.approx([0.05, 0.045]) and beta2.value.tolist() == [0.99, 0.99]
    assert beta2.lead.tolist() == pytest.approx([0.0, 0.005]) and beta2.lead_error[16] == pytest.approx(0.005)


def test_an_end_of_either_grid_is_told_by_name():
    best = tables.tab_best(runs := made_up_runs(best_lr=10.0))
    at_edge = tables.tab_gap(best, tables.best_runs(runs, best)).at_edge
    assert at_edge.tolist() == ["sgd lr high; adam lr high; adam_tuned lr high"] * 2
    steep, flat = made_up_runs(momenta=(0.2, 0.5)), made_up_runs(momenta=(0.5, 0.55))
    edges = [tables.tab_best(part).set_index("method").edge["SGD"].unique().tolist() for part in (steep, flat)]
    assert edges == [["momentum high"], ["inside"]]  # 0.03 and 0.005 nats better than the value before


def test_a_momentum_is_judged_among_all_values_each_at_rates_of_its_own():
    runs = made_up_runs()
    at = lambda *momenta: (runs.optimizer == "sgd_ema") & runs.momentum.isin(momenta)  # noqa: E731
    apart = runs[~(at(0.0) & (runs.lr > 0.1)) & ~(at(0.9) & (runs.lr < 1))]  # 0 and 0.9 share no rate
    best = tables.tab_best(apart.assign(val_loss=apart.val_loss + at(0.98)[apart.index])).query("method == 'SGD'")
    assert best.momentum.tolist() == [0.9, 0.9] and best.edge.tolist() == ["lr low"] * 2


def test_gain_over_a_fixed_beta2():
    gains = tables.tab_gap_beta2(made_up_runs())
    assert gains.beta2.tolist() == [0.95, 0.99, 0.999] * 2
    assert gains.gain.tolist() == pytest.approx([0.0, 0.05, 0.03] * 2) and gains.gain_error.max() < 1e-9


def test_the_gap_of_a_group_is_sgd_less_adam_and_its_room_is_paired():
    rows = [(2, "SGD", 3.0, 2.0), (2, "Adam", 2.5, 2.2), (64, "SGD", 5.0, 2.0), (64, "Adam", 2.0, 2.2)]
    rows += [(2, "Adam, beta2 tuned", 2.0, 2.2), (64, "Adam, beta2 tuned", 1.9, 2.2)]
    seeds = pd.DataFrame(rows, columns=["batch_size", "method", "val_group_0", "train_group_0"])
    other = seeds.assign(seed=1, val_group_0=seeds.val_group_0.add([0.2, 0.0, 0.3, 0.0, 0.0, 0.0]))
    found = groups_of(pd.concat([seeds.assign(seed=0), other]))
    small = found.iloc[0]
    assert small.gap_val == pytest.approx(0.6) and small.gap_train == pytest.approx(-0.2)
    assert small.gap_val_error == pytest.approx(0.1) and small.gap_train_error == 0
    assert small.room == pytest.approx(2 / 3 * 3.15 - 0.6) and small.room_error == pytest.approx(0.0, abs=1e-12)
    assert small.gap_tuned == pytest.approx(1.1) and small.room_tuned == pytest.approx(2 / 3 * 3.25 - 1.1)


def groups_of(seeds):
    return paired.group_gaps(seeds, pd.DataFrame({"group": [0], "mass": [1.0]})).assign(at_edge="")


def test_an_arm_recovers_the_share_of_the_gap_that_it_closes():
    loss = {"SGD": (5.0, 5.2), "Adam": (4.0, 4.2), "arm": (4.75, 4.95)}
    rows = [{"arm": arm, "seed": s, "val_loss": x} for arm, pair in loss.items() for s, x in enumerate(pair)]
    found = paired.closed_gaps(pd.DataFrame(rows))
    assert found.recovered.to_dict() == pytest.approx({"SGD": 0.0, "Adam": 1.0, "arm": 0.25})
    assert found.gain["arm"] == pytest.approx(0.25) and found.recovered_error.max() < 1e-9
    assert found.behind["arm"] == pytest.approx(0.75) and found.behind_error["arm"] < 1e-9  # the seeds' 0.2 cancels


def test_an_arm_that_closes_a_quarter_leaves_three():
    checks = list(claims.grafting_does_not_rescue(arms(adam_on_sgd=4.75)))
    assert checks[0].estimate.value == pytest.approx(0.75)


def bounds_table(gaps, half):
    table = pd.DataFrame({"batch_size": [1, 2, 4, 8, 16], "num_seeds": 5})
    for name, gap in gaps.items():
        bounds = {f"{name}_low": np.subtract(gap, half), f"{name}_high": np.add(gap, half)}
        table = table.assign(**{name: gap, f"{name}_error": half / 2, **bounds})
    return table


def test_the_crossover_and_where_its_bounds_cross():
    gaps = {"gap": [-2.0, -1.0, 0.0, 1.0, 2.0], "gap_tuned": [-1.0, 0.0, 1.0, 2.0, 3.0]}
    found = gap.crossings(bounds_table(gaps, 0.2)).set_index("baseline")
    assert found.batch_size.tolist() == pytest.approx([4.0, 2.0]) and found.num_roots.tolist() == [1, 1]
    assert found.low.tolist() == pytest.approx([2**1.8, 2**0.8]) and found.high["Adam"] == pytest.approx(2**2.2)
    assert found.ends.tolist() == ["two", "two"]
    assert found.log2_batch_size.tolist() == pytest.approx([2.0, 1.0])
    assert found.log2_error.tolist() == pytest.approx([0.1, 0.1])  # a gap that is known to 0.1 grows by 1 a doubling


def test_an_end_of_the_crossover_outside_the_batch_sizes_is_open():
    gaps = {"gap": [0.1, 1.0, 2.0, 3.0, 4.0], "gap_tuned": [-4.0, -3.0, -2.0, -1.0, 0.1]}
    found = gap.crossings(bounds_table(gaps, 0.5)).set_index("baseline")
    assert found.ends.tolist() == ["low below 1", "high above 16"]
    assert math.isnan(found.batch_size["Adam"]) and math.isnan(found.low["Adam"]) and 1 < found.high["Adam"] < 2
    assert 8 < found.low["Adam, beta2 tuned"] < 16 and math.isnan(found.high["Adam, beta2 tuned"])
    assert found[["log2_batch_size", "log2_error"]].isna().all(axis=None)  # a point without an interval says nothing
    once = gap.crossings(bounds_table(gaps, math.nan)).set_index("baseline")  # one seed
    assert once.ends["Adam, beta2 tuned"] == "low below 1; high above 16"


def test_a_diverged_run_is_not_chosen_by_what_it_had_before():
    logged = pd.DataFrame({"run": ["a", "b"], "step": 1, "phase": "eval", "val_loss": [1.0, 2.0], "fresh": False})
    found = comparing.ended(logged.assign(diverged=[True, False]))
    assert found.set_index("run").val_loss.to_dict() == {"a": math.inf, "b": 2.0}


def test_the_figure_of_gaps_has_intervals_for_gaps_and_errors_for_losses():
    gaps = {"gap": [0.1, 0.4], "gap_tuned": [0.2, 0.5]}
    table = bounds_table({name: [*gap, 1.0, 1.0, 1.0] for name, gap in gaps.items()}, 0.06).iloc[:2]
    best = pd.DataFrame({"method": "SGD", "batch_size": [1, 2], "val_loss": [4.0, 5.0], "standard_error": 0.01})
    crossing = pd.DataFrame({"baseline": ["Adam"], "low": [1.5], "high": [1.8]})
    facts = SimpleNamespace(unigram_entropy_nats=pd.Series([5.5]))
    found = tables.fig_gap(lambda step: facts, best, table, table, crossing)
    bands = found.groupby(["panel", "method"]).band.unique().map(list).to_dict()
    assert bands["loss", "SGD"] == [0.01] and bands["gap", "Adam"] == pytest.approx([0.06])
    values = found[found.panel == "gap"].groupby("method").val_loss.apply(list).to_dict()
    assert values == {"Adam": [0.1, 0.4], "Adam, beta2 tuned": [0.2, 0.5], "equal updates": [0.1, 0.4]}
    assert found[found.method == "unigram entropy"].val_loss.tolist() == [5.5, 5.5]


def test_the_noise_of_gradients_is_shown_at_the_middle_batch_size():
    noise = pd.DataFrame({"batch_size": [64, 2, 16, 16], "progress": [0.0, 0.0, 0.4911, 0.98], "share": 0.5})
    found = tables.fig_signal(lambda step, part: noise)
    assert set(found.batch_size) == {16} and found.progress.tolist() == [0.49, 0.98]


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
    assert powers.power([1, 2, 4], [-3, -24, -192]) == pytest.approx(3)
    part = pd.DataFrame({"eta": [0.2, 0.05, 0.025], "error": [9.0, 0.05, 0.025]})
    assert powers.power_over_eta(part, up_to=0.05) == pytest.approx(1) and powers.power_over_eta(part) > 1.2
    part = part.assign(euler=[1.0, 1.0, 1.3], equation=1.0, euler_standard_error=0.1)
    assert powers.standard_errors_off(part) == pytest.approx(3)

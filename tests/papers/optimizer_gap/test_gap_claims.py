"""Claims on made-up tables: each holds where it should, fails where it should, and is not decided at an edge."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from papers.optimizer_gap import claims, comparing, tables
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
    assert judged(claims.gap_grows_with_batch, gap_table(edge="sgd"), HALF_A_NAT) == NOT_TESTABLE


def test_one_seed_or_a_wide_spread_decides_nothing():
    assert judged(claims.gap_grows_with_batch, gap_table(error=math.nan, num_seeds=1), HALF_A_NAT) == NOISE
    assert judged(claims.sgd_matches_adam_small_batch, gap_table(error=0.1)) == NOISE


def test_the_smallest_batch_alone_is_compared_with_adam():
    assert judged(claims.sgd_matches_adam_small_batch, gap_table(edge="sgd")) == HOLDS  # the edge is elsewhere
    assert judged(claims.sgd_matches_adam_small_batch, gap_table(gaps=(0.2, 0.2, 1.0))) == FAILS


@pytest.mark.parametrize(("adam", "verdict"), [((3.6, 3.5, 3.9), HOLDS), ((3.0, 3.5, 5.0), FAILS)])
def test_adam_is_flat_where_its_losses_span_less_than_those_of_sgd(adam, verdict):
    losses = {"SGD": (3.6, 3.7, 4.9), "Adam": adam}
    rows = [(m, b, loss) for m, found in losses.items() for b, loss in zip((2, 16, 128), found, strict=True)]
    table = pd.DataFrame(rows, columns=["method", "batch_size", "val_loss"])
    table = table.assign(standard_error=0.01, num_seeds=4, edge="inside")
    assert judged(claims.adam_flat_in_batch, table) == verdict


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


def quadratics(over_adam):
    rows = [("het", 100.0, b, "sgd", ratio) for b, ratio in over_adam.items()]
    table = pd.DataFrame(rows, columns=["landscape", "sigma", "batch_size", "optimizer", "over_adam"])
    return table.assign(relative_error=0.05, num_seeds=5, edge="inside")


def test_quadratics():
    assert judged(claims.quadratic_noise_gap, quadratics({1: 1.0, 16: 1.0, 64: 2.4, 256: 4.0})) == HOLDS
    assert judged(claims.quadratic_noise_gap, quadratics({1: 1.0, 16: 3.0, 256: 4.0})) == FAILS
    assert judged(claims.quadratic_noise_gap, quadratics({1: 1.0, 256: 2.6})) == NOISE
    assert judged(claims.quadratic_interpolation_gap, quadratics({1: 1e5, 9: 1e8})) == HOLDS
    assert judged(claims.quadratic_interpolation_gap, quadratics({1: 1e5, 9: 10.0})) == FAILS


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


def made_up_runs(best_lr, seeds=(0, 1)):
    """SGD a tenth of a nat behind Adam with beta2 = 0.999; the seed moves all alike, and SGD by 0.02 more."""
    rows = [
        {"optimizer": o, "batch_size": b, "num_steps": 128 // b, "lr": lr, "momentum": m, "beta2": beta2, "seed": s}
        for b in (2, 16)
        for o, m, beta2 in (("sgd_ema", 0.9, math.nan), ("adam", math.nan, 0.95), ("adam", math.nan, 0.999))
        for lr in (0.1, 1.0, 10.0)
        for s in seeds
    ]
    table, sgd = (
        pd.DataFrame(rows).assign(diverged=False, sweep="main"),
        [row["optimizer"] == "sgd_ema" for row in rows],
    )
    distance = (table.lr.map(math.log10) - math.log10(best_lr)).abs()
    behind = pd.Series(sgd) * (0.1 + 0.02 * table.seed) + 0.05 * (table.beta2 == 0.95)
    return table.assign(val_loss=3 + distance + behind + table.seed)


def test_gap_of_made_up_runs_tunes_rates_and_beta2_and_pairs_the_seeds():
    runs = made_up_runs(1.0)
    best = tables.tab_best(runs)
    gap = tables.tab_gap(best, tables.best_runs(runs, best))
    assert gap.gap.tolist() == pytest.approx([0.06, 0.06]) and gap.gap_tuned.tolist() == pytest.approx([0.11, 0.11])
    assert gap.gap_error.tolist() == pytest.approx([0.01, 0.01])  # 0.05 and 0.07; the seeds' own nat cancels
    assert gap.at_edge.tolist() == ["", ""] and gap.num_steps.tolist() == [64, 8] and set(gap.num_seeds) == {2}
    best = tables.tab_best(runs := made_up_runs(10.0))
    at_edge = tables.tab_gap(best, tables.best_runs(runs, best)).at_edge
    assert at_edge.tolist() == ["sgd adam adam_tuned"] * 2


def test_gain_over_a_fixed_beta2():
    gains = tables.tab_gap_beta2(made_up_runs(1.0))
    assert gains.gain.tolist() == pytest.approx([0.0, 0.05] * 2) and gains.gain_error.tolist() == pytest.approx(
        [0.0] * 4
    )


def test_crossings_are_told_for_both_columns_of_adam_and_empty_where_there_is_none():
    table = gap_table(gaps=(-0.2, 0.2, 1.0)).assign(gap_tuned=0.1)
    found = comparing.crossings(table).set_index("baseline").batch_size
    assert found["Adam"] == pytest.approx(2**2.5) and math.isnan(found["Adam, beta2 tuned"])


def test_powers_are_read_off_in_log_log_coordinates():
    assert comparing.power([1, 2, 4], [-3, -24, -192]) == pytest.approx(3)
    part = pd.DataFrame({"eta": [0.2, 0.05, 0.025], "error": [9.0, 0.05, 0.025]})
    assert comparing.power_over_eta(part, up_to=0.05) == pytest.approx(1) and comparing.power_over_eta(part) > 1.2
    part = part.assign(euler=[1.0, 1.0, 1.3], equation=1.0, euler_standard_error=0.1)
    assert comparing.standard_errors_off(part) == pytest.approx(3)


def test_ratio_of_quadratic_losses_pairs_the_seeds():
    rows = [
        {"noise": "rows", "landscape": "het", "sigma": 0.0, "batch_size": 1, "num_steps": 9, "optimizer": o, "lr": 1.0,
         "momentum": 0.9, "seed": s, "loss": factor * (1 + s), "diverged": False}
        for o, factor in (("adam", 1.0), ("sgd", 3.0)) for s in (0, 1)
    ]  # fmt: skip
    found = comparing.ratios_to_adam(pd.DataFrame(rows)).set_index("optimizer")
    assert found.over_adam.to_dict() == pytest.approx({"adam": 1.0, "sgd": 3.0})
    assert found.relative_error.to_dict() == pytest.approx({"adam": 0.0, "sgd": 0.0})

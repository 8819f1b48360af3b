"""What the claims measure, on made-up tables with known answers."""

import numpy as np
import pandas as pd
import pytest

from papers.distributed_sde.closed_forms import order_rows
from papers.distributed_sde.measures import (
    above_the_axis,
    boundary_errors,
    boundary_steps,
    curves,
    diverged_over_seeds,
    diverged_share,
    ends_of_runs,
    floor_exponents,
    gap,
    last_decade_means,
    last_decade_slopes,
    leaving_curves,
    log_median,
    loss_by_compression,
    over_corrected,
    over_rules_and_seeds,
    over_seeds,
    sampled_ratios,
    slope,
    transient_errors,
    wrong_statuses,
)
from shared.artifacts.config import load_config
from shared.artifacts.estimates import Estimate, share_of
from shared.base.seeding import numpy_generator


def test_statuses_are_held_against_the_rule_in_ascending_order():
    part = pd.DataFrame({"model": "gd", "eta": [2.1, 0.5, 1.9], "status": ["diverges", "converges", "diverges"]})
    assert wrong_statuses(part, "eta", {"gd": np.array([False, False, True])}) == {"gd": 1}
    assert wrong_statuses(part, "eta", {"gd": np.array([False, True, True])}) == {"gd": 0}


def test_curves_are_one_cell_each_and_sorted_by_step():
    table = pd.DataFrame({"method": "A", "schedule": "s", "lr": [1, 1, 2], "scale": 1, "omega": 0, "x0": 3})
    found = curves(table.assign(k=[10, 1, 1]), method="A")
    assert [list(curve.k) for curve in found] == [[1, 10], [1]]
    assert curves(table.assign(k=1), method="B") == []


def test_a_share_that_is_none_of_the_runs_still_has_a_noise():
    estimate = diverged_share(pd.Series({"share_diverged": 0.0, "n_runs": 50}))
    assert estimate.value == 0 and estimate.noise > 0 and estimate.n == 50


def test_the_error_of_a_log_median_is_that_of_the_median_of_a_normal_law():
    logs = numpy_generator(0, "median").normal(2.0, 0.3, (4000, 50))
    q25, median, q75 = np.quantile(10**logs, [0.25, 0.5, 0.75], axis=1)
    rows = pd.DataFrame({"median_g2": median, "q25": q25, "q75": q75, "n_runs": 50})
    noises = [log_median(row).noise for _, row in rows.iloc[:400].iterrows()]
    # the sample's own spread, within the sampling error of 400 interquartile ranges and of fifty runs' asymptotics
    assert np.mean(noises) == pytest.approx(np.log10(median).std(), rel=0.05)
    assert log_median(rows.iloc[0], unit=10.0).value == pytest.approx(log_median(rows.iloc[0]).value - 1)


def test_the_slope_of_a_power_is_its_exponent():
    k = np.array([1, 10, 100, 1000])
    assert slope(pd.DataFrame({"k": k, "median_g2": 3 * k**-0.5})).value == pytest.approx(-0.5)


def test_floor_exponents_are_found_one_by_one_and_their_errors_grow_with_those_of_the_floors():
    points = [(0.05, 1, 8), (0.1, 1, 8), (0.05, 2, 8), (0.05, 1, 16)]
    table = pd.DataFrame(points, columns=["eta", "scale", "N"]).assign(
        floor_measured=lambda t: 7 * t.eta**2 * t.scale / t.N, standard_error=lambda t: 0.01 * t.floor_measured
    )
    found = floor_exponents(table, 100)
    assert [found[c].value for c in ("eta", "scale", "N")] == pytest.approx([2, 1, -1])
    # two floors a factor of two apart: sqrt(2) * 1% / log 2
    assert found["eta"].noise == pytest.approx(2**0.5 * 0.01 / np.log(2))


def test_boundary_steps_compare_points_that_differ_in_one_argument_alone():
    table = pd.DataFrame({"N": [1, 8, 1, 8], "d": [4, 4, 9, 9], "omega": 0, "s1": 0.3, "eta_sure": np.nan})
    table = table.assign(eta_star_measured=[1.0, 3.0, 0.5, 0.4], eta_sure_error=np.nan)
    half = 0.0196 * table.eta_star_measured  # a standard error of 1 %
    table = table.assign(ci_low=table.eta_star_measured - half, ci_high=table.eta_star_measured + half)
    settings = load_config("distributed_sde", "smoke").linear
    ((law, step),) = boundary_steps(table, "N", 1, settings)
    assert law == "in_mean_square" and step.value == pytest.approx(np.log(0.8))
    assert step.noise == pytest.approx(0.01 * 2**0.5) and step.n == settings.threshold_runs
    ((_, step),) = boundary_steps(table, "d", -1, settings)
    assert step.value == pytest.approx(np.log(2))
    assert list(boundary_steps(table, "omega", -1, settings)) == []


def test_transient_errors_are_means_over_steps_for_each_model():
    rows = {"sde": ["a", "a", "b"], "rel_err": [0.1, 0.3, 0.0], "f_discrete": 1.0, "f_sde": 1.0, "n_paths": 100}
    rows = pd.DataFrame(rows)
    found = transient_errors(rows.assign(se_discrete=0.03, se_sde=0.04))
    assert found["a"].value == pytest.approx(0.2) and found["b"].value == 0
    assert found["a"].noise == pytest.approx(1.2 * 0.05)


def test_weak_orders_are_one_two_and_one():
    table = pd.DataFrame(order_rows(load_config("distributed_sde", "smoke").exact))
    last = table.groupby("model").order.last()
    assert last[["classical_1", "classical_2", "corrected"]].to_list() == pytest.approx([1, 2, 1], abs=0.05)
    assert table[table.eta == table.eta.max()].order.isna().all() and table.order.isna().sum() == 3


RUNS = pd.DataFrame({
    "rule": "r", "seed": [0, 0, 0, 1, 1, 1], "step": [0, 1, 2] * 2, "loss": [2.0, 19.0, 4.0, 2.0, 21.0, 1e9],
    "max_over_initial": [9.5, 9.5, 9.5, 2e9, 2e9, 2e9], "status": "diverged",
})  # fmt: skip


def test_what_is_beyond_ten_times_the_first_loss_is_infinite():
    found = above_the_axis(RUNS, ["rule", "seed"])
    assert found.loss.tolist() == [2.0, 19.0, 4.0, 2.0, np.inf, np.inf]
    assert found.max_over_initial.tolist() == [9.5] * 3 + [np.inf] * 3


def test_there_is_a_mean_only_where_all_seeds_are_on_the_axis_and_a_run_leaves_it_once():
    found = over_seeds(above_the_axis(RUNS, ["rule", "seed"]), ["rule"]).set_index("step")
    assert found.index.tolist() == [0, 1] and found.num_gone.tolist() == [0, 1]
    assert found["mean"].tolist()[0] == 2.0 and found.loc[1, ["mean", "low", "high"]].isna().all()
    back = RUNS.assign(loss=[2.0, 19.0, 4.0, 2.0, 21.0, 8.0])  # the second seed comes back
    found = over_seeds(above_the_axis(back, ["rule", "seed"]), ["rule"]).set_index("step")
    assert found.loc[2, ["mean", "low", "high"]].tolist() == [6.0, 4.0, 8.0] and found.num_gone.tolist() == [0, 1, 0]


def test_a_run_that_has_stopped_leaves_no_mean_of_the_others():
    stopped = above_the_axis(RUNS, ["rule", "seed"])[:5]  # the second seed has no row at step 2
    found = over_seeds(stopped, ["rule"])
    assert found.step.tolist() == [0, 1] and found["mean"].notna().tolist() == [True, False]


def test_two_rows_of_a_run_at_one_step_are_no_second_seed():
    early = above_the_axis(RUNS, ["rule", "seed"]).assign(step=[1, 1, 2] * 2)  # as on an axis that starts at 1
    early = early.assign(loss=[2.0, 4.0, 4.0, 2.0, 4.0, 6.0])
    assert over_seeds(early, ["rule"])["mean"].tolist() == [3.0, 5.0]


def test_curves_that_runs_leave_are_counted_with_what_becomes_of_them():
    runs = above_the_axis(RUNS.assign(status=["finite"] * 3 + ["diverged"] * 3), ["rule", "seed"])
    calm = runs[runs.seed == 0].assign(rule="calm")
    (row,) = leaving_curves(pd.concat([runs, calm]), ["rule"]).itertuples(index=False)
    assert tuple(row) == ("r", 2, 1, 1)


def test_ends_of_runs_are_their_first_and_last_step():
    found = ends_of_runs(RUNS.sample(frac=1, random_state=0), ["rule", "seed"]).sort_values("seed")
    assert found["first"].tolist() == [2.0, 2.0] and found["last"].tolist() == [4.0, 1e9]
    assert found.rise.tolist() == [9.5, 2e9]


def test_slopes_are_those_of_the_last_decade_alone():
    steps = np.array([0, 10, 100, 300, 1000])
    one = pd.DataFrame({"rule": "r", "scale": 1.0, "seed": 0, "step": steps, "loss": [9.0, 0.2, 0.1, 0.1 / 3, 0.01]})
    found = last_decade_slopes(pd.concat([one, one.assign(seed=1, loss=one.loss**0.5)]), "scale")[("r", 1.0)]
    assert found.value == pytest.approx(-0.75) and found.n == 2


def test_levels_are_told_with_their_power_and_their_own_mean():
    steps = np.array([0, 10, 100, 1000])
    flat = pd.DataFrame({"rule": "r", "scale": 0.3, "seed": 0, "step": steps, "loss": [9.0, 5.0, 2.0, 2.0]})
    rising = flat.assign(scale=1.0, loss=[9.0, 5.0, 1.0, 10.0])
    found = last_decade_means(pd.concat([rising, flat]), "scale")
    assert found == [(0.3, pytest.approx(0, abs=1e-12), 2.0), (1.0, pytest.approx(1), 5.5)]


STABLE = pd.DataFrame({
    "omega": [0, 0, 15, 15], "grad_norm": [1.0, 10.0] * 2, "eta_stable": [2.0, 0.2, 0.5, 0.1],
    "bound_corrected": [1.0, 0.19, 0.45, 0.05],
})  # fmt: skip


def test_compression_is_judged_from_one_omega_to_the_next_where_it_costs_least():
    assert loss_by_compression(STABLE) == pytest.approx(2)
    between = STABLE[STABLE.omega == 15].assign(omega=3, eta_stable=[1.0, 0.09])
    assert loss_by_compression(pd.concat([STABLE, between])) == pytest.approx(0.9)


def test_the_largest_step_and_the_classical_condition_are_told_in_units_of_the_corrected_one():
    found = over_corrected(STABLE.assign(bound_classical=[1.99, 0.21, 0.49, 0.2]))
    assert found.stable.tolist() == pytest.approx([2.0, 0.2 / 0.19, 0.5 / 0.45, 2.0])
    assert found.classical.tolist() == pytest.approx([1.99, 0.21 / 0.19, 0.49 / 0.45, 4.0])
    assert found.admits_unstable.tolist() == [0, 1, 0, 1]


def test_rules_of_one_seed_are_averaged_before_seeds_are_counted():
    runs = pd.DataFrame({"seed": [0, 0, 1, 1, 2, 2], "status": ["diverged", "finite"] + ["diverged"] * 4})
    found = over_rules_and_seeds(pd.Series([1.0, 3.0, 4.0, 4.0, 5.0, 7.0]), runs)
    assert (found.value, found.n) == (4, 3) and found.noise == pytest.approx(2 / 3**0.5)
    share = diverged_over_seeds(runs)
    assert (share.value, share.n) == (pytest.approx(5 / 6), 3)
    assert diverged_over_seeds(runs[runs.seed > 0]) == share_of(2, 2)


def test_ratios_of_samples_have_the_errors_of_both():
    rows = pd.DataFrame({"var_mc": [2.0, 1.0], "standard_error": [0.02, 0.01]}, index=["discrete", "corrected"])
    found = sampled_ratios(rows, "discrete", 50)["corrected"]
    assert found.value == 0.5 and found.noise == pytest.approx(0.5 * 0.01 * 2**0.5) and found.n == 50


def test_a_gap_counts_the_smaller_number_of_repetitions():
    found = gap(Estimate(2.0, 0.3, n=6), Estimate(1.0, 0.4, n=3))
    assert (found.value, found.noise, found.n) == (1.0, pytest.approx(0.5), 3)


def test_boundaries_are_compared_with_what_was_measured():
    rows = pd.DataFrame({
        "eta_star_measured": [1.0, 2.0], "eta_star_theory": [1.0, 1.9], "eta_star_classical": [5.0, 3.0],
        "ci_low": [0.98, 1.96], "ci_high": [1.02, 2.04], "kappa": [1.5, 1.9],
    })  # fmt: skip
    largest, classical = boundary_errors(rows, 100)
    assert (largest.value, classical.value) == pytest.approx((2 / 1.9 - 1, 0.5))
    assert largest.noise == pytest.approx(0.04 / 1.96 / 1.9)
    assert boundary_errors(rows.assign(eta_star_measured=rows.eta_star_theory), 100)[0].value == 0

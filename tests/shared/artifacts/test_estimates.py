"""Estimates: standard errors over what was repeated, by closed forms and by brute force."""

import math

import numpy as np
import pytest

from shared.artifacts.estimates import (
    UNKNOWN,
    Estimate,
    bootstrap,
    difference,
    from_spread,
    from_standard_error,
    log_log_slope,
    mean_of,
    paired_difference,
    quantile,
    ratio,
    share_of,
    wilson_interval,
)
from shared.base.seeding import numpy_generator


def test_quantiles_are_those_of_the_tables():
    assert math.isclose(quantile(0.975, 2), 4.302653, rel_tol=1e-6)
    assert math.isclose(quantile(0.975), 1.959964, rel_tol=1e-6)


def test_a_mean_has_the_standard_error_of_its_sample():
    found = mean_of([1.0, 2.0, 6.0])
    assert (found.value, found.dof, found.n) == (3.0, 2, 3)
    assert math.isclose(found.noise, math.sqrt(7 / 3))
    assert math.isclose(found.margin(), 4.302653 * math.sqrt(7 / 3), rel_tol=1e-6)


def test_one_repetition_leaves_the_spread_unknown_and_none_leaves_no_value():
    assert math.isnan(mean_of([1.0]).noise) and mean_of([1.0]).margin() == math.inf
    assert math.isnan(mean_of([]).value)
    assert math.isnan(from_spread(1.0, math.nan, 1).noise)
    assert Estimate(1.0).margin() == 0.0


def test_seeds_that_all_diverge_agree_and_some_that_do_leave_the_mean_unknown():
    assert mean_of([math.inf, math.inf]).margin() == 0.0
    assert math.isnan(mean_of([1.0, math.inf]).noise)


def test_pairs_cancel_what_their_seed_has_in_common():
    shift = np.array([0.0, 10.0, -7.0])
    found = paired_difference(shift + np.array([1.0, 1.1, 0.9]), shift)
    assert math.isclose(found.value, 1.0) and math.isclose(found.noise, 0.1 / math.sqrt(3))
    with pytest.raises(ValueError, match="equally many"):
        paired_difference([1.0], [1.0, 2.0])


def test_independent_errors_add_in_squares_and_an_exact_one_adds_nothing():
    one, other = from_standard_error(5.0, 0.3), from_standard_error(1.0, 0.4)
    assert math.isclose(difference(one, other).noise, 0.5) and difference(one, other).value == 4.0
    assert difference(one, Estimate(1.0)).noise == 0.3
    assert difference(Estimate(2.0), Estimate(1.0)).noise is None
    assert math.isnan(difference(one, Estimate(1.0, UNKNOWN)).noise)


def test_degrees_of_freedom_are_welchs():
    """Equal variances and equal n: 2 (n - 1); one exact side: those of the other."""
    one, other = from_spread(1.0, 2.0, 5), from_spread(0.0, 2.0, 5)
    assert math.isclose(difference(one, other).dof, 8.0)
    assert math.isclose(difference(one, Estimate(0.0)).dof, 4.0)


@pytest.mark.parametrize("combined", [difference, ratio])
def test_a_combination_has_the_fewest_repetitions_of_its_parts(combined):
    few, many = from_spread(1.0, 2.0, 3), from_spread(2.0, 2.0, 5)
    assert combined(few, many).n == combined(many, few).n == combined(few, Estimate(1.0)).n == 3
    assert combined(few, from_standard_error(1.0, 0.1)).n == 3  # which draws the other has is not told
    assert combined(from_spread(1.0, UNKNOWN, 1), many).n == 1
    assert combined(Estimate(2.0), Estimate(1.0)).n is None


@pytest.mark.parametrize("stds", [(1.0, 1.0), (1.0, 9.0), (9.0, 1.0)])
def test_a_difference_has_no_fewer_degrees_of_freedom_than_its_smaller_sample(stds):
    found = difference(from_spread(0.0, stds[0], 3), from_spread(0.0, stds[1], 5))
    assert 3 - 1 <= found.dof <= 3 + 5 - 2


def test_the_number_of_repetitions_decides_nothing():
    assert Estimate(1.0, 0.5, 4, 5).margin() == Estimate(1.0, 0.5, 4).margin() == Estimate(1.0, 0.5, 4, 50).margin()


def test_the_noise_of_a_ratio_is_that_of_many_draws():
    draw = numpy_generator(0, "ratio")
    values = draw.normal(10, 0.1, 200_000) / draw.normal(4, 0.05, 200_000)
    found = ratio(from_standard_error(10, 0.1), from_standard_error(4, 0.05))
    assert math.isclose(found.value, 2.5) and math.isclose(found.noise, values.std(), rel_tol=0.01)


def test_scaling_and_negation_keep_the_noise_positive():
    found = -Estimate(2.0, 0.5, 3, 4).scaled(-3)
    assert (found.value, found.noise, found.dof, found.n) == (6.0, 1.5, 3, 4)


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (7, 20), (20, 20)])
def test_a_share_is_as_sure_as_its_score_interval_is_wide(successes, trials):
    found, (low, high) = share_of(successes, trials), wilson_interval(successes, trials)
    assert found.noise > 0 and found.n == trials
    assert found.value - found.margin() <= low + 1e-12 and found.value + found.margin() >= high - 1e-12


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    items = numpy_generator(0, "items").normal(size=200)
    found = bootstrap(items, np.mean, num_draws=2000)
    assert math.isclose(found.noise, items.std() / math.sqrt(200), rel_tol=0.08)  # 2000 draws: 1.6%, five sigma
    assert found == bootstrap(items, np.mean, num_draws=2000)
    assert math.isnan(bootstrap([1.0], np.mean).noise)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Four normal draws, t with 3 degrees of freedom: 95% of 4000 intervals, give or take four standard errors."""
    draws = numpy_generator(0, "coverage").normal(size=(4000, 4))
    covered = np.mean([abs(e.value) <= e.margin() for e in map(mean_of, draws)])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_the_slope_of_a_power_law_is_its_exponent_with_the_error_of_its_points():
    x = np.array([1.0, 10.0, 100.0])
    found = log_log_slope(x, 5 * x**-0.5, 0.05 * x**-0.5)
    assert found.value == pytest.approx(-0.5)
    # centred logs are -L, 0, L with L = log 10: the weights are -1 / (2 L), 0, 1 / (2 L), each point has 1 %
    assert found.noise == pytest.approx(0.01 * math.sqrt(2) / (2 * math.log(10)))

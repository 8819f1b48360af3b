"""Rows of one magnitude on the line: the theorem, its proof's ingredients, the cycle above gamma = 2."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papers.logistic_gd.descent import descend, gd_step
from papers.logistic_gd.logistic import Data, minimizer
from papers.logistic_gd.orbits import CONVERGED, cycle_jacobian, follow
from papers.logistic_gd.scalar_map import (
    cycle_multiplier,
    doubling_gamma,
    gap,
    invariant_interval,
    iterate,
    period_two_roots,
    slope,
    step,
    step_ratios,
    two_cycle,
)


def line_data(positive: int, negative: int, a: float = 1.0) -> Data:
    return Data(np.array([[a], [-a]]), np.array([positive, negative]))


def test_the_map_is_gradient_descent_in_the_variable_u():
    data = line_data(6, 2, a=0.3)
    w = np.linspace(-9, 9, 7)[:, None]
    stepped = gd_step(w, data.z, data.weights, minimizer(data).eta(1.8))
    np.testing.assert_allclose(0.3 * stepped[:, 0], step(0.3 * w[:, 0], 3, 1.8), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(0.05, 1.98), st.floats(-60, 60))
def test_every_start_converges_below_two(c, gamma, start):
    u, _ = iterate(np.array([start, math.log(c) + 1e-3]), c, gamma, 40_000)
    # rounding of tanh, times gamma / (p (1 - p)) and the 1 / (2 - gamma) <= 50 that geometric decay adds
    assert np.abs(u - math.log(c)).max() < 1e-9 * max(1.0, c, 1 / c)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.data(), st.sampled_from([1.0, 1.7, 1.95]))
def test_adversarial_equal_norm_sets_on_the_line_converge(counts, data, gamma):
    signs = data.draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=len(counts), max_size=len(counts)))
    signs[0], signs[1] = 1.0, -1.0
    rows = Data(np.array(signs)[:, None], np.array(counts))
    solution = minimizer(rows)
    starts = np.concatenate([np.linspace(-50, 50, 41), solution.w + np.linspace(-3, 3, 20)])[:, None]
    end = descend(starts, rows.z, rows.weights, solution.eta(gamma), 800)
    assert np.abs(end - solution.w).max() < 1e-8  # 0.95^800 is 1e-18; the walk in from 50 takes tens of steps


def test_brute_force_on_tiny_sets_finds_no_cycle():
    for positive, negative in itertools.combinations_with_replacement(range(1, 7), 2):
        data = line_data(positive, negative)
        solution = minimizer(data)
        starts = np.linspace(-30, 30, 61)[:, None]
        gammas = np.array([1.0, 1.5, 1.9, 1.99])
        fate = follow(
            np.tile(starts, (4, 1, 1)),
            np.tile(data.z, (4, 1, 1)),
            np.tile(data.weights, (4, 1)),
            np.tile(solution.eta(gammas)[:, None], (1, 61)),
            np.tile(solution.w, (4, 1)),
            num_steps=700,
            max_rounds=6,
        )
        assert (fate.outcome == CONVERGED).all(), (positive, negative)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(0.01, 0.999))
def test_the_gap_exceeds_its_linear_bound_and_is_the_difference_of_logits(p, fraction):
    delta = fraction * min(p, 1 - p)
    assert gap(delta, p) > 2 * delta / (p * (1 - p))
    high, low = p + delta, p - delta
    expected = math.log(high / (1 - high)) - math.log(low / (1 - low))
    assert gap(delta, p) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("c", "gamma"), [(1, 2.3), (3, 2.1), (3, 2.5), (0.2, 2.4), (50, 2.2)])
def test_above_two_the_closed_form_is_a_cycle_and_attracts(c, gamma):
    low, high = two_cycle(c, gamma)
    assert step(low, c, gamma) == pytest.approx(high, abs=1e-11 * max(c, 1 / c))
    assert step(high, c, gamma) == pytest.approx(low, abs=1e-11 * max(c, 1 / c))
    u, _ = iterate(np.array([low + 0.1]), c, gamma, 5000)
    assert min(abs(u[0] - low), abs(u[0] - high)) < 1e-9 * max(c, 1 / c)


def test_the_multiplier_is_the_product_of_jacobians():
    low, high = two_cycle(3, 2.4)
    data = line_data(3, 1)
    jacobian = cycle_jacobian(np.array([[low], [high]]), data.z, data.weights, minimizer(data).eta(2.4))
    assert jacobian[0, 0] == pytest.approx(cycle_multiplier(3, 2.4), rel=1e-9)
    assert jacobian[0, 0] == pytest.approx(float(slope(low, 3, 2.4) * slope(high, 3, 2.4)), rel=1e-9)


@pytest.mark.parametrize(
    ("c", "gamma", "low", "high"),
    [
        (2, 2.796945, -0.516968, 3.172127),
        (3, 2.635172, 0.178510, 3.066527),
        (5, 2.572651, 0.862341, 3.273746),
        (9, 2.547142, 1.547263, 3.683520),
    ],
)
def test_the_cycle_doubles_at_the_derived_gamma(c, gamma, low, high):
    found = doubling_gamma(c)
    assert found == pytest.approx(gamma, abs=1e-6)
    assert two_cycle(c, found) == pytest.approx((low, high), abs=1e-5)


def test_balanced_data_never_double():
    assert all(0 < cycle_multiplier(1, gamma) < 1 for gamma in np.linspace(2.05, 9, 60))
    with pytest.raises(ValueError, match="never doubles"):
        doubling_gamma(1)
    with pytest.raises(ValueError, match="gamma > 2 only"):
        two_cycle(3, 2.0)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 1.9, 2.0, 2.05, 2.5])
def test_interval_bisection_finds_one_root_up_to_two_and_three_above(gamma):
    roots, width = period_two_roots(3, gamma)
    assert roots == (3 if gamma > 2 else 1)
    assert width < (1e-3 if gamma == 2 else 1e-5)  # at 2 the root is triple


def test_the_interval_absorbs():
    low, high = invariant_interval(3, 1.9)
    u = np.linspace(low, high, 10_001)
    stepped = step(u, 3, 1.9)
    assert low < stepped.min() and stepped.max() < high
    far, _ = iterate(np.array([-500.0, 500.0]), 3, 1.9, 2000)
    assert np.abs(far - math.log(3)).max() < 1e-9


@pytest.mark.parametrize(
    ("c", "gamma", "right", "left", "one_left"),
    [(1, 1.8, 0.9928, 0.9928, 0.9964), (3, 1.8, 0.9952, 0.9856, 1.2369), (9, 1.8, 0.9960, 2.3503, 2.9476)],
)
def test_two_steps_contract_from_the_right_and_one_step_need_not_from_the_left(c, gamma, right, left, one_left):
    distances = np.logspace(-4, 3, 20001)
    assert step_ratios(c, gamma, distances, 1, 2).max() == pytest.approx(right, abs=1e-4)
    assert step_ratios(c, gamma, distances, -1, 2).max() == pytest.approx(left, abs=1e-4)
    assert step_ratios(c, gamma, distances, -1, 1).max() == pytest.approx(one_left, abs=1e-4)

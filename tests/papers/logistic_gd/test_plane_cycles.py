"""Cycles: found, polished, told apart from slow convergence, and proved."""

import math

import numpy as np
import pytest
from mpmath.ctx_mp import MPContext

from papers.logistic_gd import certify
from papers.logistic_gd.certify import MINIMISER_RADIUS, above, below, certify_cycle
from papers.logistic_gd.descent import orbit
from papers.logistic_gd.families import UNEQUAL, Row, as_data, two_walls, two_walls_unequal
from papers.logistic_gd.logistic import Data, loss, minimizer
from papers.logistic_gd.orbits import CONVERGED, CYCLE, SLOW, UNDECIDED, follow, is_stable_cycle, minimal_period, polish
from shared.base.seeding import numpy_generator

S = two_walls(14, 5, 3000, 1)
CYCLES = [  # rows, gamma, a point of the cycle, spectral radius
    (S, 1.85, [2.514810, 9.158055], 0.612),
    (S, 1.9, [3.135136, 9.685700], 0.793),
    (S, 1.99, [3.662945, 10.317193], 0.791),
    (two_walls(14, 5, 10000, 1), 1.75, [3.334885, 10.781129], 0.849),
    (two_walls(20, 4, 165, 1), 1.98, [1.760041, 5.986711], 0.862),
    (two_walls_unequal(), 0.9, [12.510265, 26.688949], 0.745),
]
LINE_CYCLES = [
    ("A", 1.9, [0.988413, -13.950887], 0.432),
    ("A", 1.95, [1.650375, -15.819157], 0.152),
    ("C", 1.5, [176.487277, 49.330605, -5.608478], 0.157),
    ("D", 1.4, [292.464058, 63.151292, -7.534880], 0.077),
]


def fate_of(rows, gamma, starts, **options):
    data = as_data(rows) if isinstance(rows, list) else rows
    solution = minimizer(data)
    options = {"num_steps": 1000, "max_rounds": 5} | options
    eta = np.full((1, len(starts)), solution.eta(gamma))
    return follow(starts[None], data.z[None], data.weights[None], eta, solution.w[None], **options), solution


@pytest.mark.parametrize(("rows", "gamma", "point", "radius"), CYCLES)
def test_plane_cycles_are_reached_returned_to_and_proved(rows, gamma, point, radius):
    start = np.array(point) + 1e-3 * numpy_generator(0, "perturb").standard_normal((5, 2))
    fate, solution = fate_of(rows, gamma, start)
    assert (fate.outcome == CYCLE).all() and (fate.period == 2).all()
    (cycle,) = {id(c): c for c in fate.cycles[0]}.values() if len(fate.cycles[0]) == 1 else fate.cycles[0][:1]
    place = cycle.points[np.argmax(cycle.points[:, 0])]
    np.testing.assert_allclose(place, point, atol=2e-6)
    assert cycle.spectral_radius == pytest.approx(radius, abs=6e-4)
    assert cycle.residual < 1e-10
    certificate = certify_cycle(rows, str(gamma), cycle.points)
    assert certificate.certified and certificate.distance > 0.5
    assert certificate.lambda_low <= solution.sharpness * (1 + 1e-12) <= certificate.lambda_high * (1 + 2e-12)


@pytest.mark.parametrize(("name", "gamma", "points", "multiplier"), LINE_CYCLES)
def test_line_cycles_have_the_derived_points_and_are_proved(name, gamma, points, multiplier):
    data = as_data(UNEQUAL[name])
    cycle = polish(np.array(points[:1]), len(points), data.z, data.weights, minimizer(data).eta(gamma))
    np.testing.assert_allclose(cycle.points[:, 0], points, atol=2e-6)
    assert cycle.spectral_radius == pytest.approx(multiplier, abs=1e-3)
    certificate = certify_cycle(UNEQUAL[name], str(gamma), cycle.points)
    assert certificate.certified and certificate.period == len(points)


def test_a_long_cycle_is_proved_too():
    starts = np.linspace(-350, 350, 41)[:, None]
    fate, _ = fate_of(UNEQUAL["C"], 1.45, starts, num_steps=2000, max_rounds=3)
    cycle = fate.cycles[0][0]
    assert cycle.period == 34
    assert certify_cycle(UNEQUAL["C"], "1.45", cycle.points).certified


@pytest.mark.parametrize(("name", "gamma"), [("A", 1.85), ("C", 1.4), ("D", 1.3)])
def test_just_below_their_gamma_the_line_sets_converge(name, gamma):
    w_star = abs(minimizer(as_data(UNEQUAL[name])).w[0])
    fate, _ = fate_of(UNEQUAL[name], gamma, np.linspace(-40, 40, 81)[:, None] * w_star)
    assert (fate.outcome == CONVERGED).all()


def test_near_the_minimiser_the_same_step_converges():
    solution = minimizer(as_data(S))
    near = solution.w + 0.07 * numpy_generator(0, "near").uniform(-1, 1, (100, 2))
    fate, _ = fate_of(S, 1.99, near)
    assert (fate.outcome == CONVERGED).all()


def test_all_rows_of_the_two_walls_have_norm_one():
    for rows in (S, two_walls(20, 4, 165, 1), two_walls(33.3, 2, 7, 3)):
        assert np.abs(np.linalg.norm(as_data(rows).z, axis=1) - 1).max() <= 1e-15


def test_mirrored_starts_have_mirrored_orbits():
    for rows, gamma in ((S, 1.9), (two_walls_unequal(), 0.9)):
        data = as_data(rows)
        eta = minimizer(data).eta(gamma)
        left, right = (orbit(np.array([[s * 3.0, 9.0]]), data.z, data.weights, eta, 60) for s in (-1, 1))
        np.testing.assert_allclose(left * [-1, 1], right, atol=1e-9)


def test_the_loss_is_constant_on_a_symmetric_cycle_and_above_its_minimum():
    data = as_data(S)
    solution = minimizer(data)
    cycle = polish(np.array([3.135136, 9.6857]), 2, data.z, data.weights, solution.eta(1.9))
    losses = loss(cycle.points, data.z, data.weights)
    assert np.ptp(losses) < 1e-14
    assert losses.min() > loss(solution.w[None], data.z, data.weights)[0] + 1e-3
    assert abs(cycle.points[:, 0].mean()) < 1e-10


def test_polishing_keeps_unstable_cycles_and_the_test_refuses_them():
    data = as_data(two_walls(14, 5, 3000, 1))
    solution = minimizer(data)
    fixed = polish(solution.w + 1e-3, 2, data.z, data.weights, solution.eta(1.9))
    assert fixed.residual < 1e-12 and not is_stable_cycle(fixed, solution.w)  # the minimiser is no 2-cycle
    z, weights = np.array([[1.0], [-1.0]]), np.array([0.75, 0.25])
    c3 = minimizer(Data(z, np.array([3, 1])))
    unstable = polish(np.array([0.2]), 2, z, weights, c3.eta(2.8))  # beyond its doubling at 2.635
    assert unstable.residual < 1e-12 and unstable.spectral_radius > 1
    assert not is_stable_cycle(unstable, c3.w)


def test_slow_convergence_is_no_cycle():
    rng = numpy_generator(0, "slow")
    rows = rng.standard_normal((12, 2)) * [1.0, 0.02]  # condition number of some thousands
    data = Data(np.vstack([rows, -rows[:8]]), np.ones(20, int))
    fate, solution = fate_of(data, 1.9, np.array([[3.0, 40.0], [1.0, -60.0]]), num_steps=100, max_rounds=5)
    assert solution.eigenvalues[0] / solution.sharpness < 0.02
    assert set(fate.outcome.ravel()) <= {SLOW, UNDECIDED} and not fate.cycles
    long, _ = fate_of(data, 1.9, np.array([[3.0, 40.0]]), num_steps=20_000, max_rounds=5)
    assert (long.outcome == CONVERGED).all()


def test_an_orbit_that_still_moves_by_a_millionth_has_no_period_yet():
    t = np.arange(200)
    tail = ((t % 2) * (1 + 1e-6 * 0.9**t) + 1e-6 * 0.99**t)[:, None, None]
    assert minimal_period(tail).tolist() == [0] and minimal_period(tail, rtol=1e-5).tolist() == [2]


def test_minimal_period_is_the_least_one():
    t = np.arange(200)
    tail = np.stack([t % 6, (t % 2) + 3, np.zeros(200), np.sin(t)], axis=1)[..., None].astype(float)
    np.testing.assert_array_equal(minimal_period(tail), [6, 2, 1, 0])


def test_balanced_data_converge_for_all_gamma_below_two():
    z = numpy_generator(0, "balanced").standard_normal((6, 3))
    data = Data(np.vstack([z, -z]), np.ones(12, int))
    fate, solution = fate_of(data, 1.99, 10 * numpy_generator(1, "starts").standard_normal((50, 3)), max_rounds=20)
    assert np.abs(solution.w).max() < 1e-12
    assert (fate.outcome == CONVERGED).all()


def test_a_false_cycle_is_not_certified():
    data = as_data(S)
    points = np.array([[3.0, 9.0], [-3.0, 9.0]])
    assert not certify_cycle(S, "1.5", points).certified  # Newton's method goes to the minimiser, no 2-cycle
    cycle = polish(np.array([0.2]), 2, np.array([[1.0], [-1.0]]), np.array([0.75, 0.25]), 2.8 / 0.1875)
    certificate = certify_cycle([Row("1", None, 3), Row("-1", None, 1)], "2.8", cycle.points)
    assert certificate.exists and not certificate.stable
    with pytest.raises(ValueError, match="one and two dimensions"):
        certify_cycle(S, "1.9", np.zeros((2, 3)))
    assert data.num_examples == 3011


def test_points_near_no_cycle_are_refused_before_any_interval(monkeypatch):
    # Newton's steps from here grow; intervals of what they lead to would take minutes
    monkeypatch.setattr(certify, "_krawczyk", only_for_the_minimiser(certify._krawczyk))
    for points in ([[3.0, 9.0], [-3.0, 9.0]], [[50.0, -200.0], [-50.0, 300.0]], [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]):
        certificate = certify_cycle(S, "1.9", np.array(points))
        assert not certificate.exists and not certificate.stable and certificate.distance == 0


def only_for_the_minimiser(krawczyk):
    calls = []

    def counted(iv, function, centre, inverse, radius):
        calls.append(radius)
        assert set(calls) == {MINIMISER_RADIUS}
        return krawczyk(iv, function, centre, inverse, radius)

    return counted


def test_an_unstable_cycle_in_the_plane_exists_and_is_not_stable():
    # between the minimiser and the stable cycle stands another one
    data = as_data(S)
    solution = minimizer(data)
    found = [polish(np.array([a, 8.6]), 2, data.z, data.weights, solution.eta(1.9)) for a in np.linspace(1, 3, 9)]
    unstable = next(c for c in found if c.spectral_radius > 1 and abs(c.points[0] - c.points[1]).max() > 0.5)
    certificate = certify_cycle(S, "1.9", unstable.points)
    assert certificate.exists and not certificate.stable


def test_a_cycle_gone_round_twice_is_no_longer_cycle():
    rows, gamma, point, _ = CYCLES[0]
    data = as_data(rows)
    cycle = polish(np.array(point), 2, data.z, data.weights, minimizer(data).eta(gamma))
    assert certify_cycle(rows, str(gamma), cycle.points).exists
    assert not certify_cycle(rows, str(gamma), np.concatenate([cycle.points, cycle.points])).exists


def test_bounds_are_rounded_outward():
    mp = MPContext()
    mp.dps = 60
    for text in ("0.1", "-0.1", "0.5", "1e-30", "3.3"):
        value = mp.mpf(text)
        low, high = below(value), above(value)
        assert mp.mpf(low) <= value <= mp.mpf(high) and high <= math.nextafter(low, math.inf)
    certificate = certify_cycle(S, "1.9", np.array([[3.135136, 9.6857], [-3.135136, 9.6857]]))
    assert certificate.exists and certificate.lambda_high == math.nextafter(certificate.lambda_low, 1)


def test_steps_on_torch_give_the_same_fate():
    starts = numpy_generator(0, "torch").uniform([-8, 4], [8, 14], (40, 2))
    one, _ = fate_of(S, 1.95, starts)
    other, _ = fate_of(S, 1.95, starts, device="cpu")
    assert (one.outcome == CYCLE).any() and (one.outcome == CONVERGED).any()
    np.testing.assert_array_equal(one.outcome, other.outcome)

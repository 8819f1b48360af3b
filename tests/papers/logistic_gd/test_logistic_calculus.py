"""Loss, derivatives, minimiser, and what data are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize

from papers.logistic_gd.descent import descend, orbit
from papers.logistic_gd.families import UNEQUAL, as_data, two_walls, two_walls_unequal
from papers.logistic_gd.logistic import Data, gradient, hessian, is_separable, loss, make_data, minimizer, newton
from papers.logistic_gd.random_data import with_minimiser
from shared.base.seeding import numpy_generator


def random_data(d: int, m: int = 12, seed: int = 0) -> Data:
    """Rows in both half spaces, with counts."""
    rng = numpy_generator(seed, "test", d)
    z = rng.standard_normal((m, d))
    return make_data(np.vstack([z, -0.7 * z[::2]]), counts=rng.integers(1, 9, m + m // 2))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_gradient_and_hessian_are_differences_of_the_loss(d):
    data, step = random_data(d), 1e-5
    w = numpy_generator(1, "w").standard_normal((4, d))
    for axis in range(d):
        shift = np.eye(d)[axis] * step
        slope = (loss(w + shift, data.z, data.weights) - loss(w - shift, data.z, data.weights)) / (2 * step)
        bend = (gradient(w + shift, data.z, data.weights) - gradient(w - shift, data.z, data.weights)) / (2 * step)
        # central differences: truncation 1e-10, rounding 1e-11
        np.testing.assert_allclose(gradient(w, data.z, data.weights)[:, axis], slope, atol=1e-9)
        np.testing.assert_allclose(hessian(w, data.z, data.weights)[..., axis], bend, atol=1e-9)


def test_hessian_is_symmetric_and_positive_and_the_loss_convex_along_lines():
    data, rng = random_data(3), numpy_generator(2, "lines")
    w, direction = rng.standard_normal((50, 3)) * 5, rng.standard_normal((50, 3))
    h = hessian(w, data.z, data.weights)
    np.testing.assert_allclose(h, h.swapaxes(-1, -2), atol=1e-16)
    assert np.linalg.eigvalsh(h).min() > 0
    middle = loss(w, data.z, data.weights)
    ends = loss(w + direction, data.z, data.weights) + loss(w - direction, data.z, data.weights)
    assert (ends >= 2 * middle).all()


def test_no_overflow_at_large_margins():
    z, weights = np.array([[1.0], [-1.0]]), np.array([0.5, 0.5])
    w = np.array([[1e4], [-1e4]])
    np.testing.assert_allclose(loss(w, z, weights), 5e3)
    np.testing.assert_allclose(gradient(w, z, weights)[:, 0], [0.5, -0.5])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.05, 20))
def test_on_the_line_the_minimiser_and_sharpness_have_closed_forms(positive, negative, a):
    solution = minimizer(Data(np.array([[a], [-a]]), np.array([positive, negative])))
    c = positive / negative
    assert solution.w[0] == pytest.approx(np.log(c) / a, rel=1e-9, abs=1e-12 / a)
    assert solution.sharpness == pytest.approx(a**2 * c / (1 + c) ** 2, rel=1e-9)
    assert solution.grad_norm < 1e-13


def test_two_walls_have_their_minimiser_on_the_axis_at_the_root_of_the_balance():
    theta, k, heavy, light = np.radians(14), 5, 3000, 1
    solution = minimizer(as_data(two_walls(14, k, heavy, light)))
    w1, w2 = solution.w

    def sigma(t):
        return 1 / (1 + np.exp(-t))

    balance = 2 * k * np.sin(theta) * sigma(-w2 * np.sin(theta)) + heavy * sigma(-w2) - light * sigma(w2)
    assert abs(w1) < 1e-14
    assert abs(balance) < 1e-11  # of 3011 rows
    assert w2 == pytest.approx(8.340406, abs=1e-6)
    np.testing.assert_allclose(solution.eigenvalues, [2.579e-4, 3.239e-4], rtol=2e-4)


@pytest.mark.parametrize(
    ("name", "w_star", "sharpness"),
    [("A", -4.124499, 2.534792e-3), ("C", 8.735279, 9.990231e-5), ("D", 8.385753, 2.600809e-5)],
)
def test_named_sets_on_the_line_have_the_derived_minimisers(name, w_star, sharpness):
    solution = minimizer(as_data(UNEQUAL[name]))
    assert solution.w[0] == pytest.approx(w_star, abs=1e-6)
    assert solution.sharpness == pytest.approx(sharpness, rel=1e-6)


def test_many_steps_at_once_are_single_steps_to_the_bit():
    data, w = random_data(3), numpy_generator(5, "w").standard_normal((7, 3))
    eta = minimizer(data).eta(1.8)
    np.testing.assert_array_equal(
        descend(w, data.z, data.weights, eta, 20), orbit(w, data.z, data.weights, eta, 20)[-1]
    )


def test_scaling_rows_scales_the_orbit():
    data, w = random_data(2), np.array([[3.0, -1.0]])
    one = orbit(w, data.z, data.weights, minimizer(data).eta(1.7), 40)
    scaled = Data(4.0 * data.z, data.counts)
    other = orbit(w / 4, scaled.z, scaled.weights, minimizer(scaled).eta(1.7), 40)
    np.testing.assert_allclose(4 * other, one, rtol=1e-9, atol=1e-9)


def test_rotating_rows_rotates_the_orbit():
    data, w = random_data(3), np.array([[3.0, -1.0, 0.5]])
    q = np.linalg.qr(numpy_generator(3, "rotation").standard_normal((3, 3)))[0]
    turned = Data(data.z @ q.T, data.counts)
    eta = minimizer(data).eta(1.7)
    one, other = orbit(w, data.z, data.weights, eta, 40), orbit(w @ q.T, turned.z, turned.weights, eta, 40)
    np.testing.assert_allclose(other, one @ q.T, atol=1e-10)


def test_counts_are_repeated_rows_and_doubling_all_of_them_changes_nothing():
    data, w = random_data(2), numpy_generator(4, "w").standard_normal((5, 2))
    expanded = Data(np.repeat(data.z, data.counts, axis=0), np.ones(data.num_examples, int))
    doubled = Data(data.z, 2 * data.counts)
    for other in (expanded, doubled):
        for function in (loss, gradient, hessian):
            np.testing.assert_allclose(
                function(w, other.z, other.weights), function(w, data.z, data.weights), atol=1e-14
            )


def test_sum_and_mean_loss_give_one_orbit_at_one_gamma():
    data, w = random_data(2), np.array([[2.0, 1.0]])
    mean = descend(w, data.z, data.weights, minimizer(data).eta(1.9), 30)
    h = hessian(minimizer(data).w[None], data.z, data.counts.astype(float))[0]
    total = descend(w, data.z, data.counts.astype(float), 1.9 / np.linalg.eigvalsh(h)[-1], 30)
    np.testing.assert_allclose(total, mean, atol=1e-10)


def test_near_the_minimiser_the_error_contracts_at_the_linear_rate():
    data = as_data(two_walls_unequal())
    solution = minimizer(data)
    gamma = 0.5  # the slower direction then has the rate 1 - gamma lambda_min / lambda_max
    w = solution.w[None] + 1e-4 * np.array([[1.0, 1.0]])
    points = orbit(w, data.z, data.weights, solution.eta(gamma), 25)[:, 0]
    errors = np.linalg.norm(points - solution.w, axis=1)
    rate = (errors[25] / errors[5]) ** (1 / 20)
    expected = np.abs(1 - gamma * solution.eigenvalues / solution.sharpness).max()
    assert rate == pytest.approx(expected, rel=0.01)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 12))
def test_newton_and_the_linear_program_agree_on_what_is_separable(seed, d, m):
    z = numpy_generator(seed, "newton").standard_normal((1, m, d))
    _, found = newton(z, np.full((1, m), 1 / m), max_steps=150)
    assert bool(found[0]) != is_separable(z[0])


@pytest.mark.parametrize(
    ("rows", "counts"), [([0.8243, -0.00358, 0.0991], [1, 1, 1]), ([1.0, 0.01, -0.01], [1, 60, 40])]
)
def test_a_minimiser_beyond_margins_of_thirty_is_found(rows, counts):
    z, counts = np.array(rows), np.array(counts)
    w = minimizer(Data(z[:, None], counts)).w[0]
    root = brentq(lambda u: (counts * z / (1 + np.exp(z * u))).sum(), 0, 100, xtol=1e-12)
    assert np.abs(z * root).max() > 30
    assert w == pytest.approx(root, rel=1e-12)


def test_newton_finds_the_minimiser_where_full_steps_alone_run_away():
    z = np.array([[8.26, 13.93], [-14.3, -0.77], [0.01, 0.02], [0.03, 0.08], [2.73, 5.2], [0.06, -0.35]])
    data = Data(z, np.array([323, 3, 5, 97, 1091, 144]))
    other = minimize(lambda w: loss(w[None], z, data.weights)[0], np.zeros(2), method="Nelder-Mead", tol=1e-10)
    np.testing.assert_allclose(minimizer(data).w, other.x, atol=1e-5)  # the square root of its loss's rounding


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1, 0], [-1, 0], [1, 1]], "are separable"),  # by a plane that two of them lie on
        ([[1, 0], [-1, 0], [0, 1], [0, -1e-14]], "float64 cannot decide"),
    ],
)
def test_what_float64_cannot_decide_is_not_called_separable(rows, words):
    with pytest.raises(ValueError, match=words):
        minimizer(Data(np.array(rows, float), np.ones(len(rows), int)))


@pytest.mark.parametrize(
    ("rows", "kwargs", "message"),
    [
        ([[1.0], [np.nan]], {}, "nan"),
        ([[1.0], [-1.0]], {"labels": [1, 0]}, "labels have to be -1 or \\+1; got 0"),
        ([[1.0], [2.0]], {}, "separable"),
        ([[1.0, 0.0], [-1.0, 0.0]], {}, "span less"),
        ([[1.0], [-1.1]], {"sphere": True}, "no sphere"),
        ([[1.0], [-1.0]], {"counts": [1, 0]}, "positive integers"),
        ([[1.0], [-1.0]], {"counts": [1, 1.5]}, "positive integers"),
    ],
)
def test_unfit_data_are_refused_with_the_reason(rows, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_data(np.array(rows), **kwargs)


def test_an_intercept_column_breaks_the_sphere():
    angles = np.linspace(0, 6, 9)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.where(np.arange(9) % 2, 1, -1)
    assert make_data(rows, labels, sphere=True).num_examples == 9
    with pytest.raises(ValueError, match="intercept"):
        make_data(np.vstack([np.hstack([rows, np.ones((9, 1))]), [[1.0, 0.0, 0.0]]]), sphere=True)


def test_gamma_has_to_be_positive_and_separable_data_have_no_solution():
    solution = minimizer(random_data(2))
    with pytest.raises(ValueError, match="gamma has to be positive"):
        solution.eta(0.0)
    with pytest.raises(ValueError, match="data are separable"):
        minimizer(Data(np.array([[1.0], [2.0]]), np.array([1, 1])))


@pytest.mark.parametrize(("low", "w_star"), [(1e-9, 21.41641301), (1e-12, 28.3241683), (1e-15, 35.23192358)])
def test_near_separable_data_are_taken_at_every_door(low, w_star):
    data = make_data([[1.0], [-low]])
    assert minimizer(data).w == pytest.approx([w_star])
    batch = with_minimiser(data.z[None], data.counts[None].astype(float))
    assert batch.w_star[0] == pytest.approx([w_star]) and batch.num_separable == batch.num_open == 0


def around(edge: float) -> np.ndarray:
    """Five unit rows over a half circle and `edge` beyond it on both sides."""
    angles = np.array([-edge, 0.7, 1.5, 2.4, np.pi + edge])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_a_half_circle_and_a_little_more_is_not_separable_and_a_little_less_is():
    assert np.linalg.norm(minimizer(make_data(around(1e-10))).w) > 30
    assert not is_separable(around(1e-10))
    for edge in (-1e-10, -1e-3):
        with pytest.raises(ValueError, match="are separable"):
            make_data(around(edge))


def test_what_newton_cannot_tell_is_open_and_not_separable():
    z = around(1e-14)  # a minimiser too far out for float64
    with pytest.raises(ValueError, match="float64 cannot decide"):
        make_data(z)
    batch = with_minimiser(np.stack([z, around(-1e-3)]), np.ones((2, 5)))
    assert (batch.num_open, batch.num_separable) == (1, 1)


def test_rows_that_a_plane_holds_are_separable_in_any_position():
    rng = numpy_generator(0, "turned")
    for _ in range(5):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        assert is_separable(np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -0.5, 0], [0, 0, 1.0]]) @ turn)

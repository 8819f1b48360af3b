"""Constants and bounds: closed forms against Monte Carlo, limits, monotonicity, refusals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from papers.distributed_sde.models import student_density, student_sign_mean
from papers.distributed_sde.theory import (
    dcsgd_bound,
    dsign_bound,
    equal_clients,
    lower_slope,
    mean_square_threshold,
    parabola_second_moment,
    second_moment_constants,
    sign_floor,
    sign_floor_median,
    sign_mean,
    sign_slope,
    stationary_variance,
)
from papers.distributed_sde.toys import TOYS, Toy
from shared.base.seeding import numpy_generator
from shared.optim.compression import Bernoulli
from shared.optim.distributed import DistributedMethod, dsignsgd
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise

F64 = torch.float64
U = np.linspace(-6, 6, 49)


@pytest.mark.parametrize("nu", [1.0, 2.0, 3.0, 5.0, math.inf])
def test_three_forms_of_the_sign_mean_agree(nu):
    law = stats.norm if math.isinf(nu) else stats.t(nu)
    expected = 2 * law.cdf(U) - 1
    assert np.abs(sign_mean(U, nu) - expected).max() < 1e-12
    assert np.abs(student_sign_mean(torch.tensor(U), nu).numpy() - expected).max() < 1e-12
    assert np.abs(student_density(torch.tensor(U), nu).numpy() - law.pdf(U)).max() < 1e-12
    step = 1e-6
    assert float(sign_mean(step, nu)) / step == pytest.approx(sign_slope(nu), rel=1e-9)


def test_heavy_tails_become_gaussian():
    assert np.abs(sign_mean(U, 1e7) - sign_mean(U, math.inf)).max() < 1e-6


def test_published_slopes():
    # as listed for nu = 1, 2, 3, 5; ell_nu at u_max = 1 for nu = 1 and 3
    assert [round(sign_slope(nu), 6) for nu in (1, 2, 3, 5)] == [0.63662, 0.707107, 0.735105, 0.759213]
    assert lower_slope(1) == pytest.approx(0.5) and lower_slope(3) == pytest.approx(0.609, abs=1e-3)


def test_second_moment_of_heterogeneous_clients():
    omega, s0, s1 = (0.0, 1.0, 3.0, 7.0), (0.1, 0.2, 0.3, 0.4), (0.05, 0.1, 0.15, 0.2)
    kappa, noise = second_moment_constants(10, omega, s0, s1)
    method = DistributedMethod(1.0, 4, GradientNoise(additive=s0, relative=s1), Bernoulli.with_omega(omega))
    g = torch.linspace(-1, 2, 10, dtype=F64)
    u = method.message_mean(g.expand(200_000, 10), joint_draws(0))
    expected = kappa * float(g.square().sum()) + noise
    assert float(u.square().sum(-1).mean()) == pytest.approx(expected, rel=0.01)


def test_one_step_ratio_on_the_quadratic():
    kappa, noise = equal_clients(20, 8, 4.0, 0.0, 0.3)
    assert (kappa, noise) == (pytest.approx(2.625), 0.0)
    star = mean_square_threshold(1.0, kappa)
    assert star == pytest.approx(0.761905, abs=1e-6)
    method = DistributedMethod(1.0, 8, GradientNoise(relative=0.3), Bernoulli.with_omega(4.0))
    x = torch.full((20_000, 20), 20**-0.5, dtype=F64)
    u = method.message_mean(x, joint_draws(1))
    for factor, expected in ((0.9, 0.8629), (1.0, 1.0), (1.1, 1.1676)):
        eta = factor * star
        assert 1 - 2 * eta + eta**2 * kappa == pytest.approx(expected, abs=1e-4)
        measured = (x - eta * u).square().sum(-1)
        assert float(measured.mean()) == pytest.approx(expected, abs=4 * float(measured.std()) / 20_000**0.5)


def test_bound_limits():
    assert dcsgd_bound(2.0, 0.0, 5.0, 1.0, 0.0, 1 - 1e-12).corrected == pytest.approx(1.0)  # 2 / L0
    assert dcsgd_bound(2.0, 0.0, 5.0, 1.0, 0.0, 0.5).classical == math.inf
    # bounded variance, classical: eta eta_t < 2 eps N / (L1 d s0^2)
    kappa, noise = equal_clients(7, 3, 0.0, 1.5, 0.0)
    assert dcsgd_bound(1.0, 2.0, 1.0, kappa, noise, 0.5).classical == pytest.approx(2 * 0.5 * 3 / (2 * 7 * 1.5**2))
    assert dsign_bound(1.0, 0.0, 4, 2, 1.0, 1.0).classical == math.inf


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 50), st.floats(0, 100), st.floats(0, 3), st.floats(0, 3), st.floats(1.01, 4))
def test_the_constraint_relaxes_with_n_and_tightens_with_the_rest(d, num_clients, omega, s0, s1, factor):
    def bound(d=d, num_clients=num_clients, omega=omega, s1=s1):
        kappa, noise = equal_clients(d, num_clients, omega, s0, s1)
        return dcsgd_bound(4.0, 3.0, 1.0, kappa, noise, 0.5).corrected

    same = bound() * (1 + 1e-12)
    assert bound(num_clients=2 * num_clients) * (1 + 1e-12) >= bound()
    assert bound(d=2 * d) <= same and bound(omega=factor * omega) <= same and bound(s1=factor * s1) <= same
    assert 0 < bound() < math.inf


@pytest.mark.parametrize("nu", [1.0, 3.0])
def test_the_constraint_of_sign_steps_relaxes_with_n_and_tightens_with_dimension_and_noise(nu):
    def bound(d=16, num_clients=8, scale=0.5):
        return dsign_bound(4.0, 3.0, d, num_clients, scale, nu).corrected

    assert bound(num_clients=16) > bound() > max(bound(d=32), bound(scale=1.0)) > 0


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 1.5), st.floats(0.1, 1.0), st.floats(0.1, 3), st.integers(1, 16), st.floats(0, 3))
def test_the_corrected_stationary_variance_is_the_discrete_one(eta, lam, s, num_clients, omega):
    arguments = (eta, lam, s, num_clients, omega)
    discrete, corrected = (stationary_variance(model, *arguments) for model in ("discrete", "corrected"))
    assert corrected == pytest.approx(discrete, rel=1e-10)
    if math.isfinite(discrete):  # and it is the fixed point of one step of the method
        var_u = ((1 + omega) * s**2 + omega * lam**2 * discrete) / num_clients
        assert (1 - eta * lam) ** 2 * discrete + eta**2 * var_u == pytest.approx(discrete, rel=1e-9)


def test_weak_errors_have_the_published_sizes():
    def error(model, eta):
        return abs(
            parabola_second_moment("discrete", eta, 1.0, 1.0, 2.0, 1.0)
            - parabola_second_moment(model, eta, 1.0, 1.0, 2.0, 1.0)
        )

    expected = {
        "classical_1": [0.0991, 0.0520, 0.0266, 0.0134],
        "classical_2": [4.6e-3, 9.3e-4, 2.0e-4, 4.8e-5],
        "corrected": [0.225, 0.110, 0.0547, 0.0272],
    }
    for model, values in expected.items():
        found = [error(model, eta) for eta in (0.2, 0.1, 0.05, 0.025)]
        assert found == pytest.approx(values, rel=0.03), model  # the values have two or three digits


def test_sign_floor_agrees_with_a_simulation():
    classical, corrected = sign_floor(0.05, 1.0, 1.0, 8, math.inf)
    assert sign_floor(0.05, 1.0, 1.0, 8, 1.0) == pytest.approx((0.004909, 0.004988), abs=1e-6)
    assert classical < corrected
    method, x = dsignsgd(0.05, 8, GradientNoise(additive=1.0, nu=1.0)), torch.zeros(2000, 1, dtype=F64)
    draws, squares = joint_draws(0), []
    for k in range(600):
        x = method.step(x, x, k, draws)
        if k >= 200:
            squares.append(x.square().mean())
    assert float(torch.stack(squares).mean()) == pytest.approx(0.004988, rel=0.03)


def test_smoothness_constants_hold_and_smaller_ones_are_refused():
    for f in TOYS.values():
        f.check_smoothness()
    with pytest.raises(ValueError, match="does not hold at x"):
        Toy(1.0, 1.0, l0=1.0, l1=1.0).check_smoothness()


@pytest.mark.parametrize("name", TOYS)
def test_gradients_and_curvatures_are_derivatives(name):
    f, x = TOYS[name], torch.linspace(-2, 2, 9, dtype=F64, requires_grad=True)
    (g,) = torch.autograd.grad(f.value(x), x, create_graph=True)
    assert g.allclose(f.gradient(x))
    assert torch.autograd.grad(g.sum(), x)[0].allclose(f.hessian_diagonal(x))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: equal_clients(4, 0, 0.0, 0.0, 0.0), "at least one client"),
        (lambda: equal_clients(4, 2, -1.0, 0.0, 0.0), "at least 0"),
        (lambda: dcsgd_bound(-1.0, 0.0, 1.0, 1.0, 0.0, 0.5), "L0, L1"),
        (lambda: dcsgd_bound(1.0, 0.0, 1.0, 1.0, 0.0, 1.0), "eps"),
        (lambda: sign_mean(1.0, 0.0), "nu must be positive"),
        (lambda: student_sign_mean(torch.zeros(1), 1.5), "whole degrees"),
        (lambda: stationary_variance("third", 0.1, 1.0, 1.0, 1, 0.0), "unknown model"),
    ],
)
def test_what_is_out_of_range_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_median_of_the_floor_is_that_of_a_sum_of_squares():
    law = sign_floor(0.05, 1.0, 1.0, 8, 1.0)[1] * numpy_generator(0, "floor").standard_normal((40_000, 16)) ** 2
    assert sign_floor_median(0.05, 1.0, 1.0, 8, 1.0, 16) == pytest.approx(np.median(law.sum(1)), rel=0.01)
    assert sign_floor_median(0.05, 1.0, 1.0, 8, 1.0, 16) < 0.97 * law.sum(1).mean()


def test_a_step_that_does_not_divide_the_time_is_refused():
    with pytest.raises(ValueError, match=r"eta 0\.3 does not divide the time 1; the last update would end at 0\.9"):
        parabola_second_moment("discrete", 0.3, 1.0, 1.0, 2.0, 1.0)

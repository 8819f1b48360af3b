"""The noise scale against exact variances, the equilibrium norm, fits and bins."""

import math

import numpy as np
import pytest

from papers.merging_noise.collapse import explained, half_decades, optimum
from papers.merging_noise.noise import (
    effective_lr,
    equilibrium_squared_norm,
    heavy_ball_chains,
    noise_of,
    noise_scale,
    quadratic_gains,
    simulated_squared_norm,
    stationary_variance,
)


@pytest.mark.parametrize(("momentum", "known"), [(0.0, 0.01282), (0.5, 0.02542), (0.9, 0.12667)])
def test_stationary_variance_is_that_of_simulated_chains(momentum, known):
    exact = stationary_variance(0.05, 4.0, 8, momentum, 1.0)
    assert exact == pytest.approx(known, abs=1e-5)
    x = heavy_ball_chains(0.05, 4.0, 8, momentum, 1.0, num_chains=20000, num_steps=300)
    assert x.var() == pytest.approx(exact, rel=4 * math.sqrt(2 / 20000))  # four standard errors, 4 %


def test_stationary_variance_is_the_fixed_point_of_the_covariance_recursion():
    """A second derivation: iterate the 2x2 covariance of (x, v) without drawing anything."""
    lr, noise, momentum, curvature = 0.3, 0.5, 0.7, 1.4
    step = np.array([[1 - lr * curvature, -lr * momentum], [curvature, momentum]])
    drive = np.array([-lr, 1.0])
    covariance = np.zeros((2, 2))
    for _ in range(2000):
        covariance = step @ covariance @ step.T + noise * np.outer(drive, drive)
    assert covariance[0, 0] == pytest.approx(stationary_variance(lr, noise, 1, momentum, curvature), rel=1e-9)


def test_small_learning_rates_give_the_noise_scale_of_power_one():
    for momentum in (0.0, 0.5, 0.9):
        exact = stationary_variance(1e-6, 4.0, 8, momentum, 2.0)
        assert exact == pytest.approx(4.0 / (2 * 2.0) * noise_scale(1e-6, 8, momentum), rel=1e-5)
        wrong = 4.0 / (2 * 2.0) * noise_scale(1e-6, 8, momentum, momentum_power=2)
        assert wrong / exact == pytest.approx(1 / (1 - momentum), rel=1e-5)


def test_merging_stationary_chains_gains_a_quarter_of_c_var():
    x = np.random.default_rng(0).normal(0, 0.7, 200000)
    assert quadratic_gains(x, 3.0).mean() == pytest.approx(3.0 * 0.49 / 4, rel=0.03)
    assert (quadratic_gains(x, 3.0) >= 0).all()


def test_decay_holds_the_norm_at_its_equilibrium():
    exact = equilibrium_squared_norm(0.1, 5e-3)
    assert exact == pytest.approx(3.1623, abs=1e-4)
    assert effective_lr(0.1, exact) == pytest.approx(math.sqrt(2 * 0.1 * 5e-3), rel=1e-12)
    assert simulated_squared_norm(0.1, 5e-3, size=300, num_steps=4000) == pytest.approx(exact, rel=2e-3)


def test_conventions_of_momentum_are_told_apart():
    heavy = noise_of("sgd", {"lr": 0.1, "momentum": 0.9}, 10)
    assert heavy == pytest.approx(0.1)
    assert noise_of("sgd_ema", {"lr": 0.1, "momentum": 0.9}, 10) == pytest.approx(0.01)
    assert noise_of("sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.9}, 10) == pytest.approx(0.01)
    assert math.isnan(noise_of("adamw", {"lr": 0.1}, 10))
    with pytest.raises(ValueError, match="nesterov"):
        noise_of("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, 10)


@pytest.mark.parametrize(
    ("how", "words"),
    [((0.0, 4), "positive"), ((-1.0, 4), "positive"), ((0.1, 0), "at least one row"), ((0.1, 4, 1.0), r"\[0, 1\)")],
)
def test_values_out_of_range_are_refused(how, words):
    with pytest.raises(ValueError, match=words):
        noise_scale(*how)


def test_a_step_beyond_stability_has_no_variance():
    with pytest.raises(ValueError, match="unstable"):
        stationary_variance(2.1, 1.0, 1, 0.0, 1.0)


def test_a_function_of_the_noise_is_explained_by_it_alone():
    lr, batch = (x.ravel() for x in np.meshgrid(np.logspace(-3, 1, 9), [4, 16, 64, 256]))
    gain = np.exp(-((np.log10(lr / batch) + 2) ** 2))
    cubic = -((np.log10(lr / batch) + 2) ** 2)
    assert explained(lr / batch, cubic, 3) == pytest.approx(1)
    assert explained(lr / batch, gain, 3) > explained(lr, gain, 3) + 0.1
    assert explained(np.ones(36), gain, 3) == 0  # one value explains nothing
    assert optimum(lr / batch, cubic) == pytest.approx(1e-2, rel=0.05)


def test_half_decades_do_not_split_at_rounding():
    assert half_decades([0.3 / 3, 0.1, 1e-1 * (1 - 1e-12), 0.2, 0.4]).tolist() == [-2, -2, -2, -2, -1]

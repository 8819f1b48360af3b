"""The sign of a noisy gradient, SignSGD's exact law, and both diffusions, against closed forms and each other."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.special import erf

from papers.optimizer_gap.backward import diffusion_expectation
from papers.optimizer_gap.descents import cases, members
from papers.optimizer_gap.lattice import SignWalk, expectation
from papers.optimizer_gap.moments import decay_rows, weak_rows
from papers.optimizer_gap.problems import KNOWN_LANDSCAPES, Decay, WeakError, whole_updates
from papers.optimizer_gap.sde import (
    SMALL_SIGNAL,
    mean_sign,
    sgd_sde,
    sgd_second_moment,
    sgd_stationary_variance,
    sign_rate,
    sign_sde,
    sign_stationary_variance,
)
from shared.artifacts.config import load_config
from shared.base.seeding import numpy_generator, torch_generator
from shared.optim.quadratics import LANDSCAPES, AdditiveNoise, RowSampling, block_quadratic
from shared.sde.simulate import simulate
from shared.sde.weak_error import fitted_order, linear_moments, mean_estimate


def square(x):
    return x * x


def test_mean_sign_is_the_integral_over_the_noise():
    for signal, batch_size in itertools.product((0.1, 1.0, -0.7), (1, 4)):
        scale = 1 / math.sqrt(batch_size)

        def density(g, signal=signal, scale=scale):
            return math.exp(-(((g - signal) / scale) ** 2) / 2) / (scale * math.sqrt(2 * math.pi))

        above, below = quad(density, 0, 12)[0], quad(density, -12, 0)[0]
        mean = float(mean_sign(torch.tensor(signal, dtype=torch.float64), batch_size, 1.0))
        assert mean == pytest.approx(above - below, abs=1e-9)
        assert 1 - mean**2 == pytest.approx((above + below) - (above - below) ** 2, abs=1e-9)
    assert float(mean_sign(torch.tensor(1.0, dtype=torch.float64), 1, 1.0)) == pytest.approx(0.682689, abs=1e-6)


def test_mean_sign_agrees_with_drawn_minibatches():
    """Three standard errors of 200,000 signs."""
    draws = torch.randn(200_000, 3, generator=torch_generator(0, "signs"), dtype=torch.float64)
    signs = (0.5 + 2.0 * draws / math.sqrt(4)).sign()
    expected = mean_sign(torch.full((3,), 0.5, dtype=torch.float64), 4, 2.0)
    assert bool(((signs.mean(0) - expected).abs() < 3 * signs.std(0) / 200_000**0.5).all())


def test_the_tangent_is_above_erf_and_within_five_per_cent_below_the_stated_signal():
    z = np.linspace(1e-6, 3, 1000)
    excess = (2 * z / math.sqrt(math.pi)) / erf(z) - 1
    assert (excess > 0).all()
    assert excess[z < SMALL_SIGNAL].max() < 0.0525 and excess[z > SMALL_SIGNAL + 0.01].min() > 0.05


def test_lattice_law_is_a_probability_and_symmetric_from_a_symmetric_start():
    walk = SignWalk(eta=0.1, batch_size=4)
    for places, p in walk.laws(0.0, 30, every=10):
        assert p.sum() == pytest.approx(1.0) and (p >= 0).all()
        assert float((places * p).sum()) == pytest.approx(0.0, abs=1e-12)


def test_lattice_law_agrees_with_simulated_sign_descent():
    walk, rng, x = SignWalk(eta=0.1, batch_size=4, sigma=2.0, h=1.5), numpy_generator(0, "walk"), np.full(40_000, 1.0)
    for _ in range(25):
        x = x - 0.1 * np.sign(1.5 * x + 2.0 / 2 * rng.standard_normal(len(x)))
    law = walk.law(1.0, 25)
    for function in (lambda x: x, square):
        assert abs(function(x).mean() - expectation(law, function)) < 3 * function(x).std() / len(x) ** 0.5


def test_stationary_law_is_what_one_update_leaves_alone():
    """The walk changes parity; two updates from the even half of the law lead back to it."""
    walk = SignWalk(eta=0.2, batch_size=9)
    places, p = walk.stationary_law()
    down = walk.down(places)
    moved = np.zeros_like(p)
    moved[:-1] += (p * down)[1:]
    moved[1:] += (p * (1 - down))[:-1]
    assert moved == pytest.approx(p, abs=1e-12)


def test_stationary_law_is_reached_from_far():
    walk = SignWalk(eta=0.1, batch_size=4)
    late = [expectation(walk.law(1.0, k), square) for k in (600, 601)]
    assert np.mean(late) == pytest.approx(expectation(walk.stationary_law(), square), rel=1e-6)


def test_stationary_variances_reach_their_small_step_limits():
    for batch_size in (1, 16, 64):
        settings = {"h": 2.0, "sigma": 3.0, "eta": 1e-4, "batch_size": batch_size}
        exact = expectation(SignWalk(eta=1e-4, batch_size=batch_size, sigma=3.0, h=2.0).stationary_law(), square)
        assert exact == pytest.approx(sign_stationary_variance(**settings), rel=0.002)
        far = sgd_second_moment(1.0, 10**6, **settings)
        assert far == pytest.approx(sgd_stationary_variance(**settings), rel=1e-9)
        assert far == pytest.approx(sgd_stationary_variance(**settings, discrete=False), rel=2e-4)


def test_sign_descent_speeds_up_as_the_root_of_the_batch_size():
    """Decay rate of the mean near the optimum against sqrt(2B/pi) h / sigma; 2% for the finite step and signal."""
    for batch_size in (1, 4):
        walk, eta = SignWalk(eta=1e-3, batch_size=batch_size, sigma=4.0), 1e-3
        means = [expectation(law, lambda x: x) for law in walk.laws(0.1, 2000, every=1000)]
        rate = math.log(means[1] / means[2]) / (1000 * eta)
        assert rate == pytest.approx(sign_rate(h=1.0, sigma=4.0, batch_size=batch_size), rel=0.02)


def test_weak_error_of_sgd_is_the_known_sequence():
    etas, errors = (0.2, 0.1, 0.05, 0.025), []
    for eta in etas:
        discrete = sgd_second_moment(1.0, round(1 / eta), h=1.0, sigma=1.0, eta=eta, batch_size=4)
        errors.append(discrete - linear_moments(1.0, 1.0, rate=1.0, additive=eta / 4)[1])
    assert errors == pytest.approx([-0.024783, -0.013009, -0.006641, -0.003353], abs=1e-6)
    assert 0.9 < fitted_order(etas, errors) < 1.1


def test_backward_equation_agrees_with_the_moments_of_a_linear_diffusion():
    mean, second = linear_moments(1.0, 1.0, rate=1.0, additive=0.3)
    coefficients = (lambda x: -x, lambda x: np.full_like(x, 0.3))
    assert diffusion_expectation(*coefficients, square, 1.0, 1.0, reach=8.0) == pytest.approx(second, abs=1e-5)
    assert diffusion_expectation(*coefficients, lambda x: x, 1.0, 1.0, reach=8.0) == pytest.approx(mean, abs=1e-6)
    with pytest.raises(ValueError, match="point inwards"):
        diffusion_expectation(lambda x: x, lambda x: x * x, square, 1.0, 1.0)


@pytest.mark.parametrize("batch_size", [1, 16])
def test_simulated_equations_agree_with_their_expectations(batch_size):
    """Euler's bias at eta / 20 is far below four standard errors of 20,000 paths."""
    eta, start = 0.1, torch.ones(20_000, 1, dtype=torch.float64)
    options = {"step_size": eta / 20, "num_steps": 200, "generator": torch_generator(0, "paths", batch_size)}
    problem = {"eta": eta, "batch_size": batch_size, "sigma": 1.0}
    ends = [simulate(make(lambda x: x, **problem), start, **options).states[-1] for make in (sgd_sde, sign_sde)]

    def mean(x):
        return erf(np.sqrt(batch_size / 2) * x)

    expected = (
        linear_moments(1.0, 1.0, rate=1.0, additive=eta / batch_size)[1],
        diffusion_expectation(lambda x: -mean(x), lambda x: eta * (1 - mean(x) ** 2), square, 1.0, 1.0),
    )
    for end, value in zip(ends, expected, strict=True):
        found = mean_estimate(end.square())
        assert abs(found.mean - value) < 4 * found.standard_error + 1e-3 * value


def test_a_mean_over_a_batch_has_its_share_of_the_noise():
    problem, w = block_quadratic(LANDSCAPES["het"]), torch.ones(1, 9, dtype=torch.float64)
    noise = AdditiveNoise(sigma=100.0, batch_size=16)
    drawn = noise.draw(9, torch_generator(0, "noise"), 50_000)
    error = torch.stack([noise.gradient(problem, w, z) for z in drawn[:2000]]) - problem.gradient(w)
    torch.testing.assert_close(drawn.var(0), torch.full((9,), 100.0**2 / 16, dtype=torch.float64), rtol=0.03, atol=0)
    assert float(error.mean().abs()) < 4 * 25 / (2000 * 9) ** 0.5


@pytest.mark.parametrize("num_rows", [1, 2, 3, 9])
def test_sampled_rows_average_to_the_gradient_over_all_subsets(num_rows):
    problem = block_quadratic(LANDSCAPES["hom"], design="sqrt")
    w = torch.randn(1, 9, generator=torch_generator(0, "w"), dtype=torch.float64)
    subsets = [torch.tensor([rows]) for rows in itertools.combinations(range(9), num_rows)]
    mean = torch.stack([RowSampling(num_rows).gradient(problem, w, rows) for rows in subsets]).mean(0)
    torch.testing.assert_close(mean, problem.gradient(w))
    with pytest.raises(ValueError, match="without replacement"):
        RowSampling(10).draw(9, torch_generator(0, "rows"), 1)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="no smooth mean"):
        sign_sde(lambda x: x, eta=0.1, batch_size=1, sigma=0.0)
    with pytest.raises(ValueError, match="batch size"):
        sgd_sde(lambda x: x, eta=0.1, batch_size=0.5, sigma=1.0)
    with pytest.raises(ValueError, match="batch size"):
        SignWalk(eta=0.1, batch_size=0)
    for function in (sgd_stationary_variance, sign_stationary_variance):
        for wrong in ({"eta": 0.0, "batch_size": 1}, {"eta": 0.1, "batch_size": 0}):
            with pytest.raises(ValueError, match="batch size of at least 1"):
                function(h=1.0, sigma=1.0, **wrong)
    with pytest.raises(ValueError, match="must be positive"):
        whole_updates(1.0, 0.0)
    with pytest.raises(ValueError, match="'every' must divide"):
        list(SignWalk(eta=0.1, batch_size=1).laws(0.0, 10, every=3))


def test_method_and_equation_are_compared_at_one_time():
    assert whole_updates(1.0, 0.05) == 20 and whole_updates(1.0, 0.00625) == 160
    with pytest.raises(ValueError, match="the last update would end at"):
        whole_updates(1.0, 0.3)
    settings = WeakError(etas=(0.05, 0.025), batch_size=4, x0=1.0, time=1.0, num_paths=2, steps_per_eta=1)
    sgd, sign = weak_rows(settings.model_copy(update={"etas": (0.25,)}))
    assert sgd["discrete"] == pytest.approx(sgd_second_moment(1.0, 4, h=1.0, sigma=1.0, eta=0.25, batch_size=4))
    assert sign["discrete"] == pytest.approx(expectation(SignWalk(0.25, 4).law(1.0, 4), square))
    with pytest.raises(ValueError, match="does not divide"):
        list(weak_rows(settings.model_copy(update={"etas": (0.3,)})))


def test_additive_noise_is_compared_at_equal_samples_and_rows_at_equal_updates():
    settings = load_config("optimizer_gap", "cpu").quadratics
    found = list(cases(settings))
    additive = [(columns, noise, steps) for columns, noise, steps in found if columns["noise"] == "additive"]
    assert {(c["num_samples"], c["batch_size"] * steps) for c, _, steps in additive} == {
        (n, n) for n in settings.num_samples
    }
    assert all(noise.batch_size == c["batch_size"] and noise.sigma == c["sigma"] for c, noise, _ in additive)
    assert {steps for c, _, steps in found if c["noise"] == "rows"} == {1000}
    assert next(noise for c, noise, _ in found if c["batch_size"] == 9) == AdditiveNoise(0.0)  # the gradient itself
    assert set(KNOWN_LANDSCAPES) == set(LANDSCAPES)


def test_every_optimiser_has_its_momentum_tuned_on_the_quadratics():
    grids = {grid.label: members(grid, 0.95) for grid in load_config("optimizer_gap", "cpu").quadratics.grids}
    assert {member["momentum"] for member in grids["sgd"]} == {member["beta1"] for member in grids["adam"]}
    assert len(grids["sgd"]) == len(grids["adam"]) == 60 and {member["beta2"] for member in grids["adam"]} == {0.95}


def test_expected_losses_over_time_start_at_the_loss_of_the_start_and_fit_the_simulation():
    """Five standard errors of 400 paths; one batch size and one noise level."""
    settings = Decay(
        eta=0.02, sigma=4.0, batch_sizes=(16,), noise_eta=0.02, sigmas=(1.0,), x0=2.0, time=0.4, num_points=3,
        num_paths=400, steps_per_eta=10,
    )  # fmt: skip
    found = pd.DataFrame(decay_rows(settings))
    assert found[found.time == 0].discrete.tolist() == [2.0] * 4 and sorted(found.time.unique()) == [0.0, 0.2, 0.4]
    drawn = found[(found.panel == "batch size") & (found.time > 0)]
    assert len(drawn) == 4 and ((drawn.discrete - drawn.euler).abs() < 5 * drawn.euler_standard_error + 0.02).all()
    assert set(found[found.panel == "noise level"].sigma) == {1.0}

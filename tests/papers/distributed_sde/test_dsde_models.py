"""The SDE models: closed-form solutions, generators, one-step laws."""

import math

import numpy as np
import pytest
import torch

from papers.distributed_sde.closed_forms import gradient_descent, ode_path
from papers.distributed_sde.models import CURVATURE, gradient_model, sign_model
from papers.distributed_sde.theory import sign_floor, stationary_variance
from papers.distributed_sde.toys import toy
from shared.base.seeding import torch_generator
from shared.optim.compression import Bernoulli
from shared.optim.distributed import dcsgd, dsignsgd
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise
from shared.sde.problem import SDE
from shared.sde.simulate import simulate

F64 = torch.float64
ODES = {"classical_1": "ode1", "classical_2": "ode2", "corrected": "ode_new"}


def without_noise(sde):
    return SDE(sde.drift, lambda x, t: 0.0, noise="additive")


@pytest.mark.parametrize("function", ["parabola", "quartic"])
@pytest.mark.parametrize("kind", CURVATURE)
def test_without_diffusion_the_models_solve_their_ordinary_equations(function, kind):
    eta, x0 = 0.1, 1.5
    exact = ode_path(function, ODES[kind], eta, x0, 20)[-1]
    sde = without_noise(gradient_model(kind, toy(function), eta, 1, 1.0, 0.0))
    errors = []
    for n in (2000, 4000):
        paths = simulate(sde, torch.full((1, 1), x0, dtype=F64), step_size=2.0 / n, num_steps=n,
                         generator=torch_generator(0))  # fmt: skip
        errors.append(abs(float(paths.states[-1]) - exact))
    assert errors[0] < 2e-3 and errors[1] < 0.55 * errors[0]  # order one


def test_the_stability_limits_of_gradient_descent_and_of_the_corrected_equation():
    for eta, grows in ((1.99, False), (2.01, True)):
        for path in (gradient_descent("parabola", eta, 1.0, 50), ode_path("parabola", "ode_new", eta, 1.0, 50)):
            assert (abs(path[-1]) > 1) == grows
    x_gd, x_ode = math.sqrt(2 / 0.1), math.sqrt(2 / 3 / 0.1)
    for factor, grows in ((0.999, False), (1.001, True)):
        assert math.isinf(gradient_descent("quartic", 0.1, factor * x_gd, 4000)[-1]) == grows
        assert math.isinf(ode_path("quartic", "ode_new", 0.1, factor * x_ode, 400)[-1]) == grows


def test_blow_up_happens_at_the_time_of_the_closed_form():
    eta, x0 = 0.1, 4.0
    c = 1.5 * eta
    time = (c * math.log(c / (c - x0**-2)) - x0**-2) / 2
    path = ode_path("quartic", "ode_new", eta, x0, 5)
    assert np.isinf(path).tolist() == [k * eta >= time for k in range(6)]


@pytest.mark.parametrize("omega", [0.0, 3.0])
def test_the_corrected_generator_matches_the_mean_change_of_a_quadratic_loss(omega):
    f, eta, s0, num_clients = toy("parabola"), 0.3, 0.7, 4
    x = torch.tensor([1.3], dtype=F64)
    var_u = ((1 + omega) * s0**2 + omega * x.square()) / num_clients
    g = f.gradient(x)
    discrete = ((1 - eta) ** 2 * x.square() + eta**2 * var_u - x.square()) / 2 / eta  # (E f(x+) - f(x)) / eta
    changes = {}
    for kind in CURVATURE:
        sde = gradient_model(kind, f, eta, num_clients, s0, omega)
        diffusion = torch.as_tensor(sde.diffusion(x, 0.0), dtype=F64)
        changes[kind] = float(g * sde.drift(x, 0.0) + 0.5 * f.hessian_diagonal(x) * diffusion**2)
    assert changes["corrected"] == pytest.approx(float(discrete), rel=1e-12)
    assert abs(changes["classical_1"] - float(discrete)) > 0.1


def test_one_step_covariance_is_that_of_the_model():
    f, omega, s0, num_clients = toy("mixed"), 3.0, 0.5, 4
    x = torch.tensor([0.4, -1.1], dtype=F64)
    method = dcsgd(1.0, num_clients, GradientNoise(additive=s0), Bernoulli.with_omega(omega))
    u = method.message_mean(f.gradient(x).expand(200_000, 2), joint_draws(0))
    sde = gradient_model("classical_1", f, 0.01, num_clients, s0, omega)
    assert u.var(0).allclose(sde.diffusion(x, 0.0) ** 2 / 0.01, rtol=0.02)
    assert abs(float(((u - u.mean(0))[:, 0] * (u - u.mean(0))[:, 1]).mean())) < 0.01


def test_one_step_of_sign_descent_has_the_law_of_the_sign_model():
    f, x = toy("mixed"), torch.tensor([0.3, -0.8], dtype=F64)
    u = dsignsgd(1.0, 8, GradientNoise(additive=2.0, nu=3.0)).message_mean(
        f.gradient(x).expand(120_000, 2), joint_draws(0)
    )
    sde = sign_model("classical_1", f, 0.05, 8, 2.0, 3.0)
    assert u.mean(0).allclose(-sde.drift(x, 0.0), atol=5e-3)
    assert u.var(0).allclose(sde.diffusion(x, 0.0) ** 2 / 0.05, rtol=0.02)


def test_near_zero_the_sign_models_have_the_floors_of_the_local_law():
    classical, corrected = sign_floor(0.05, 1.0, 1.0, 8, 1.0)
    for kind, expected in (("classical_1", classical), ("corrected", corrected)):
        sde = sign_model(kind, toy("parabola"), 0.05, 8, 1.0, 1.0)
        slope = float(sde.drift(torch.tensor([1e-6], dtype=F64), 0.0)) / 1e-6
        variance = float(sde.diffusion(torch.zeros(1, dtype=F64), 0.0)) ** 2 / (-2 * slope)
        assert variance == pytest.approx(expected, rel=1e-6)


def test_halving_the_inner_step_changes_the_mean_loss_by_less_than_a_hundredth():
    f = toy("mixed")
    sde = gradient_model("corrected", f, 0.02, 8, 1.0, 0.0)
    x0 = torch.full((4000, 4), 1.5, dtype=F64)
    means = []
    for sub in (10, 20):
        paths = simulate(sde, x0, step_size=0.02 / sub, num_steps=50 * sub, generator=torch_generator(0, sub))
        means.append(float(f.value(paths.states[-1]).mean()))
    assert means[0] == pytest.approx(means[1], rel=0.01)


def test_a_schedule_scales_drift_and_diffusion():
    sde = gradient_model("corrected", toy("parabola"), 0.5, 1, 2.0, 0.0, schedule=lambda t: 0.5)
    x = torch.ones(1, dtype=F64)
    assert float(sde.drift(x, 0.0)) == pytest.approx(-0.5 + 0.25 * 0.25)
    assert sde.diffusion(x, 0.0) == pytest.approx(0.5 * math.sqrt(0.5) * 2.0)


def test_variance_is_infinite_where_the_method_is_unstable():
    assert stationary_variance("discrete", 2.1, 1.0, 1.0, 1, 0.0) == math.inf
    with pytest.raises(ValueError, match="unknown SDE model"):
        gradient_model("third", toy("parabola"), 0.1, 1, 1.0, 0.0)

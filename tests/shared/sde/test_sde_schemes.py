"""Orders of the schemes, by sums over all outcomes rather than by Monte Carlo."""

import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.sde.problem import SDE
from shared.sde.schemes import INCREMENTS, SCHEMES, euler_step, milstein_step
from shared.sde.weak_error import exact_expectation, fitted_order, linear_moments

STEPS = (3, 6, 12)
GEOMETRIC = SDE(lambda x, t: -0.7 * x, lambda x, t: 0.5 * x, noise="componentwise")
ORNSTEIN = SDE(lambda x, t: -1.3 * x, lambda x, t: 0.8, noise="additive")
SQUARE_ROOT = SDE(lambda x, t: -0.9 * x, lambda x, t: (0.3 + 0.2 * x * x).sqrt(), noise="componentwise")
SECOND_MOMENT = {
    "geometric": (GEOMETRIC, dict(rate=0.7, multiplicative=0.25)),
    "ornstein": (ORNSTEIN, dict(rate=1.3, additive=0.64)),
    "affine": (SQUARE_ROOT, dict(rate=0.9, additive=0.3, multiplicative=0.2)),
}


@pytest.mark.parametrize("name", SECOND_MOMENT)
@pytest.mark.parametrize(("scheme", "order"), [("euler", 1), ("milstein", 1), ("platen", 2)])
def test_weak_order_of_the_second_moment(name, scheme, order):
    sde, law = SECOND_MOMENT[name]
    _, exact = linear_moments(2.0, 1.0, **law)
    errors = [
        exact_expectation(sde, 2.0, torch.square, step_size=1 / n, num_steps=n, scheme=scheme) - exact for n in STEPS
    ]
    # steps of 1/3 to 1/12: the next order still biases the slope, by up to 0.25 here
    assert abs(fitted_order([1 / n for n in STEPS], errors) - order) < 0.3


@pytest.mark.parametrize(("step", "order"), [(euler_step, 0.5), (milstein_step, 1.0)])
def test_strong_order_on_geometric_brownian_motion(step, order):
    paths, finest = 4000, 128
    dw = torch.randn(finest, paths, 1, generator=torch_generator(0, "strong"), dtype=torch.float64) / finest**0.5
    exact = torch.exp((-0.7 - 0.125) + 0.5 * dw.sum(0))
    errors = []
    for n in (8, 16, 32, 64):
        x, coarse = torch.ones(paths, 1, dtype=torch.float64), dw.view(n, finest // n, paths, 1).sum(1)
        for k in range(n):
            x = step(GEOMETRIC, x, k / n, 1 / n, coarse[k])
        errors.append(float((x - exact).abs().mean()))
    assert abs(fitted_order([1 / n for n in (8, 16, 32, 64)], errors) - order) < 0.12


def test_without_noise_euler_has_order_one_and_platen_is_heuns_method():
    sde = SDE(lambda x, t: -(x**3), lambda x, t: 0.0, noise="additive")
    exact = 2 / math.sqrt(1 + 8)  # x(1) of x' = -x^3 from 2
    for scheme, order in (("euler", 1), ("platen", 2)):
        errors = []
        for n in (64, 128, 256):
            x = torch.full((1, 1), 2.0, dtype=torch.float64)
            for k in range(n):
                x = SCHEMES[scheme].step(sde, x, k / n, 1 / n, torch.zeros(1, 1, dtype=torch.float64))
            errors.append(float(x) - exact)
        assert abs(fitted_order([1 / 64, 1 / 128, 1 / 256], errors) - order) < 0.1


@pytest.mark.parametrize(
    ("law", "moments"), [("gaussian", (0, 1, 0, 3)), ("three_point", (0, 1, 0, 3)), ("two_point", (0, 1, 0, 1))]
)
def test_increments_have_the_moments_that_they_promise(law, moments):
    draws = INCREMENTS[law](torch.empty(400_000, dtype=torch.float64), torch_generator(1, law))
    for power, moment in enumerate(moments, start=1):
        spread = float((draws**power).std()) / len(draws) ** 0.5
        assert abs(float((draws**power).mean()) - moment) <= 4 * spread + 1e-9


def test_a_fit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="finite and not zero"):
        fitted_order([0.1, 0.2], [0.0, 1.0])

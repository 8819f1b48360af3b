"""Toy descents: gradients, twins of the library's optimisers, limits, stopping."""

import numpy as np
import pytest
import torch

from papers.ngn_m.descents import METHODS, descend, ngn_step
from papers.ngn_m.landscapes import diabetes, least_squares, many_minima, quartic, rosenbrock, rotated_quadratics
from papers.ngn_m.robustness import descend_by_rule
from shared.base.seeding import numpy_generator
from shared.optim.registry import build_optimizer


def noisy(x, step):
    """Loss above zero and gradient of changing rows, for lanes (M, 4)."""
    rng = numpy_generator(step, "rows")
    a, b = rng.standard_normal((3, 4)), rng.standard_normal(3)
    residual = x @ a.T - b
    return 0.5 * np.square(residual).sum(1) + 0.05, residual @ a


@pytest.mark.parametrize("landscape", [quartic, rosenbrock, many_minima])
def test_gradients_are_the_differences_of_losses(landscape):
    width = 2 if landscape is rosenbrock else 1
    x, h = numpy_generator(0, "points").uniform(-3, 3, (50, width)), 1e-6
    for j in range(width):
        shift = h * np.eye(width)[j]
        slope = (landscape(x + shift, 0)[0] - landscape(x - shift, 0)[0]) / (2 * h)
        np.testing.assert_allclose(landscape(x, 0)[1][:, j], slope, rtol=1e-5, atol=1e-5)


TWINS = [
    ("GD", "sgd", {}),
    ("SGDM", "sgd", {"momentum": 0.9}),
    ("GDM", "sgd_ema", {"momentum": 0.9}),
    ("NGN", "ngn", {}),
    ("NGN-M", "ngn_m", {"momentum": 0.9}),
    ("NGN-M v2", "ngn_m_v2", {"momentum": 0.9}),
]


@pytest.mark.parametrize(("method", "name", "settings"), TWINS)
def test_the_recursion_is_that_of_the_library(method, name, settings):
    c = 2.0 if method in ("NGN", "NGN-M") else 0.02
    ours = descend(noisy, method, np.array([c]), np.ones((1, 4)), 200, log_at=range(201)).points[:, 0]
    x = torch.nn.Parameter(torch.ones(4, dtype=torch.float64))
    optimizer = build_optimizer(name, [x], lr=c, **settings)
    for step in range(200):
        np.testing.assert_allclose(x.detach().numpy(), ours[step], rtol=1e-9, atol=1e-12)
        loss, grad = noisy(x.detach().numpy()[None], step)
        x.grad = torch.from_numpy(grad[0])
        optimizer.step(loss=float(loss[0]))


def test_every_method_of_the_toys_has_a_twin():
    assert {method for method, _, _ in TWINS} == set(METHODS)


@pytest.mark.parametrize("method", ["NGN", "NGN-M", "NGN-M v2"])
def test_scaling_the_loss_and_dividing_c_leaves_the_iterates(method):
    a, start, c = 7.0, np.ones((1, 4)), 0.02 if method == "NGN-M v2" else 2.0  # version 2 explodes at 2

    def scaled(x, step):
        loss, grad = noisy(x, step)
        return a * loss, a * grad

    plain, other = (
        descend(landscape, method, np.array([c]), start, 100, log_at=range(101)).points
        for landscape, c in ((noisy, c), (scaled, c / a))
    )
    np.testing.assert_allclose(plain, other, rtol=1e-9)


def test_without_momentum_ngn_m_is_ngn_and_a_huge_c_is_the_polyak_step():
    start, c = np.ones((2, 4)), np.array([0.5, 3.0])
    one, other = (descend(noisy, m, c, start, 50, beta=0.0, log_at=range(51)).points for m in ("NGN-M", "NGN"))
    np.testing.assert_array_equal(one, other)
    parabola = descend(lambda x, step: (x[:, 0] ** 2, 2 * x), "NGN", np.array([1e15]), np.array([[3.0]]), 1)
    assert abs(parabola.x.item()) < 1e-12


def test_the_step_where_loss_and_gradient_vanish_is_c():
    np.testing.assert_array_equal(ngn_step(np.array([0.3, 2.0]), np.zeros(2), np.zeros(2)), [0.3, 2.0])


def test_lanes_stop_each_where_it_should():
    # x <- (1 - c) x on x^2 / 2: below 1e-6 after n updates with (1/2)^2n / 2 <= 1e-6; c = 3 doubles |x|
    found = descend(
        lambda x, step: (0.5 * x[:, 0] ** 2, x), "GD", np.array([0.5, 3.0, 1e-3]), np.ones((3, 1)), 60,
        tolerance=1e-6, log_at=[0, 1, 60],
    )  # fmt: skip
    assert list(found.status) == ["converged", "diverged", "running"]
    assert found.updates[0] == 10 and found.updates[1] == 18 and found.updates[2] == 60
    np.testing.assert_allclose(found.curves[:2, 0], [0.5, 0.125])
    assert found.curves[2, 0] == 0.5 * 0.25**10 and found.loss[2] == pytest.approx(0.5 * 0.999**120)


def test_published_counts_on_the_quartic():
    start = np.array([[10.0]])
    counts = [
        descend(quartic, method, np.array([c]), start, 1000, tolerance=1e-15).updates.item()
        for method, c in (("GDM", 1e-2), ("NGN-M", 10.0))
    ]
    assert counts == [690, 268]


def test_diabetes_has_the_wanted_curvature_and_its_minimum_is_flat():
    a, b = diabetes(0.1)
    assert (
        a.shape == (442, 10) and np.linalg.eigvalsh(a.T @ a)[-1] == pytest.approx(0.1) and b.std() == pytest.approx(1)
    )
    landscape, solution, minimum = least_squares(a, b)
    loss, grad = landscape(solution[None])
    assert loss[0] == pytest.approx(minimum) and np.abs(grad).max() < 1e-10


def test_rotated_quadratics_have_the_losses_of_the_originals_lane_by_lane():
    rng = numpy_generator(3, "matrix")
    matrices, ys, rates = rng.standard_normal((2, 6, 6)), rng.standard_normal((2, 6)), np.array([0.3, 0.1])
    landscape, conditions = rotated_quadratics(matrices, ys)
    found = descend(landscape, "NGN-M", np.tile(rates, 2), np.zeros((4, 6)), 40, log_at=range(41)).curves
    for matrix, y, own, condition in zip(matrices, ys, (found[:, :2], found[:, 2:]), conditions, strict=True):
        plain = descend(least_squares(matrix, y)[0], "NGN-M", rates, np.zeros((2, 6)), 40, log_at=range(41)).curves
        np.testing.assert_allclose(own, plain, rtol=1e-8)
        assert condition == pytest.approx(np.linalg.cond(matrix.T @ matrix), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["ngn", "ngn_m", "ngn_d", "ngn_md", "ngn_md_v2"])
def test_no_learning_rate_of_many_decades_leaves_the_numbers(optimizer):
    lrs = 10.0 ** np.arange(-6, 7)
    losses = descend_by_rule(optimizer, rosenbrock, np.array([-1.2, 1.0]), lrs, 50)
    assert losses.shape == (51, 13) and np.isfinite(losses).all() and losses[-1, 6] < losses[0, 6]
    if optimizer == "ngn_m":
        ours = descend(rosenbrock, "NGN-M", lrs, np.tile([-1.2, 1.0], (13, 1)), 50, log_at=range(51)).curves
        np.testing.assert_allclose(losses, ours, rtol=1e-6)

"""Bounds by hand, eigenvalues by linear algebra, the averaged form by the direct one."""

import numpy as np
import pytest

from papers.ngn_m.descents import descend
from papers.ngn_m.theory import (
    convex_bound,
    full_gap,
    interpolation_bound,
    momentum_limit,
    ngn_d_path,
    random_rows,
    sampled_gaps,
    separable,
    smallest_momentum,
    spectral_radius,
)
from shared.base.seeding import numpy_generator


def test_bounds_by_hand():
    # c L = 1: (1 + 1)(1 + 2) = 6; 4 * 6 / (0.5 * 100) + 8 * 6 * 0.1 + 2 * (2 - 1) * 0.3
    assert convex_bound(0.5, 2.0, 4.0, 100, 0.1, 0.3) == pytest.approx(0.48 + 4.8 + 0.6)
    assert convex_bound(0.1, 2.0, 4.0, 100, 0.0, 0.3) == pytest.approx(4 * 1.2 * 1.4 / 10)  # 2 c L < 1: no s2_pos
    assert interpolation_bound(0.5, 2.0, 4.0, 100) == pytest.approx(2 * 2 * 4 / 50)
    np.testing.assert_allclose(momentum_limit(np.array([0.05, 0.5]), 2.0), [0.1, 0.5 / 6])


def test_the_smallest_momentum_of_the_worked_case_is_nine_twenty_fifths():
    assert smallest_momentum(1.0) == pytest.approx(9 / 25)


@pytest.mark.parametrize("beta", [0.1, 0.36, 0.9])
def test_the_spectral_radius_is_that_of_the_matrix(beta):
    ghat = np.linspace(0.1, 2, 7)
    by_hand = [np.abs(np.linalg.eigvals([[1 + beta - (1 - beta) * g, -beta], [1, 0]])).max() for g in ghat]
    np.testing.assert_allclose(spectral_radius(ghat, beta), by_hand, rtol=1e-7)


def test_with_one_row_the_averaged_form_is_the_direct_one():
    """lam / (1 + lam) = beta; one row is no sampling, so the mean of the direct iterates has the gap."""
    a, b, lam, c = np.array([[1.0, -2.0]]), np.array([3.0]), 1.5, 0.2
    gaps = sampled_gaps(
        a, b, 0.1, lambda k: np.array([c]), lambda k: np.array([lam]), np.zeros(1), 1, [5, 20], numpy_generator(0, "x")
    )

    def landscape(x, step):
        residual = x @ a[0] - b[0]
        return 0.5 * residual**2 + 0.1, residual[:, None] * a[0]

    path = descend(
        landscape, "NGN-M", np.array([c]), np.zeros((1, 2)), 20, beta=lam / (1 + lam), log_at=range(21)
    ).points[:, 0]
    for row, num_steps in enumerate((5, 20)):
        residual = path[:num_steps].mean(0) @ a[0] - b[0]  # the minimum is 0: one equation, two unknowns
        assert gaps[row, 0, 0] == pytest.approx(0.5 * residual**2, rel=1e-10)


def test_the_gap_is_the_loss_less_its_minimum():
    problem = random_rows(30, 3, 1.0, numpy_generator(0, "rows"))
    a, b = problem["a"], problem["b"]
    x = np.array([0.3, -1.0, 2.0])
    loss = 0.5 * np.square(a @ x - b).mean()
    assert full_gap(a, b)(x) == pytest.approx(loss - problem["s2_int"])
    assert problem["smooth"] == pytest.approx(np.linalg.norm(a, axis=1).max() ** 2)


@pytest.mark.parametrize("convex", [True, False])
def test_separable_losses_have_their_gradient_and_smoothness(convex):
    landscape, smooth, mu = separable(np.array([0.5, 3.0]), convex)
    x, h = np.array([0.7, -0.4]), 1e-5
    for j in range(2):
        shift = h * np.eye(2)[j]
        slope = (landscape(x + shift)[0] - landscape(x - shift)[0]) / (2 * h)
        assert landscape(x)[1][j] == pytest.approx(slope, rel=1e-6)
    curvature = (landscape(shift := np.array([h, 0.0]))[1][0] - landscape(-shift)[1][0]) / (2 * h)
    assert curvature == pytest.approx(smooth[0], rel=1e-4) and mu == (1.0 if convex else 0.0)


def test_one_update_of_ngn_d_by_hand():
    """f = x^2, c = 1/4: gamma = c / (1 + c (2x)^2 / (2 x^2)) = 1/6, so x falls to 2/3 of itself."""
    landscape, smooth, _ = separable(np.array([1.0]), True)
    path = list(ngn_d_path(landscape, 1 / (2 * smooth), np.array([3.0]), 2))
    assert [f for f, _ in path] == pytest.approx([9.0, 4.0, 16 / 9])
    assert path[1][1] == pytest.approx(16.0)

"""Linear programs for cycles, and what becomes of their weights as integers."""

from dataclasses import replace

import numpy as np
import pytest

from papers.logistic_gd import search_checks
from papers.logistic_gd.families import KNOWN_CYCLES, LINE_CYCLES, UNEQUAL, as_data, two_walls
from papers.logistic_gd.known_families import known_families, least_stable, search_starts
from papers.logistic_gd.logistic import hessian, make_data, minimizer
from papers.logistic_gd.lp_search import (
    Found,
    PlaneGrid,
    along,
    lifted_rows,
    line_points,
    line_program,
    plane_program,
    plane_rows,
    search_line,
    search_plane,
)
from papers.logistic_gd.search_checks import across_curvature, lifted_checks, plane_checks
from shared.base.seeding import numpy_generator

GRID = PlaneGrid.of(91)
PARAMETERS = np.log([3.2, 15.0, 13.0, 1.0])


def expanded(alpha: np.ndarray):
    """Rows and weights of a program's solution, both halves of every pair."""
    cos, sin = GRID.cos_sin
    return np.vstack([np.stack([cos, sin], 1), np.stack([-cos, sin], 1)]), np.concatenate([alpha, alpha]) / 2


def test_a_feasible_program_is_a_cycle_with_its_gamma():
    gamma, alpha = plane_program(GRID, 1e5, PARAMETERS)
    z, weights = expanded(alpha)
    amplitude, height, minimum, _ = np.exp(PARAMETERS)

    def stepped(w):
        sigma = 1 / (1 + np.exp(z @ w))
        return w + (weights * sigma) @ z  # eta is absorbed in the weights

    np.testing.assert_allclose(stepped(np.array([amplitude, height])), [-amplitude, height], atol=1e-5)
    np.testing.assert_allclose(stepped(np.array([0.0, minimum])), [0, minimum], atol=1e-5)
    h = hessian(np.array([[0.0, minimum]]), z, weights)[0]
    assert np.linalg.eigvalsh(h)[-1] == pytest.approx(gamma, rel=1e-5)
    assert (alpha <= 1e5 * alpha[0] * GRID.num_halves * (1 + 1e-9)).all()


@pytest.mark.parametrize("ratio", [100, 165, 1e4])
@pytest.mark.parametrize("stable", [False, True])
def test_rows_weigh_at_most_the_ratio_times_the_lightest_one(ratio, stable):
    known = search_starts([found for _, found in known_families(GRID).values()])
    programs = [plane_program(GRID, ratio, parameters, stable) for parameters in known]
    weights = [program[1] for program in programs if program is not None]
    for alpha in weights:
        data = as_data(plane_rows(GRID, alpha, copies=100))
        assert data.counts.max() <= ratio * data.counts.min() and data.counts.min() == 100
    assert weights


def test_weights_are_those_of_the_rows_with_both_halves_together():
    rows = two_walls(14, 5, 3000, 1)
    alpha = PlaneGrid.of(181).weights(rows, 3011.0)
    assert {angle - 90: alpha[angle] for angle in np.flatnonzero(alpha)} == {-90: 1.0, 14: 10.0, 90: 3000.0}
    assert {(row.angle, row.count) for row in plane_rows(PlaneGrid.of(181), alpha, copies=1)} == {
        (row.angle, row.count) for row in rows
    }


def test_a_family_s_least_gamma_is_where_its_cycle_ends():
    rows = two_walls(20, 4, 165, 1)
    data = as_data(rows)
    gamma, cycle = least_stable(data, minimizer(data), 1.98, np.array(KNOWN_CYCLES[20, 4, 165, 1][1]))
    assert 1.97 < gamma < 1.98 and gamma == round(gamma, 4)  # at 1.97 no start of tab_counterexample cycles
    assert cycle.residual < 1e-10 and 0.95 < cycle.spectral_radius < 1
    ratio, found = known_families(GRID)["S(20;4,165,1)"]
    assert ratio == 165 and found.gamma == gamma
    checks = plane_checks(GRID, found, numpy_generator(0, "test"))
    assert checks["confirmed"] and checks["gamma_stable"] == gamma and checks["count_ratio"] == 165


def test_a_larger_ratio_of_weights_allows_a_smaller_gamma():
    gammas = [plane_program(GRID, ratio, PARAMETERS)[0] for ratio in (1e4, 1e5, 1e6)]
    assert gammas[0] >= gammas[1] >= gammas[2] and gammas[0] > gammas[2]


def test_the_norm_bound_makes_integer_data_stable_and_costs_gamma():
    parameters = np.log([4.1, 15.0, 13.5, 1.16])
    gamma, alpha = plane_program(GRID, 1e5, parameters, stable=True)
    found = Found(gamma, parameters, alpha, 1)
    checks = plane_checks(GRID, found, numpy_generator(0, "test"))
    assert plane_program(GRID, 1e5, parameters)[0] < found.gamma < 2
    assert checks["confirmed"] and checks["gamma_stable"] < 2 and checks["spectral_radius"] < 1
    assert checks["norm_error"] <= 1e-15
    # integer counts give back the program's gamma and cycle within one percent
    assert checks["gamma_integer"] == pytest.approx(found.gamma, rel=0.01)
    assert checks["cycle_moved"] < 0.01


def test_integer_rows_keep_the_mirror_symmetry_and_the_lightest_row():
    _, alpha = plane_program(GRID, 1e4, PARAMETERS)
    data = as_data(plane_rows(GRID, alpha, copies=100))
    mirrored = {(-round(x, 12) + 0.0, round(y, 12)): c for (x, y), c in zip(data.z, data.counts, strict=True)}
    assert {(round(x, 12) + 0.0, round(y, 12)): c for (x, y), c in zip(data.z, data.counts, strict=True)} == mirrored
    assert data.counts[np.argmin(data.z[:, 1])] == 100


def test_lifted_rows_lie_on_the_sphere_and_project_back_to_the_line():
    x, alpha, dim = np.array([-0.1, 0.1, 1.0]), np.array([3.0, 2.0, 1.0]), 4
    z, counts = lifted_rows(x, alpha, dim, copies=10)
    data = make_data(z, counts=counts, sphere=True)
    assert data.z.shape == (3 * 2 * 3, 4)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-15)
    on_axis = np.array([[5.0, 0, 0, 0]])
    h = hessian(on_axis, z, data.weights)[0]
    np.testing.assert_allclose(h, np.diag(np.diag(h)), atol=1e-17)
    expected = across_curvature(x, alpha / alpha.sum(), dim, np.array([5.0]))[0]
    np.testing.assert_allclose(np.diag(h)[1:], expected, rtol=1e-12)


def test_a_lifted_search_finds_a_stable_cycle_in_a_hundred_dimensions():
    x = np.logspace(-2.5, 0, 61)
    x, rng = np.concatenate([-x[::-1], x]), numpy_generator(1, "test")
    found = search_line(x, 100, 150, rng)
    points, minimum = line_points(found.parameters)
    assert line_program(x, 100, points, minimum)[0] == pytest.approx(found.gamma)
    checks = lifted_checks(x, found, 100, rng)
    assert checks["gamma_integer"] == pytest.approx(found.gamma, rel=0.01)
    assert checks["confirmed"] and checks["gamma_stable"] < 2


def test_least_gammas_never_rise_along_the_limits_and_are_no_worse_than_known_ones():
    def search(ratio, generator, num_trials, known, best):
        return search_plane(GRID, ratio, num_trials, generator, known=known, best=best)

    starts = search_starts([found for _, found in known_families(GRID).values()])
    found = along([1e3, 1e4, 1e5], search, numpy_generator(3, "test"), 24, starts)
    gammas = [found[ratio].gamma for ratio in (1e3, 1e4, 1e5)]
    assert gammas[0] >= gammas[1] >= gammas[2]
    known = [plane_program(GRID, 1e5, one) for one in starts]
    assert gammas[2] <= min(program[0] for program in known if program is not None) < 2


def test_a_search_ends_at_a_known_family_where_its_own_programs_are_worse():
    ratio, family = known_families(GRID)["S(20;4,165,1)"]
    worse = replace(family, gamma=2.1, num_solved=7)
    found = along(
        [100, 165],
        lambda *_: worse,
        numpy_generator(0, "test"),
        2,
        (),
        lambda limit: [family] if limit >= ratio else [],
    )
    assert found[165].gamma == family.gamma and found[165].alpha is family.alpha and found[100].gamma == 2.1
    assert found[165].num_solved == found[100].num_solved == 2 * worse.num_solved  # of both searches


def test_what_was_found_under_a_stricter_limit_is_handed_on_as_feasible():
    handed = {}

    def search(limit, generator, num_trials, starts, best):
        handed.setdefault(limit, []).append(best)
        return best or Found(1.5 if limit == 1 else 1.9, np.zeros(4), np.zeros(1), 1)

    found = along([1, 2], search, numpy_generator(0, "test"), 4)
    assert handed[2][0] is None and handed[2][1].gamma == 1.5  # the second time, of 1.9 and 1.5
    assert [found[limit].gamma for limit in (1, 2)] == [1.5, 1.5]


def test_no_search_ends_on_a_cycle_around_the_minimiser():
    small = np.log([0.3, 8.01, 8.0, 1.0])  # a cycle of this size is feasible, with gamma near 2
    assert plane_program(GRID, 1e5, small)[0] == pytest.approx(2, abs=0.02)
    assert search_plane(GRID, 1e5, 1, numpy_generator(0, "test"), known=[small]) is None


def test_no_lifted_search_ends_on_a_cycle_around_the_minimiser():
    x = np.logspace(-2.5, 0, 61)
    x = np.concatenate([-x[::-1], x])
    near = np.log([0.347561, 0.043005, 0.151602])  # a cycle of this size is feasible, with gamma near 2
    assert line_program(x, 100, *line_points(near))[0] == pytest.approx(2, abs=0.02)
    assert search_line(x, 100, 1, numpy_generator(0, "test"), known=[near]) is None
    assert search_line(x, 100, 1, numpy_generator(0, "test"), known=[LINE_CYCLES[0]]) is not None


def test_a_lifted_cycle_that_is_stable_along_the_axis_alone_is_refused(monkeypatch):
    data = as_data(UNEQUAL["A"])  # its cycle, mirrored to w* > 0
    x, alpha = -data.z[:, 0], data.counts * 1.9 / minimizer(data).sharpness / data.num_examples
    found = Found(1.9, LINE_CYCLES[0], alpha, 1)
    rng = numpy_generator(0, "test")
    assert lifted_checks(x, found, 120, rng)["gamma_stable"] < 2
    # curvature across the axis ten times as large where the cycle is, and as it was at the minimiser
    real = search_checks.across_curvature

    def steep(x, weights, dim, points):
        return real(x, weights, dim, points) * (1 if len(points) == 1 else 10)

    monkeypatch.setattr(search_checks, "across_curvature", steep)
    checks = lifted_checks(x, found, 120, rng)
    assert np.isnan(checks["gamma_stable"]) and not checks["confirmed"]


def test_a_search_improves_on_its_first_feasible_draws():
    short, long = (search_plane(GRID, 1e4, trials, numpy_generator(2, "test")) for trials in (5, 60))
    assert long.gamma < short.gamma and long.num_solved > short.num_solved

"""Largest stable steps, almost-sure boundaries, the theorems' right sides along simulated paths, paths that explode."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq

from papers.distributed_sde.bounds import CHECK_EVERY, admitted, right_side, weighted_averages
from papers.distributed_sde.message_law import MessageLaw
from papers.distributed_sde.quadratics import almost_sure_boundary, scaling_rows, threshold_rows
from papers.distributed_sde.settings import DrawnBound, StableSteps, ThresholdPoint, TrackCase
from papers.distributed_sde.stable_steps import largest_stable_step, log_mean_after, place_of, stable_rows
from papers.distributed_sde.theory import descent_bound, dsign_bound, sign_descent_bound, sign_slope
from papers.distributed_sde.toys import TOYS, toy
from papers.distributed_sde.tracking import surviving_mean, track_rows
from shared.artifacts.config import load_config
from shared.optim.compression import Bernoulli
from shared.optim.distributed import dcsgd
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise

SMOKE, CPU = load_config("distributed_sde", "smoke"), load_config("distributed_sde", "cpu")
F64 = torch.float64


@pytest.mark.parametrize(("name", "norm"), [("mixed", 30.0), ("cosh", 0.3), ("cosh", 500.0), ("parabola", 2.0)])
def test_a_place_has_the_gradient_norm_it_was_asked_for(name, norm):
    x = torch.zeros(4, dtype=F64)
    x[0] = place_of(toy(name), norm)
    assert float(toy(name).gradient(x).norm()) == pytest.approx(norm, rel=1e-9)


def test_without_noise_the_largest_stable_step_is_that_of_gradient_descent():
    x = np.array([1.5, 0.0])
    for name, f in TOYS.items():
        g = float(f.gradient(torch.from_numpy(x))[0])
        # f is even and one coordinate moves: f(x - eta g) = f(x) where x lands on -x
        assert largest_stable_step(f, x, MessageLaw(8, 1.0, 0.0)) == pytest.approx(2 * 1.5 / g, rel=1e-9), name


def test_on_the_parabola_the_largest_stable_step_is_the_mean_square_boundary():
    settings = SMOKE.linear.stable.model_dump() | {"functions": ["parabola"], "num_norms": 5}
    for row in stable_rows(StableSteps(**settings)):
        assert row["eta_stable"] == pytest.approx(2 / row["kappa"], rel=1e-9)
        assert row["bound_corrected"] == pytest.approx(2 / row["kappa"])  # L1 = 0


def test_the_largest_step_is_more_than_the_curvature_at_the_start_says():
    # far out on cosh, gradient descent lands on -x at eta = 2 x / sinh x, x times what 2 / f'' says
    settings = SMOKE.linear.stable.model_dump() | {"functions": ["cosh"], "omegas": [0.0], "s1": 0.0}
    for row in stable_rows(StableSteps(**settings | {"grad_norms": (100.0, 1e4), "num_norms": 5})):
        x = math.asinh(row["grad_norm"])
        assert row["eta_stable"] == pytest.approx(2 * x / row["grad_norm"], rel=1e-9)


@pytest.mark.parametrize("name", ["mixed", "cosh", "parabola", "quartic"])
@pytest.mark.parametrize(("count", "keep"), [(1, 0.3), (3, 0.25), (4, 1.0)])
def test_the_mean_after_a_step_is_that_over_every_mask(name, count, keep):
    f, x, noise = toy(name), np.array([1.3, 0.0, -0.4]), 0.7
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)  # exact for the polynomials, to rounding for cosh
    g = f.gradient(torch.from_numpy(x)).numpy()
    for eta in (0.05, 0.4):
        mean = 0.0
        for mask in itertools.product((0, 1), repeat=count):
            kept = sum(mask)  # the sum of the kept clients' noise is normal, with kept times the variance
            chance = keep**kept * (1 - keep) ** (count - kept)
            u = (kept * g + kept**0.5 * noise * nodes[:, None]) / (keep * count)
            values = sum(
                f.value(torch.from_numpy(x[j] - eta * u[:, j : j + 1])).numpy() for j in range(len(x))
            )  # f is separable
            mean += chance * float(weights @ values) / weights.sum()
        found = log_mean_after(f, x, MessageLaw(count, keep, noise), eta)
        assert found == pytest.approx(math.log(mean), abs=1e-9)


@pytest.mark.parametrize("name", ["mixed", "cosh"])
@pytest.mark.parametrize("omega", [0.0, 1.0, 3.0])  # beyond, draws that no sample of this size has carry the mean
@pytest.mark.parametrize("norm", [0.3, 10.0, 1000.0])
def test_the_largest_step_is_that_of_the_method_itself_where_draws_can_tell(name, omega, norm):
    f, settings, groups = toy(name), CPU.linear.stable, 8
    x = torch.zeros(settings.d, dtype=F64)
    x[0] = place_of(f, norm)
    method = dcsgd(1.0, settings.num_clients, GradientNoise(relative=settings.s1), Bernoulli.with_omega(omega))
    u = method.message_mean(f.gradient(x).expand(4000, -1), joint_draws(0, "stable"))

    def sampled(part):
        return brentq(lambda eta: float(f.value(x - eta * part).mean() - f.value(x)), 1e-3 * exact, 20 * exact)

    exact = largest_stable_step(f, x.numpy(), MessageLaw(settings.num_clients, 1 / (1 + omega), settings.s1 * norm))
    error = np.std([sampled(part) for part in u.chunk(groups)], ddof=1) / groups**0.5
    assert abs(sampled(u) - exact) < 4.5 * error and error < 0.05 * exact


def test_moments_of_the_message_are_those_of_its_exponentials():
    law, g, h = MessageLaw(5, 0.2, 0.9), np.array([1.1, 0.0]), 0.02
    series = np.exp([law.log_exponential_mean(g, theta) for theta in (-h, h)])
    moments = law.moments(g)
    assert moments[1] == pytest.approx(g) and moments[0] == pytest.approx(1)
    even = sum(h**k / math.factorial(k) * moments[k] for k in (0, 2, 4))
    assert series.mean(0) == pytest.approx(even, rel=1e-7)  # the sixth moment is left out


def test_the_largest_step_is_finite_where_exponentials_overflow():
    x = np.array([place_of(toy("cosh"), 1e8)] + [0.0] * 15)
    step = largest_stable_step(toy("cosh"), x, MessageLaw(8, 1 / 256, 0.2e8))
    assert 0 < step < 2 * x[0] / 1e8


def test_smoothness_of_the_hyperbolic_cosine_is_tight():
    TOYS["cosh"].check_smoothness(radius=20.0)
    x = torch.tensor([[0.7], [9.0]], dtype=F64)
    f = TOYS["cosh"]
    torch.testing.assert_close(f.hessian_diagonal(x), (1 + f.gradient(x).square()).sqrt())
    with pytest.raises(ValueError, match="give larger constants"):
        type(f)(0.0, 0.0, l0=1.0, l1=0.9, cosh=1.0).check_smoothness(radius=20.0)


def test_in_one_dimension_the_almost_sure_boundary_is_the_root_of_the_mean_logarithm():
    point = ThresholdPoint(axis="omega", omega=0, d=1, num_clients=1, s1=0.6)
    settings = SMOKE.linear.model_copy(update={"typical_paths": 400, "typical_length": 200})
    found, error = almost_sure_boundary(point, settings)

    xi = np.linspace(-8, 8, 400_001)
    weights = np.exp(-(xi**2) / 2) / np.exp(-(xi**2) / 2).sum()

    def growth(eta: float) -> float:  # E log |1 - eta (1 + s1 xi)|; the grid meets the logarithm's pole by 1e-5 at best
        return float(weights @ np.log(np.abs(1 - eta * (1 + 0.6 * xi)) + 1e-12))

    assert growth(found - 4 * error) < 0 < growth(found + 4 * error)
    assert found > 2 / (1 + 0.6**2)  # beyond the mean-square boundary


def test_thresholds_are_measured_and_not_computed():
    rows = pd.DataFrame(threshold_rows(SMOKE.linear))
    assert (rows.eta_star_measured != rows.eta_star_theory).all() and (rows.ci_high > rows.ci_low).all()
    off = (rows.eta_star_measured - rows.eta_star_theory) / (rows.ci_high - rows.ci_low) * 2 * 1.96
    assert (off.abs() < 4.5).all() and (off.abs() > 0.01).all()
    assert rows[rows.axis == "grid"].eta_sure.isna().all() and (rows.eta_sure > rows.eta_star_theory)[1:].all()


def test_floors_have_the_standard_errors_of_their_paths():
    for row in scaling_rows(SMOKE.linear.model_copy(update={"scaling_paths": 400})):
        # x^2 of a normal law over 8 correlated records: between one and all of them independent
        for name in ("before", "after"):
            share = row[f"se_{name}"] / row[f"floor_{name}"] * 400**0.5
            assert 0.4 < share < 1.6


def test_the_right_side_of_the_sign_theorem_is_its_derivation():
    gap, time, eta, l0, l1, d, n, s = 12.0, 99.0, 0.01, 4.0, 3.0, 16, 8, 2.0
    phi1, phi2 = (quad(lambda t, p=p: (t + 1) ** (-p / 2), 0, time)[0] for p in (1, 2))
    slope, ell = sign_slope(1.0), 0.5  # 2 arctan(1) / pi
    noise = (l0 + l1) * d / n + math.sqrt(d) * l0 * slope / s
    expected = s * (gap + phi2 * eta * noise / 2) / (0.5 * ell * phi1)
    assert sign_descent_bound(gap, time, eta, l0, l1, d, n, s, 1.0, 0.5) == pytest.approx(expected)


def test_noise_raises_the_right_sides():
    assert descent_bound(1.0, 9.0, 0.1, 4.0, 3.0, 8.0, 0.5) > descent_bound(1.0, 9.0, 0.1, 4.0, 3.0, 0.0, 0.5)
    phi1, phi2 = 2 * (math.sqrt(10) - 1), math.log(10)
    assert descent_bound(1.0, 9.0, 0.1, 4.0, 3.0, 8.0, 0.5) == pytest.approx(
        (1 + phi2 * 0.1 * 7 * 8 / 2) / (0.5 * phi1)
    )
    few, many = (sign_descent_bound(1.0, 9.0, 0.01, 4.0, 3.0, 16, n, 2.0, 1.0, 0.5) for n in (2, 200))
    assert few > many


SIGN = DrawnBound(method="DSignSGD", nu=1.0, function="mixed", omega=0, d=16, num_clients=8, s0=4.0, x0=1.0, eta=0.008,
                  eps=0.5, num_steps=40, num_runs=3)  # fmt: skip


def test_the_sign_condition_is_one_on_the_step_and_on_the_range():
    limit = 0.5 * dsign_bound(4.0, 3.0, 16, 8, 4.0, 1.0).corrected
    near, far = torch.full((1, 16), 3.9, dtype=F64), torch.full((1, 16), 4.1, dtype=F64)
    assert admitted(SIGN, toy("mixed"), limit, near).item() and not admitted(SIGN, toy("mixed"), limit, far).item()
    assert not admitted(SIGN, toy("mixed"), 1.01 * limit, near).item()
    plain = SIGN.model_copy(update={"method": "DCSGD", "nu": math.inf, "s0": 0.0})
    grad = torch.full((1, 16), 1.0, dtype=F64)  # |g| = 4, kappa = 1: 2 eps / (4 + 3 * 4)
    assert (
        admitted(plain, toy("mixed"), 0.99 / 16, grad).item()
        and not admitted(plain, toy("mixed"), 1.01 / 16, grad).item()
    )


def test_averages_weigh_every_step_and_times_are_eta_k():
    still = SIGN.model_copy(update={"method": "DCSGD", "nu": math.inf, "s0": 0.0, "function": "parabola", "eta": 0.1})
    rows, x, total, weight = {}, 1.0, 0.0, 0.0
    for k in range(40):
        h = (0.1 * k + 1) ** -0.5
        total, weight, x = total + h * 16 * x**2, weight + h, x - 0.1 * h * x
        rows[k + 1] = (total / weight, 16 * x**2)
    for row in weighted_averages(still, 0):
        average, last = rows[row["k"]]
        assert row["average_g2"] == pytest.approx(average) and row["last_g2"] == pytest.approx(last)
        assert row["t"] == pytest.approx(0.1 * row["k"]) and row["standard_error"] == pytest.approx(0, abs=1e-12)
        assert row["bound"] == pytest.approx(right_side(still, toy("parabola"), row["t"]))
        assert row["share_admitted"] == pytest.approx(1.0) and CHECK_EVERY == 10


def test_models_are_simulated_with_steps_of_a_tenth_of_eta():
    settings = SMOKE.paths.model_copy(
        update={"num_paths": 3, "num_steps": 4, "every": 2, "function": "parabola", "d": 1}
    )
    case = TrackCase(method="DSGD", eta=0.4, scale=1e-9)
    rows = pd.DataFrame(track_rows(case, settings)).set_index(["sde", "k"])
    for kind, rate in (("classical_1", 1.0), ("classical_2", 1.2), ("corrected", 0.8)):
        expected = 9 / 2 * (1 - 0.04 * rate) ** 80  # Euler with dt = eta / 10, 4 steps of eta
        assert rows.f_sde[(kind, 4)] == pytest.approx(expected, rel=1e-6)
    assert rows.f_discrete[("corrected", 4)] == pytest.approx(9 / 2 * 0.6**8, rel=1e-6)


def test_where_many_paths_explode_there_is_a_share_and_no_mean():
    values = torch.arange(1000, dtype=F64)
    stay = values >= 8
    assert surviving_mean(values, stay).mean == pytest.approx((8 + 999) / 2)
    assert math.isnan(surviving_mean(values, values >= 20).mean)
    settings = SMOKE.paths.model_copy(update={"num_paths": 50, "num_steps": 20, "every": 10, "x0": 6.0})
    rows = pd.DataFrame(track_rows(TrackCase(method="DCSGD", eta=0.05, omega=3, scale=1), settings))
    last = rows[rows.k == 20].set_index("sde")
    assert last.share_exploded["corrected"] > 0.5 and last.f_sde.isna()["corrected"]

"""Distributed methods: limits that are known methods, laws of one step, divergence."""

import math

import pytest
import torch
from scipy import stats

from shared.base.seeding import torch_generator
from shared.optim.compression import Bernoulli, RandK, TopK
from shared.optim.distributed import Normalisation, dcsgd, decay_factor, descend, dsgd, dsignsgd, normalised_dcsgd
from shared.optim.draws import client_draws, joint_draws
from shared.optim.gradient_noise import GradientNoise, student_t

F64 = torch.float64
NONE, UNIT = GradientNoise(), GradientNoise(additive=1.0)


def quartic(x):
    return x + x**3


@pytest.mark.parametrize("nu", [1.0, 2.0, 3.0, 7.5])
def test_student_draws_follow_the_distribution(nu):
    draws = student_t(torch.empty(20_000, dtype=F64), nu, torch_generator(0, "t"))
    assert stats.kstest(draws.numpy(), stats.t(nu).cdf).pvalue > 1e-3


def test_noise_scales_with_the_gradient_per_coordinate_and_per_client():
    noise = GradientNoise(additive=(0.1, 0.0), relative=(0.0, 0.5))
    g = torch.tensor([3.0, 4.0], dtype=F64)
    draws = noise(g.expand(50_000, 1, 2), 2, torch_generator(0, "noise")) - g
    expected = torch.tensor([[0.1, 0.1], [2.5, 2.5]], dtype=F64)
    assert draws.std(0).allclose(expected, rtol=0.02)  # six standard errors of 5e4 draws
    assert abs(float((draws[:, 0] * draws[:, 1]).mean())) < 0.01  # clients are independent


def test_without_noise_or_compression_any_number_of_clients_is_gradient_descent():
    x0 = torch.tensor([[0.5, -1.2, 0.9]], dtype=F64)
    for num_clients in (1, 8):
        found = descend(dsgd(0.1, num_clients, NONE), quartic, x0, [0, 5], joint_draws(0))
        x = x0
        for _ in range(5):
            x = x - 0.1 * quartic(x)
        assert found.states[-1].allclose(x, rtol=1e-14) and found.states[0].equal(x0)


@pytest.mark.parametrize("compressor", [Bernoulli(1.0), RandK(3)])
def test_omega_zero_equals_dsgd_bitwise_under_the_same_noise(compressor):
    x0 = torch.ones(4, 3, dtype=F64)
    plain = descend(dsgd(0.05, 2, UNIT), quartic, x0, [20], joint_draws(3))
    other = descend(dcsgd(0.05, 2, UNIT, compressor), quartic, x0, [20], joint_draws(3))
    assert other.states.equal(plain.states)


def test_one_client_is_the_single_node_method():
    x, noise = torch.ones(2, 3, dtype=F64), torch_generator(0, "noise")
    expected = x - 0.1 * (x + torch.randn(2, 1, 3, generator=noise)[:, 0])
    assert dsgd(0.1, 1, UNIT).step(x, x, 0, joint_draws(0)).allclose(expected, rtol=1e-12)


def test_signs_are_averaged_not_voted():
    grads = torch.tensor([[1.0, 0.0], [2.0, -1.0], [-0.1, 0.0]], dtype=F64)
    u = dsignsgd(0.1, 3, NONE).client_mean(grads, joint_draws(0))
    assert u.tolist() == pytest.approx([1 / 3, -1 / 3])  # sign(0) = 0; a vote would give +-1


def test_sign_descent_does_not_see_the_scale_of_the_loss():
    x0 = torch.full((3, 2), 2.0, dtype=F64)
    for factor in (0.01, 100.0):
        noise = GradientNoise(additive=factor, nu=1.0)
        found = descend(dsignsgd(0.1, 4, noise), lambda x, c=factor: c * quartic(x), x0, [30], joint_draws(1))
        unit = descend(dsignsgd(0.1, 4, GradientNoise(additive=1.0, nu=1.0)), quartic, x0, [30], joint_draws(1))
        assert found.states.allclose(unit.states, rtol=1e-12)


def test_one_step_of_sign_descent_has_the_mean_and_variance_of_the_student_law():
    g = torch.tensor([0.5, -2.0], dtype=F64)
    method = dsignsgd(1.0, 4, GradientNoise(additive=1.0, nu=1.0))
    u = method.message_mean(g.expand(250_000, 2), joint_draws(0))  # 10^6 signs
    m = 2 / math.pi * torch.atan(g)
    assert (u.mean(0) - m).abs().max() < 5e-3  # five standard errors
    assert u.var(0).allclose((1 - m**2) / 4, rtol=0.01)


def test_normalised_steps_follow_the_formula_and_do_not_exceed_it():
    rule = Normalisation(l0=4.0, l1=3.0, kappa=2.0, noise=0.5, eps=0.25)
    g = torch.tensor([[3.0, 4.0]], dtype=F64)
    method = normalised_dcsgd(1, NONE, RandK(2), rule, decay="inverse_sqrt", lr=1.5)
    moved = -method.step(torch.zeros(1, 2, dtype=F64), g, 3, joint_draws(0)) / g
    assert moved.flatten().tolist() == pytest.approx([1.5 / 2 * 0.5 / (19 * 2 + 1.5)] * 2)


def test_decays():
    assert [decay_factor(d, 3) for d in ("constant", "inverse_sqrt", "inverse")] == [1.0, 0.5, 0.25]


def test_diverged_runs_are_frozen_and_recorded_as_infinite():
    x0 = torch.tensor([[0.5], [50.0]], dtype=F64)
    found = descend(dsgd(0.5, 1, NONE), quartic, x0, [0, 1, 3, 50], joint_draws(0))
    assert found.diverged_at[0] == -1 and 1 <= found.diverged_at[1] <= 3
    assert found.states[-2:, 1].isinf().all() and torch.isfinite(found.states[:, 0]).all()
    both = descend(dsgd(0.5, 1, NONE), quartic, x0[1:], [1, 3, 50, 10**6], joint_draws(0))
    assert both.states.shape == (4, 1, 1) and both.states[-1].isinf().all()  # and stops early


def test_streams_per_client_keep_their_order_whatever_the_other_clients_draw():
    x = torch.ones(1, 4, dtype=F64)
    three = dsgd(0.1, 3, UNIT).noise(x.unsqueeze(-2), 3, client_draws(0, 3).noise)
    five = dsgd(0.1, 5, UNIT).noise(x.unsqueeze(-2), 5, client_draws(0, 5).noise)
    assert five[:, :3].equal(three)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dsgd(0.1, 0, NONE), "at least one client"),
        (lambda: dsgd(-1.0, 1, NONE), "lr must be positive"),
        (lambda: dsgd(1.0, 1, NONE, "cosine"), "unknown decay 'cosine'"),
        (lambda: dcsgd(0.1, 2, NONE, TopK(1)), "unbiased"),
        (lambda: GradientNoise(additive=-1.0), "at least 0"),
        (lambda: GradientNoise(relative=(0.1, -0.1)), "at least 0"),
        (lambda: GradientNoise(nu=0.0), "nu must be positive"),
        (lambda: Normalisation(-1.0, 1.0), "l0"),
        (lambda: Normalisation(1.0, 1.0, eps=1.0), r"eps lies in \(0, 1\)"),
    ],
)
def test_what_is_out_of_range_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

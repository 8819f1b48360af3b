"""Schedules, rates and noising of the mixing processes."""

import pytest
import torch

from papers.gidd.members import CustomProcess, HybridProcess, MaskProcess, UniformProcess
from papers.gidd.process import ByLogSnr, MixingProcess
from papers.gidd.times import low_discrepancy_times
from papers.gidd.weighting import elbo_weight
from shared.base.seeding import torch_generator

GRID = torch.arange(1, 200, dtype=torch.float64) / 200
P_US, GAMMAS = (0.0, 0.1, 0.5, 0.9), (0.5, 1.0, 2.0)


def mixed_custom(vocab_size=5):
    """Mass moves from uniform over two tokens to the mask as t grows."""
    early = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    late = torch.tensor([0.25, 0.25, 0.0, 0.0, 0.5], dtype=torch.float64)
    return CustomProcess(lambda t: 1 - t, lambda t: early + t[..., None] * (late - early), vocab_size)


def members(vocab_size=5):
    return [
        MaskProcess(vocab_size),
        MaskProcess(vocab_size, eps=1e-4),
        UniformProcess(vocab_size),
        HybridProcess(vocab_size, p_u=0.2),
        HybridProcess(vocab_size, p_u=0.5, gamma=2.0),
        HybridProcess(vocab_size, 1, p_u=0.1, gamma=0.5),
        mixed_custom(vocab_size),
    ]


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_marginal_sums_to_one(process):
    total = process.alpha(GRID) + process.beta_pi(GRID).sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-12, rtol=0)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("p_u", P_US[1:])
def test_uniform_mass_peaks_at_half_time_with_value_p_u(p_u, gamma):
    process = HybridProcess(12, p_u=p_u, gamma=gamma)

    def uniform_mass(t):
        return process.num_ordinary * process.token_mass(t)

    half = torch.tensor(0.5, dtype=torch.float64)
    value, slope = torch.func.jvp(uniform_mass, (half,), (torch.ones_like(half),))
    assert value.item() == pytest.approx(p_u, abs=1e-14)
    assert slope.item() == pytest.approx(0, abs=1e-12)
    assert uniform_mass(GRID).max() <= p_u + 1e-14


def test_uniform_noise_puts_nothing_on_the_mask():
    # were u uniform over V with the mask, the mask would hold t / C + c / (C V)
    process = HybridProcess(5, p_u=0.4)
    c = process.uniform_curve(GRID)
    torch.testing.assert_close(process.beta_pi(GRID)[:, 4], GRID / (1 + c), atol=1e-15, rtol=0)
    torch.testing.assert_close(process.beta_pi(GRID)[:, :4].sum(-1), c / (1 + c), atol=1e-14, rtol=0)
    assert (UniformProcess(5).beta_pi(GRID)[:, 4] == 0).all()


@pytest.mark.parametrize("process", [MaskProcess(5), HybridProcess(5, p_u=0.3), HybridProcess(5, p_u=0.3, gamma=0.5)])
def test_end_points_are_exact(process):
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert process.alpha(ends).tolist() == [1.0, 0.0]
    assert process.beta_pi(ends).tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("p_u", P_US)
def test_conditionals_compose_and_are_not_negative(p_u, gamma):
    process = HybridProcess(5, p_u=p_u, gamma=gamma)
    r, s, t = torch.rand(200, 3, generator=torch_generator(0, "times"), dtype=torch.float64).sort(-1).values.unbind(-1)

    def matrix(a, b):  # rows: token at a, columns: token at b
        keep = process.conditional_alpha(a, b)[:, None, None] * torch.eye(5, dtype=torch.float64)
        return keep + process.conditional_noise(a, b)[:, None]

    torch.testing.assert_close(matrix(r, s) @ matrix(s, t), matrix(r, t), atol=1e-13, rtol=0)
    assert process.conditional_noise(s, t).min() >= -1e-15
    sums = process.conditional_noise(s, t).sum(-1)
    torch.testing.assert_close(sums, 1 - process.conditional_alpha(s, t), atol=1e-13, rtol=0)


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_conditional_noise_at_a_token_is_that_entry(process):
    z = torch.arange(5).expand(len(GRID), 5)
    at = process.conditional_noise_at(GRID / 2, GRID, z)
    torch.testing.assert_close(at, process.conditional_noise(GRID / 2, GRID), atol=1e-15, rtol=0)


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_flow_is_the_limit_of_the_conditional(process):
    z = torch.arange(5).expand(len(GRID), 5)
    h = 1e-6
    flow = process.conditional_noise(GRID, GRID + h) / h
    # first-order difference: error of order h times the second derivative, which grows like (t (1 - t))^-2
    scale = 1 / (GRID * (1 - GRID)) ** 2
    assert ((flow - process.omega(GRID, z)).abs() / scale[:, None]).max() < 1e-5
    torch.testing.assert_close(process.omega(GRID, z).sum(-1), process.alpha_rate(GRID), rtol=1e-10, atol=0)


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_closed_forms_match_the_definition(process):
    z = torch.arange(5).expand(len(GRID), 5)
    torch.testing.assert_close(process.omega(GRID, z), MixingProcess.omega_all(process, GRID), rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(process.alpha_rate(GRID), MixingProcess.alpha_rate(process, GRID), rtol=1e-10, atol=0)
    torch.testing.assert_close(process.beta_pi_at(GRID, z), process.beta_pi(GRID), rtol=0, atol=0)
    x = z.flip(-1)
    torch.testing.assert_close(
        process.marginal_at(GRID, z, x), process.marginal(GRID, x).gather(-1, z[..., None])[..., 0], rtol=0, atol=1e-16
    )


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_expected_weight_is_the_total_rate(process):
    z = torch.arange(5).expand(len(GRID), 5)
    for token in (k for k in range(5) if k != process.mask_id):
        x = torch.full_like(z, token)
        expected = (process.marginal_at(GRID, z, x) * elbo_weight(process, GRID, z, x)).sum(-1)
        torch.testing.assert_close(expected, process.alpha_rate(GRID), rtol=1e-10, atol=0)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_hybrid_weights_have_their_closed_forms(gamma):
    process = HybridProcess(5, p_u=0.2, gamma=gamma)
    t, n = GRID[:, None], 4
    c = process.uniform_curve(t)
    slope = gamma / 2 * (1 - 2 * t) / (t * (1 - t)) * c
    x, data, other, mask = (torch.full_like(t, k, dtype=torch.int64) for k in (2, 2, 0, 4))
    w_mask, w_other, w_data = (elbo_weight(process, GRID, z, x) for z in (mask, other, data))
    torch.testing.assert_close(w_mask, 1 / (t * (1 - t)), rtol=1e-12, atol=0)
    torch.testing.assert_close(w_other, (c + (1 - t) * slope) / ((1 - t) * c), rtol=1e-9, atol=0)
    expected = (c + (1 - t) * slope) / n / ((1 - t) * ((1 - t) + c / n))
    torch.testing.assert_close(w_data, expected, rtol=1e-9, atol=1e-12)


def test_at_gamma_one_masks_weigh_twice_a_wrong_token():
    process = HybridProcess(5, p_u=0.35)
    t = GRID[:, None]
    x, other, mask = (torch.full_like(t, k, dtype=torch.int64) for k in (2, 0, 4))
    w_mask, w_other, w_data = (elbo_weight(process, GRID, z, x) for z in (mask, other, x))
    c = process.uniform_curve(t) / 4
    torch.testing.assert_close(w_mask, 2 * w_other, rtol=1e-12, atol=0)
    torch.testing.assert_close(w_data / w_other, c / (1 - t + c), rtol=1e-12, atol=0)


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_noised_tokens_have_the_marginal_distribution(process):
    t = torch.tensor([0.02, 0.5, 0.97], dtype=torch.float64)
    data = 2
    num = 40_000
    u = (torch.arange(num, dtype=torch.float64) + 0.5) / num  # an even grid: frequencies are exact to 1 / num per token
    z = process.noise(torch.full((3, num), data), t, u.expand(3, -1))
    frequency = torch.stack([(z == k).double().mean(-1) for k in range(5)], dim=-1)
    assert (frequency - process.marginal(t, torch.full((3,), data))).abs().max() <= 1.01 / num


@pytest.mark.parametrize("process", members(), ids=lambda p: type(p).__name__)
def test_extreme_uniforms_stay_in_the_support(process):
    t = torch.tensor([0.0, 1e-12, 0.3, 1 - 1e-12, 1.0], dtype=torch.float64)
    u = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64).expand(5, 2)
    x = torch.full((5, 2), 2)
    z = process.noise(x, t, u)
    assert (process.marginal_at(t, z, x) > 0).all()


def test_ranks_that_slice_the_uniforms_get_slices_of_the_batch():
    process = HybridProcess(9, p_u=0.3)
    x = torch.randint(8, (6, 10), generator=torch_generator(0, "x"))
    u = torch.rand(6, 10, generator=torch_generator(0, "u"), dtype=torch.float64)
    t = low_discrepancy_times(0.3, 6)
    whole = process.noise(x, t, u)
    parts = [process.noise(x[r::2], low_discrepancy_times(0.3, 6, torch.arange(r, 6, 2)), u[r::2]) for r in (0, 1)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)


def test_low_discrepancy_times_are_evenly_spaced_and_uniform_overall():
    assert low_discrepancy_times(0.125, 4, eps=0.1).tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert low_discrepancy_times(0.75, 4, torch.tensor([3, 1]), eps=0.1).tolist() == pytest.approx([0.5, 0.1])
    eps, batch = 1e-4, 16
    times = [low_discrepancy_times(u, batch, eps=eps) for u in torch.rand(500, generator=torch_generator(0)).tolist()]
    for t in times[:20]:
        gaps = t.sort().values.diff()
        torch.testing.assert_close(gaps, torch.full_like(gaps, (1 - 2 * eps) / batch), atol=1e-12, rtol=0)
        assert t.min() >= eps and t.max() <= 1 - eps
    pooled = torch.cat(times).sort().values
    uniform = eps + (1 - 2 * eps) * torch.linspace(0, 1, len(pooled), dtype=torch.float64)
    # 500 offsets within a cell of width 1/16: Kolmogorov distance below 1.63 / sqrt(500) / 16 at the 1 % level
    assert (pooled - uniform).abs().max() < 1.63 / 500**0.5 / batch


@pytest.mark.parametrize("process", [MaskProcess(5), HybridProcess(5, p_u=0.3), UniformProcess(5), mixed_custom()])
def test_log_snr_and_its_inverse(process):
    torch.testing.assert_close(process.time_at_log_snr(process.log_snr(GRID)), GRID, rtol=1e-9, atol=0)
    assert (process.log_snr(GRID).diff() < 0).all()


def test_clock_by_log_snr_gives_the_same_flow_per_noise():
    process = HybridProcess(5, p_u=0.3)
    view, lam = ByLogSnr(process), process.log_snr(GRID)
    z = torch.arange(5).expand(len(GRID), 5)
    torch.testing.assert_close(view.alpha(lam), process.alpha(GRID), rtol=1e-12, atol=0)
    torch.testing.assert_close(view.beta_pi(lam), process.beta_pi(GRID), rtol=1e-9, atol=0)
    # over a unit of -lambda, alpha decays at the rate 1 - alpha, whatever the schedule of t
    torch.testing.assert_close(view.omega(lam, z).sum(-1), 1 - process.alpha(GRID), rtol=1e-9, atol=0)


def test_floor_of_p_u_keeps_the_uniform_scale_finite_and_tiny():
    process = HybridProcess(5, p_u=0.0)
    assert 0 < process.uniform_scale < 5e-9
    assert HybridProcess(5, p_u=0.0, p_u_floor=0.0).uniform_scale == 0


def test_prior_is_all_mask_for_hybrid_noise_and_spread_for_uniform():
    generator = torch_generator(0, "prior")
    assert (HybridProcess(5, p_u=0.4).prior((3, 7), generator) == 4).all()
    frequency = UniformProcess(5).prior((4000,), generator).bincount(minlength=5) / 4000
    assert frequency[4] == 0
    assert (frequency[:4] - 0.25).abs().max() < 0.03  # four standard deviations

"""The bound, its optimum and the sampler against brute force, and what goes wrong with the likely mistakes."""

import math
from itertools import pairwise

import pytest
import torch

from papers.gidd import exact
from papers.gidd.members import CustomProcess, HybridProcess, MaskProcess, UniformProcess
from papers.gidd.oracle import (
    LeaveOneOutModel,
    TableModel,
    continuous_nelbo,
    discrete_nelbo,
    expected_terms,
    minimiser,
    propagate,
    time_quadrature,
    total_variation_to_data,
)
from papers.gidd.process import ByLogSnr
from papers.gidd.sampling import reverse_probs
from shared.base.seeding import torch_generator

PRIOR = exact.prior_with_mask()
PAIR = torch.tensor(exact.PAIR, dtype=torch.float64)


def exact_nodes(gamma=1.0):
    """Quadrature whose truncation is below 1e-6 for p_u up to 0.9."""
    return time_quadrature(300, eps=1e-18 ** max(1, 1 / gamma), gamma=gamma, eps_high=1e-10)


def test_quadrature_integrates_end_point_singularities():
    nodes, weights = time_quadrature(50, eps=0.0)
    assert (weights * (nodes * (1 - nodes)).rsqrt()).sum().item() == pytest.approx(math.pi, rel=1e-12)
    nodes, weights = time_quadrature(50, eps=0.0, gamma=0.5)
    assert (weights * nodes**-0.75).sum().item() == pytest.approx(4, rel=1e-10)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("p_u", [0.0, 0.1, 0.5, 0.9])
def test_bound_of_the_prior_is_tight_for_single_tokens(p_u, gamma):
    process = HybridProcess(5, p_u=p_u, gamma=gamma)
    for x in range(4):
        nelbo = continuous_nelbo(torch.tensor([x]), TableModel(PRIOR, process), process, *exact_nodes(gamma))
        assert nelbo == pytest.approx(-math.log(PRIOR[x]), abs=1e-5)


@pytest.mark.parametrize(
    "process",
    [MaskProcess(5), HybridProcess(5, p_u=0.2), HybridProcess(5, p_u=0.5, gamma=2.0), UniformProcess(5)],
    ids=lambda p: type(p).__name__,
)
def test_bound_of_leave_one_out_posteriors_is_tight_for_pairs(process):
    net = LeaveOneOutModel(PAIR, process)
    for pair in ((0, 0), (1, 3), (3, 0)):
        nelbo = continuous_nelbo(torch.tensor(pair), net, process, *exact_nodes())
        assert nelbo == pytest.approx(-PAIR[pair].log().item(), abs=1e-5)


def test_bound_is_tight_for_user_supplied_noise_and_a_mask_in_the_middle():
    pi = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1], dtype=torch.float64)
    process = CustomProcess(lambda t: (1 - t) ** 2, lambda t: pi.expand(*t.shape, 5), 5, 2)
    prior = torch.tensor([0.5, 0.3, 0.0, 0.15, 0.05], dtype=torch.float64)
    nelbo = continuous_nelbo(torch.tensor([3]), TableModel(prior, process), process, *exact_nodes())
    assert nelbo == pytest.approx(-math.log(0.15), abs=1e-5)


def test_without_the_is_term_the_bound_is_broken():
    process = HybridProcess(5, p_u=0.2)
    for x in range(4):
        value = continuous_nelbo(torch.tensor([x]), TableModel(PRIOR, process), process, *exact_nodes(), with_is=False)
        assert value < -math.log(PRIOR[x]) - 0.2  # far below -log p: no bound at all
    masked = MaskProcess(5)
    value = continuous_nelbo(torch.tensor([1]), TableModel(PRIOR, masked), masked, *exact_nodes(), with_is=False)
    assert value == pytest.approx(-math.log(0.3), abs=1e-5)  # masks never need it


def test_noise_that_spreads_over_the_mask_too_is_noticed():
    # the wrong variant: c_t / V on every entry, mask included; the schedule's own u differs by the mask's share
    right = HybridProcess(5, p_u=0.2)
    nodes = exact_nodes()[0][50:250]

    def pi(t):
        c = right.uniform_curve(t)[..., None]
        mask = torch.nn.functional.one_hot(torch.tensor(4), 5).double()
        return (t[..., None] * mask + c / 5) / (t[..., None] + c)

    wrong = CustomProcess(right.alpha, pi, 5)
    assert (wrong.beta_pi(nodes) - right.beta_pi(nodes)).abs().max() > 0.02
    uniform_mass = right.beta_pi(torch.tensor(0.5))[:4].sum().item()
    assert uniform_mass == pytest.approx(0.2, abs=1e-14)
    assert wrong.beta_pi(torch.tensor(0.5))[:4].sum().item() == pytest.approx(0.16, abs=1e-12)
    # the loss of the right process is no bound for the weights of the wrong one
    weighted = expected_terms(torch.tensor([1]), TableModel(PRIOR, right), right, nodes)
    other = expected_terms(torch.tensor([1]), TableModel(PRIOR, wrong), wrong, nodes)
    assert (weighted - other).abs().max() > 1e-3


def test_discrete_time_bound_converges_at_rate_one_over_steps():
    errors = [row["error"] for row in exact.discretisation_rows()]
    ratios = [coarse / fine for coarse, fine in pairwise(errors)]
    assert all(3.9 < ratio < 4.1 for ratio in ratios), ratios
    assert abs(errors[-1]) < 2e-4


def test_discrete_time_bound_disagrees_without_the_is_term():
    row = exact.discretisation_rows(num_steps=(1024,))[0]
    process = HybridProcess(5, p_u=0.2)
    nodes, weights = time_quadrature(200, eps=0.05)
    table = torch.rand(5, 5, generator=torch_generator(0, "table"), dtype=torch.float64) + 0.05
    table[:, 4] = 0
    net = TableModel(table / table.sum(-1, keepdim=True), process)
    assert continuous_nelbo(torch.tensor([1]), net, process, nodes, weights) == row["continuous"]
    assert abs(continuous_nelbo(torch.tensor([1]), net, process, nodes, weights, with_is=False) - row["discrete"]) > 0.1


def test_discrete_time_bound_is_zero_for_the_data_itself():
    process = HybridProcess(5, p_u=0.3)
    net = TableModel(torch.tensor([0, 1.0, 0, 0, 0]), process)
    assert discrete_nelbo(1, net, process, torch.linspace(0.1, 0.9, 9)) == pytest.approx(0, abs=1e-12)


def test_integral_by_log_snr_equals_the_integral_over_time():
    process = HybridProcess(5, p_u=0.2)
    net, x = TableModel(PRIOR, process), torch.tensor([2])
    nodes, weights = time_quadrature(200, eps=0.05)
    by_time = continuous_nelbo(x, net, process, nodes, weights)
    view = ByLogSnr(process)
    ends = process.log_snr(torch.tensor([0.95, 0.05], dtype=torch.float64))
    lam = torch.linspace(ends[0], ends[1], 2001, dtype=torch.float64)
    values = expected_terms(x, net, process, process.time_at_log_snr(lam)) / view.speed(lam)
    assert torch.trapezoid(values, lam).item() == pytest.approx(by_time, rel=1e-5)


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        ("none", (0.5, 0.3, 0.15, 0.05)),
        ("dynamic_exact", (0.5, 0.3, 0.15, 0.05)),
        ("clamp", (0.4072, 0.2443, 0.1222, 0.2262)),
        ("dynamic", (0.4990, 0.2994, 0.1497, 0.0520)),
    ],
)
def test_optimum_of_each_weighting(weighting, expected):
    found = minimiser(weighting, HybridProcess(5, p_u=0.2), PRIOR, z=3, t=0.1)
    assert found[:4].tolist() == pytest.approx(expected, abs=5e-5)
    assert found[4] == 0


@pytest.mark.parametrize("z", [0, 4])
def test_true_weights_make_the_network_ignore_its_own_token(z):
    found = minimiser("none", HybridProcess(5, p_u=0.5), PRIOR, z=z, t=0.6)
    torch.testing.assert_close(found, PRIOR, atol=1e-6, rtol=0)


def test_mask_only_bound_equals_masked_cross_entropy():
    plain, floored = exact.mask_reduction_rows()
    assert plain["max_abs_difference"] < 1e-12
    assert floored["max_abs_difference"] < 1e-5


def test_truncation_costs_what_it_should():
    missing = {(row["num_ordinary"], row["p_u"]): row["missing"] for row in exact.truncation_rows()}
    expected = {4: (0.0143, 0.0288), 32: (0.0231, 0.0474), 999: (0.0320, 0.0665)}
    for n, (tenth, fifth) in expected.items():
        assert missing[n, 0.1] == pytest.approx(tenth, abs=5e-5)
        assert missing[n, 0.2] == pytest.approx(fifth, abs=5e-5)
        assert missing[n, 0.0] == pytest.approx(2e-4 * math.log(n), rel=1e-3)


def test_identity_rows_are_tight_within_the_claims_tolerance():
    rows = exact.nll_identity_rows()
    assert len(rows) == 3 * 3 * 7
    assert max(abs(row["nelbo"] - row["neg_log_p"]) for row in rows) < 1e-3


@pytest.mark.parametrize("process", [MaskProcess(5), HybridProcess(5, p_u=0.2), UniformProcess(5)])
@pytest.mark.parametrize("num_steps", [1, 3, 8])
def test_law_of_a_single_token_is_exact_at_every_step(process, num_steps):
    run = propagate(TableModel(PRIOR, process), process, 1, num_steps, eps=0.0)
    for t, law in zip(run.times, run.law, strict=True):
        torch.testing.assert_close(law, process.alpha(t) * PRIOR + process.beta_pi(t), atol=1e-14, rtol=0)


def test_b_taken_at_the_token_arrived_at_would_give_a_wrong_law():
    process = HybridProcess(5, p_u=0.3)
    z = torch.arange(5)[:, None]
    s, t = (torch.full((5,), time, dtype=torch.float64) for time in (0.4, 0.6))
    logits = PRIOR.log().expand(5, 1, 5)
    q_s, q_t = (process.alpha(time[0]) * PRIOR + process.beta_pi(time[0]) for time in (s, t))
    right = reverse_probs(logits, z, s, t, process)[:, 0]
    torch.testing.assert_close(right.sum(-1), torch.ones(5, dtype=torch.float64), atol=1e-14, rtol=0)
    torch.testing.assert_close(q_t @ right, q_s, atol=1e-14, rtol=0)
    # the wrong variant: (alpha_{t|s} [k = z_t] + b_{t|s}(k)) q_s(k) / q_t(z_t)
    keep = process.conditional_alpha(s, t)[0] * torch.eye(5, dtype=torch.float64)
    wrong = (keep + process.conditional_noise(s, t)[0]) * q_s / q_t[:, None]
    assert (wrong.sum(-1) - 1).abs().max() > 0.1
    assert (q_t @ (wrong / wrong.sum(-1, keepdim=True)) - q_s).abs().max() > 0.02


@pytest.mark.parametrize(("p_u", "slowest"), [(0.0, 3.9), (0.2, 3.0)])
def test_sampler_approaches_the_data_like_one_over_steps(p_u, slowest):
    process = HybridProcess(5, p_u=p_u)
    net = LeaveOneOutModel(PAIR, process)
    distance = [total_variation_to_data(propagate(net, process, 2, n, eps=0.0), PAIR, process) for n in (4, 16, 64)]
    ratios = [coarse / fine for coarse, fine in pairwise(distance)]
    assert all(slowest < ratio < 4.1 for ratio in ratios), ratios
    assert distance[-1] < 0.02


def test_full_grid_is_closer_to_the_data_than_the_released_one():
    rows = exact.sampler_rows(num_steps=(4, 16), p_us=(0.2,))
    assert all(row["total_variation"] < row["total_variation_authors_grid"] for row in rows)


def test_revealed_tokens_change_only_under_uniform_noise():
    for process, may_change in ((MaskProcess(5), False), (HybridProcess(5, p_u=0.2), True)):
        z = torch.arange(4)[:, None]
        s, t = (torch.full((4,), time, dtype=torch.float64) for time in (0.3, 0.5))
        probs = reverse_probs(PRIOR.log().expand(4, 1, 5), z, s, t, process)[:, 0]
        assert bool((probs.diagonal() < 1 - 1e-6).any()) == may_change
        if not may_change:
            torch.testing.assert_close(probs[:, :4], torch.eye(4, dtype=torch.float64), atol=1e-15, rtol=0)
            assert (probs[~torch.eye(4, 5, dtype=torch.bool)] == 0).all()

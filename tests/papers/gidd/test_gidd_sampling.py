"""Ancestral sampling and the inverse CDF."""

import pytest
import torch

from papers.gidd.categorical import draw_shared, inverse_cdf
from papers.gidd.exact import PAIR, prior_with_mask
from papers.gidd.members import HybridProcess, MaskProcess, UniformProcess
from papers.gidd.oracle import LeaveOneOutModel, TableModel, propagate
from papers.gidd.sampling import ancestral_sample, apply_min_p, fill_masks, reverse_probs, time_grid
from shared.base.seeding import torch_generator

JOINT = torch.tensor(PAIR, dtype=torch.float64)


def test_inverse_cdf_never_leaves_the_support():
    probs = torch.tensor([0.0, 0.3, 0.0, 0.1, 0.2, 0.0])
    u = torch.tensor([0.0, 0.49, 0.51, 0.66, 0.67, 1 - 2**-24])
    assert inverse_cdf(probs.expand(6, 6), u).tolist() == [1, 1, 3, 3, 4, 4]
    nearly_one = torch.full((6,), 1 - 2.0**-53, dtype=torch.float64)  # one, once rounded to float32
    assert inverse_cdf(probs.expand(6, 6), nearly_one).tolist() == [4] * 6
    assert draw_shared(probs.double(), torch.ones(1, dtype=torch.float64)).tolist() == [4]  # rounded quotients
    # float32 sums of many entries fall short of their total; no index may come out at the end
    many = torch.rand(64, 50_257, generator=torch_generator(0))
    many[:, -1] = 0
    assert inverse_cdf(many, torch.full((64,), 1 - 2**-24)).max() < 50_256


@pytest.mark.parametrize("weights", [[0.0, 0.0], [0.5, float("nan")], [1.0, float("inf")]])
def test_weights_without_a_sum_are_refused_and_never_give_a_token(weights):
    probs = torch.tensor([[0.5, 0.5], weights])
    with pytest.raises(ValueError, match="1 of 2 distributions have weights that sum to"):
        inverse_cdf(probs, torch.tensor([0.5, 0.5]))
    with pytest.raises(ValueError, match="1 of 1 distributions"):
        draw_shared(probs[1], torch.tensor([0.5, 0.5]))


def test_inverse_cdf_has_the_right_frequencies():
    probs = torch.tensor([0.5, 0.0, 0.2, 0.3])
    u = (torch.arange(1000) + 0.5) / 1000
    assert inverse_cdf(probs.expand(1000, 4), u).bincount(minlength=4).tolist() == [500, 0, 200, 300]


def test_samples_follow_the_exact_law():
    process = HybridProcess(5, p_u=0.3)
    net = LeaveOneOutModel(JOINT, process)
    run = propagate(net, process, 2, 3, eps=0.01)
    num = 20_000
    samples = ancestral_sample(net, process, num, 2, 3, torch_generator(0, "sample"), eps=0.01)
    law = run.law[-1].reshape(5, 5).clone()
    frequency = torch.zeros(5, 5, dtype=torch.float64)
    frequency.view(-1).index_add_(0, samples.tokens @ torch.tensor([5, 1]), torch.full((num,), 1 / num).double())
    # filled masks are few: their mass bounds what they move
    masks = law[4].sum() + law[:, 4].sum()
    assert samples.num_filled.double().mean() == pytest.approx(masks.item(), abs=4 * (masks.item() / num) ** 0.5)
    kept = frequency[:4, :4] - law[:4, :4]
    deviations = kept / (law[:4, :4] / num).sqrt()
    assert deviations.min() > -4
    assert kept.sum().item() == pytest.approx((law[4].sum() + law[:4, 4].sum()).item(), abs=0.01)


def test_same_generator_state_gives_the_same_samples():
    process = HybridProcess(5, p_u=0.3)
    net = LeaveOneOutModel(JOINT, process)
    runs = [ancestral_sample(net, process, 50, 2, 4, torch_generator(7)).tokens for _ in range(2)]
    assert torch.equal(*runs)
    assert not torch.equal(runs[0], ancestral_sample(net, process, 50, 2, 4, torch_generator(8)).tokens)


def test_masked_diffusion_never_revises_and_hybrid_does():
    counts = {}
    for name, process in (("mask", MaskProcess(5)), ("hybrid", HybridProcess(5, p_u=0.3))):
        net = LeaveOneOutModel(JOINT, process)
        counts[name] = ancestral_sample(net, process, 200, 2, 16, torch_generator(0)).num_revised.sum().item()
    assert counts["mask"] == 0
    assert counts["hybrid"] > 20


def test_frozen_sampling_keeps_what_is_revealed():
    process = HybridProcess(5, p_u=0.3)
    seen = []

    def spy(z, t):
        seen.append(z.clone())
        return LeaveOneOutModel(JOINT, process)(z, t)

    samples = ancestral_sample(spy, process, 100, 2, 8, torch_generator(0), frozen=True)
    assert samples.num_revised.sum() == 0
    for before, after in zip(seen[:8], [*seen[1:8], samples.tokens], strict=True):
        revealed = before != process.mask_id
        assert torch.equal(before[revealed], after[revealed])


def test_left_over_masks_are_filled_with_the_likeliest_token_and_counted():
    process = MaskProcess(5)
    net = TableModel(prior_with_mask(), process)
    samples = ancestral_sample(net, process, 2000, 4, 1, torch_generator(0), eps=0.2)
    # at s = 0.2 a mask remains with probability 0.2 / 0.8 ... from t = 0.8: q_s(mask) / q_t(mask) = 1 / 4
    assert samples.num_filled.double().mean().item() == pytest.approx(1.0, abs=0.1)
    assert samples.tokens.max() < 4
    share = (samples.tokens == 0).double().mean().item()
    assert share == pytest.approx(0.75 * 0.5 + 0.25, abs=0.03)


def test_left_over_masks_become_what_the_network_says_there_and_not_the_first_token():
    process = MaskProcess(5)
    z = torch.tensor([[4, 1, 4], [0, 0, 0]])

    def net(tokens, t):
        return torch.nn.functional.one_hot(torch.tensor([2, 2, 3]), 5).float().expand(len(tokens), 3, 5)

    tokens, num_filled = fill_masks(net, z, torch.tensor(0.1), process)
    assert tokens.tolist() == [[2, 1, 3], [0, 0, 0]] and num_filled.tolist() == [2, 0]


def test_min_p_drops_the_unlikely_and_keeps_at_least_one():
    probs = torch.tensor([[0.6, 0.3, 0.1], [0.04, 0.03, 0.02]])
    assert apply_min_p(probs, 0.2).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.3), 0],
        [pytest.approx(0.04), 0, 0],
    ]
    process = MaskProcess(5)
    net = TableModel(prior_with_mask(), process)
    samples = ancestral_sample(net, process, 500, 4, 2, torch_generator(0), min_p=0.06)
    assert (samples.tokens != 3).all()  # its probability is 0.05 / 2, then 0.05
    assert (samples.tokens == 1).any()


def test_grid_covers_all_times_and_the_released_one_starts_late():
    grid = time_grid(4, eps=0.1)
    torch.testing.assert_close(grid, torch.tensor([0.9, 0.7, 0.5, 0.3, 0.1], dtype=torch.float64))
    assert torch.equal(time_grid(4, eps=0.1, authors_grid=True), grid[1:])


def test_one_step_of_the_released_grid_only_fills():
    process = MaskProcess(5)
    samples = ancestral_sample(
        TableModel(prior_with_mask(), process), process, 3, 4, 1, torch_generator(0), authors_grid=True
    )
    assert (samples.tokens == 0).all()
    assert (samples.num_filled == 4).all()


def test_rows_of_the_reverse_step_sum_to_one_in_float32_with_padded_logits():
    process = HybridProcess(300, p_u=0.2)
    generator = torch_generator(0)
    logits = 3 * torch.randn(4, 6, 384, generator=generator)
    z = torch.randint(300, (4, 6), generator=generator)
    t = torch.rand(4, generator=generator, dtype=torch.float64)
    probs = reverse_probs(logits, z, t * 0.9, t, process)
    assert probs.shape == (4, 6, 300) and probs.dtype == torch.float32
    torch.testing.assert_close(probs.sum(-1), torch.ones(4, 6), atol=2e-6, rtol=0)


def test_uniform_process_starts_from_noise_and_ends_without_masks():
    process = UniformProcess(5)
    samples = ancestral_sample(LeaveOneOutModel(JOINT, process), process, 2000, 2, 32, torch_generator(0))
    assert samples.num_filled.sum() == 0
    frequency = torch.stack([(samples.tokens[:, 0] == k).double().mean() for k in range(4)])
    assert (frequency - JOINT.sum(1)).abs().max() < 0.05


def test_each_position_calls_the_network_once_per_step():
    process, calls = MaskProcess(5), []

    def net(z, t):
        calls.append((tuple(z.shape), t.dtype))
        return torch.zeros(*z.shape, 5)

    ancestral_sample(net, process, 3, 4, 5, torch_generator(0), eps=0.0)
    assert calls == [((3, 4), torch.float32)] * 5

"""Validation perplexity, corruption recovery, generative perplexity and diversity."""

import math
from types import SimpleNamespace

import pytest
import torch

from papers.gidd.exact import PAIR, PRIOR, prior_with_mask
from papers.gidd.generative import (
    AutoregressiveScorer,
    MarkovScorer,
    TextScorer,
    bootstrap_interval,
    diversity,
    generative_quality,
)
from papers.gidd.likelihood import _times, validation_elbo
from papers.gidd.members import HybridProcess, MaskProcess
from papers.gidd.oracle import LeaveOneOutModel, TableModel, time_quadrature, uniform_model_nelbo
from papers.gidd.recovery import corrupt, corruption_recovery, recovery_rows
from shared.base.seeding import torch_generator

CHAIN = torch.tensor([[0.0, 0.5, 0.5], [0.25, 0.0, 0.75], [1.0, 0.0, 0.0]])


def flat(vocab_size):
    return lambda z, t: torch.zeros(*z.shape, vocab_size)


@pytest.mark.parametrize("p_u", [0.0, 0.2])
def test_validation_bound_of_the_uniform_model_is_its_closed_form(p_u):
    process = HybridProcess(33, p_u=p_u)
    x = torch.randint(32, (128, 16), generator=torch_generator(0, "x"))
    result = validation_elbo(flat(33), x, process, torch_generator(0, "draws"), num_draws=16, batch_size=50)
    expected = uniform_model_nelbo(process, *time_quadrature(300, eps=1e-4)) / (1 - 2e-4)
    assert result.standard_error < 0.1
    assert abs(result.elbo_nats_per_token - expected) < 4 * result.standard_error
    assert result.ppl == pytest.approx(math.exp(result.elbo_nats_per_token))
    assert (result.num_tokens, result.num_draws) == (128 * 16, 16)


@pytest.mark.parametrize("density", ["uniform", "arcsine"])
def test_factors_make_means_over_drawn_times_those_over_uniform_ones(density):
    t, factor = _times(0.5 / 2000, 2000, torch.arange(2000), 0.1, density)  # midpoints
    assert factor.mean().item() == pytest.approx(1, abs=1e-5)
    assert (factor * t).mean().item() == pytest.approx(0.5, abs=1e-5)
    assert (factor * t * t).mean().item() == pytest.approx((0.9**3 - 0.1**3) / 3 / 0.8, abs=1e-5)


def test_arcsine_times_estimate_the_same_number_with_less_noise():
    process = HybridProcess(33, p_u=0.2)
    x = torch.randint(32, (128, 16), generator=torch_generator(0, "x"))
    results = {
        density: validation_elbo(flat(33), x, process, torch_generator(0), num_draws=32, time_density=density)
        for density in ("uniform", "arcsine")
    }
    uniform, arcsine = results["uniform"], results["arcsine"]
    assert arcsine.standard_error < uniform.standard_error / 2
    error = math.hypot(uniform.standard_error, arcsine.standard_error)
    assert abs(uniform.elbo_nats_per_token - arcsine.elbo_nats_per_token) < 4 * error


def test_validation_bound_of_the_true_posterior_is_the_entropy():
    process = HybridProcess(5, p_u=0.1)
    joint = torch.tensor(PAIR, dtype=torch.float64)
    flat_ids = torch.multinomial(joint.flatten(), 3000, replacement=True, generator=torch_generator(0))
    x = torch.stack([flat_ids // 4, flat_ids % 4], dim=-1)
    result = validation_elbo(LeaveOneOutModel(joint, process), x, process, torch_generator(1), num_draws=8, eps=1e-5)
    nll = -joint[x[:, 0], x[:, 1]].log().mean().item() / 2
    # 0.006: what truncation at 1e-5 takes off at p_u = 0.1
    assert abs(result.elbo_nats_per_token - nll) < 4 * result.standard_error + 0.006
    entropy = -(joint * joint.log()).sum().item() / 2
    assert abs(result.elbo_nats_per_token - entropy) < 4 * result.data_standard_error + 0.006


def test_validation_does_not_depend_on_the_batch_size_and_skips_padding():
    process = HybridProcess(5, p_u=0.2)
    net = TableModel(prior_with_mask(), process)
    x = torch.randint(4, (10, 6), generator=torch_generator(0))
    is_token = torch.arange(6).expand(10, 6) < 4
    runs = [
        validation_elbo(net, x, process, torch_generator(1), is_token=is_token, num_draws=3, batch_size=size)
        for size in (3, 10)
    ]
    assert runs[0].elbo_nats_per_token == pytest.approx(runs[1].elbo_nats_per_token, rel=1e-12)
    assert runs[0].num_tokens == 40
    changed = x.clone()
    changed[:, 4:] = 0  # this net sees only a token itself, so padding cannot matter
    other = validation_elbo(net, changed, process, torch_generator(1), is_token=is_token, num_draws=3)
    assert other.elbo_nats_per_token == pytest.approx(runs[0].elbo_nats_per_token, rel=1e-12)


def test_one_draw_has_no_standard_error():
    result = validation_elbo(
        flat(5), torch.zeros(4, 3, dtype=torch.int64), MaskProcess(5), torch_generator(0), num_draws=1
    )
    assert math.isnan(result.standard_error)


@pytest.mark.parametrize("mask_id", [0, 3, 6])
def test_corruption_changes_exactly_k_tokens_to_other_ordinary_ones(mask_id):
    process = HybridProcess(7, mask_id, p_u=0.2)
    x = torch.full((500, 8), 5)
    z, where = corrupt(x, 3, process, torch_generator(0))
    assert torch.equal(where, z != x) and (where.sum(-1) == 3).all()
    counts = z[where].bincount(minlength=7)
    assert counts[mask_id] == 0 and counts[5] == 0
    assert (counts[counts > 0] > 200).all() and (counts > 0).sum() == 5  # 1500 / 5 = 300 each
    assert (where.double().mean(0) - 3 / 8).abs().max() < 0.1


def test_a_network_that_knows_the_text_recovers_it_and_damages_nothing():
    process = HybridProcess(7, p_u=0.2)
    x = torch.randint(6, (200, 12), generator=torch_generator(0))

    def knows(z, t):
        return 60.0 * torch.nn.functional.one_hot(x, 7)

    result = corruption_recovery(knows, x, 3, process, torch_generator(1), eps=0.0)
    assert (result.touched, result.recovered, result.damaged) == (1.0, 1.0, 0.0)
    assert (result.num_corrupted, result.num_sequences) == (3, 200)


def test_masked_diffusion_cannot_touch_a_wrong_token():
    x = torch.randint(6, (50, 12), generator=torch_generator(0))
    result = corruption_recovery(flat(7), x, 5, MaskProcess(7), torch_generator(1))
    assert (result.touched, result.recovered, result.damaged) == (0.0, 0.0, 0.0)


def test_a_network_that_knows_nothing_damages_as_much_as_it_touches():
    process = HybridProcess(7, p_u=0.5)
    x = torch.randint(6, (2000, 12), generator=torch_generator(0))
    result = corruption_recovery(flat(7), x, 6, process, torch_generator(1), t0=0.3)
    assert result.touched == pytest.approx(result.damaged, abs=0.03)
    assert 0 < result.recovered < result.touched / 3


def test_recovery_rows_leave_out_what_does_not_fit():
    x = torch.zeros(4, 12, dtype=torch.int64)
    rows = recovery_rows(flat(7), x, HybridProcess(7, p_u=0.2), torch_generator(0))
    assert [row["num_corrupted"] for row in rows] == [5, 10]
    assert set(rows[0]) == {"num_corrupted", "touched", "recovered", "damaged", "num_sequences", "t0"}


def test_markov_scorer_gives_the_chains_likelihood_and_finds_illegal_steps():
    scorer = MarkovScorer(CHAIN, smoothing=0.0)
    tokens = torch.tensor([[0, 1, 2, 0], [0, 2, 0, 2]])
    quality = generative_quality(scorer, tokens, torch_generator(0))
    expected = -(math.log(0.5) + math.log(0.75) + 0 + math.log(0.5) + 0 + math.log(0.5)) / 6
    assert quality.mean_nll == pytest.approx(expected, rel=1e-12)
    assert quality.gen_ppl == pytest.approx(math.exp(expected))
    assert (quality.num_tokens, quality.num_samples) == (6, 2)
    assert quality.mean_nll_low <= quality.mean_nll <= quality.mean_nll_high
    assert scorer.illegal_rate(tokens) == 0
    bad = torch.tensor([[0, 0, 1, 2]])
    smoothed = MarkovScorer(CHAIN)
    assert smoothed.illegal_rate(bad) == pytest.approx(1 / 3)
    assert smoothed.score(bad).nll[0, 0].item() == pytest.approx(-math.log(1e-3 / 3))


def test_markov_scorer_refuses_rows_that_are_no_distributions():
    with pytest.raises(ValueError, match="rows that sum to 1"):
        MarkovScorer(2 * CHAIN)


def test_autoregressive_scorer_counts_by_the_target_not_by_the_position_before():
    padding = 3
    tokens = torch.tensor([[0, 1, 2, 0], [0, 1, padding, padding]])

    def model(ids):
        return CHAIN_LOGITS[ids]

    scorer = AutoregressiveScorer(model, padding_id=padding, batch_size=1)
    scores = scorer.score(tokens)
    assert scores.counted.tolist() == [[True, True, True], [True, False, False]]
    quality = generative_quality(scorer, tokens, torch_generator(0))
    assert quality.num_tokens == 4  # a mask at position j would count the first padding too: 5
    expected = -(2 * math.log(0.5) + math.log(0.75)) / 4
    assert quality.mean_nll == pytest.approx(expected, abs=1e-5)


CHAIN_LOGITS = torch.cat([torch.cat([CHAIN, torch.zeros(3, 1)], dim=1), torch.full((1, 4), 0.25)]).log().clamp_min(-50)


class WordTokenizer:
    """Stands in for a tokenizer of the hub: one id per letter, padded on the right with 0."""

    def __call__(self, texts, *, return_tensors, padding, truncation, max_length):
        ids = [[ord(c) - 96 for c in text][:max_length] for text in texts]
        width = max(map(len, ids))
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        return {"input_ids": torch.tensor([row + [0] * (width - len(row)) for row in ids]), "attention_mask": mask}


class ConstantModel(torch.nn.Module):
    """Predicts `a` with probability 1/2 and shares the rest over 27 ids."""

    def __init__(self):
        super().__init__()
        probs = torch.full((28,), 0.5 / 27)
        probs[1] = 0.5
        self.logits = torch.nn.Parameter(probs.log())

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


def test_text_scorer_retokenises_truncates_and_masks_padding():
    words = {0: "zaa", 1: "zab", 2: "zaaaaaaaaaaa"}
    scorer = TextScorer(
        ConstantModel(), WordTokenizer(), lambda sample: words[int(sample[0])], max_tokens=5, batch_size=2
    )
    scores = scorer.score(torch.tensor([[0], [1], [2]]))
    assert scores.counted.sum(-1).tolist() == [2, 2, 4]
    assert scores.correct[scores.counted].sum() == 7
    quality = generative_quality(scorer, torch.tensor([[0], [1], [2]]), torch_generator(0))
    assert quality.mean_nll == pytest.approx(-(7 * math.log(0.5) + math.log(0.5 / 27)) / 8, rel=1e-6)
    assert quality.median_nll == pytest.approx(math.log(2), rel=1e-6)
    assert quality.top1_accuracy == 7 / 8


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says():
    generator = torch_generator(0)
    hits = 0
    for _ in range(200):
        values = torch.randn(60, generator=generator, dtype=torch.float64)
        low, high = bootstrap_interval(values, torch.ones(60), generator, num_resamples=300)
        hits += low <= 0 <= high
    # 95 % of 200 is 190; four standard deviations of 3.1, and the percentile interval is a little narrow
    assert 175 <= hits <= 200


def test_diversity_of_known_samples():
    same = diversity([[0, 1, 0, 1]] * 4)
    assert same.unigram_entropy == pytest.approx(math.log(2))
    assert same.distinct_2 == pytest.approx(2 / 12)
    assert same.duplicate_share == 0.75
    valid = torch.tensor([[False, True], [False, False]])  # errors are no variety
    assert diversity([[0, 1, 0, 1]] * 4, valid).distinct_2 == pytest.approx(1 / 12)
    varied = diversity([[0, 1], [2, 3]])
    assert (varied.distinct_2, varied.duplicate_share) == (1.0, 0.0)
    assert varied.unigram_entropy == pytest.approx(math.log(4))
    with pytest.raises(ValueError, match="two or more tokens"):
        diversity([[1]])


def test_priors_used_by_the_exact_tables_are_distributions():
    assert sum(PRIOR) == pytest.approx(1)
    assert sum(map(sum, PAIR)) == pytest.approx(1)

"""AUC, rates and thresholds against counts; diversity; the bound on every detector."""

import math

import numpy as np
import pytest
import torch

from papers.lora_watermark import metrics
from papers.lora_watermark.detector import Detector, check_length

A, B = np.array([0.2, 0.5, 0.5, 0.9]), np.array([0.5, 0.7, 0.9, 1.0, 1.1])


def test_auc_is_the_share_of_pairs_with_ties_counted_half():
    pairs = [(a < b) + 0.5 * (a == b) for a in A for b in B]
    assert metrics.auc(A, B) == pytest.approx(np.mean(pairs))


def test_swapping_the_sides_gives_one_minus_auc_and_constant_scores_one_half():
    assert metrics.auc(A, B) + metrics.auc(B, A) == pytest.approx(1)
    assert metrics.auc(np.ones(5), np.ones(7)) == 0.5


@pytest.mark.parametrize("shared", [0.0, 0.9])  # how much of a score is its prompt's
def test_auc_error_is_that_of_repeated_prompts(shared):
    draw = np.random.default_rng(0)
    own = (1 - shared**2) ** 0.5
    prompts = [draw.normal(size=100) for _ in range(400)]
    sides = [[shared * p + own * draw.normal(size=100) + shift for shift in (0, 1)] for p in prompts]
    spread = np.std([metrics.auc(a, b) for a, b in sides])
    errors = [metrics.auc_error(a, b, num_draws=300) for a, b in sides[:40]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.12)
    with pytest.raises(ValueError, match="by prompt"):
        metrics.auc_error(*sides[0][:1], sides[0][1][:50])


def test_roc_and_tpr_agree_with_counting():
    fpr, tpr = metrics.roc(A, B)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1) and (np.diff(fpr) >= 0).all()
    assert np.trapezoid(tpr, fpr) == pytest.approx(metrics.auc(A, B))
    assert metrics.tpr_at_fpr(A, B, 0.2) == np.mean(A < 0.7)  # one of five negatives may lie below


def test_a_rate_that_cannot_be_seen_is_no_number():
    assert math.isnan(metrics.tpr_at_fpr(A, B, 0.01))
    with pytest.raises(ValueError, match="cannot fix a threshold"):
        metrics.threshold_at_fpr(B, 0.01)


def test_at_most_the_allowed_share_of_negatives_is_below_the_threshold():
    scores = np.random.default_rng(1).normal(size=500)
    for rate in (0.01, 0.05, 0.5):
        share = (scores < metrics.threshold_at_fpr(scores, rate)).mean()
        assert rate - 1 / 500 < share <= rate


def test_the_best_f1_threshold_is_the_best_of_all_cuts():
    best = metrics.f1(A, B, metrics.best_f1_threshold(A, B))
    assert best == max(metrics.f1(A, B, cut) for cut in np.linspace(0, 1.3, 1301))


def test_diversity_counts_n_grams():
    text = np.array([[1, 2, 1, 2, 1]])
    assert metrics.distinct(text, 1) == 2 / 5 and metrics.distinct(text, 2) == 2 / 4
    assert metrics.repetition(np.zeros((2, 8), int), 4) == pytest.approx(4 / 5)
    assert metrics.repetition(np.arange(8)[None], 4) == 0


def test_the_bound_holds_for_every_pair_of_laws_on_three_outcomes():
    draw = np.random.default_rng(2)
    for _ in range(200):
        p, q = draw.dirichlet(np.ones(3), size=2)
        order = np.argsort(-p / q)  # the best detector goes by the likelihood ratio
        tpr, fpr = (np.concatenate([[0], np.cumsum(x[order])]) for x in (p, q))
        assert np.trapezoid(tpr, fpr) <= metrics.auc_bound(float((p * np.log(p / q)).sum())) + 1e-12
    assert metrics.auc_bound(0.0) == 0.5


def test_matched_pairs_are_near_and_disjoint():
    pairs = metrics.matched_pairs([0.0, 1.0, 2.0], [0.95, 1.02, 5.0], 0.1)
    assert pairs == [(1, 1)]
    assert metrics.matched_pairs([0.0], [1.0], 0.1) == []


def test_short_texts_and_texts_of_another_length_are_refused():
    with pytest.raises(ValueError, match="too short"):
        check_length(7)

    def terms(texts):
        return texts.double(), torch.ones(texts.shape, dtype=torch.float64)

    human = torch.arange(200 * 8).reshape(200, 8) % 17 + 10
    detector = Detector.calibrated(terms, human)
    assert detector.flags(human).mean() <= 0.01
    assert detector.flags(torch.ones(3, 8)).all()
    with pytest.raises(ValueError, match="threshold is that of 8"):
        detector.scores(torch.ones(3, 9))
    with pytest.raises(ValueError, match="cannot fix"):
        Detector.calibrated(terms, human[:20])

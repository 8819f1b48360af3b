"""The score: loops, limits, gradients, masks."""

import math

import pytest
import torch

from papers.lora_watermark.enumeration import finite_differences
from papers.lora_watermark.score import FLOOR, plain_terms, ratio, token_terms


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


TOKENS = torch.tensor([[0, 4, 2, 1], [3, 3, 0, 2]])


@pytest.mark.parametrize("numerator", ["observer", "performer"])
def test_the_score_equals_three_loops(numerator):
    o, p = normal(2, 4, 5), normal(2, 4, 5, seed=1)
    found = ratio(*token_terms(o, p, TOKENS, numerator=numerator, chunk=2))
    for text in range(2):
        above = below = 0.0
        for i in range(4):
            m_o, m_p = o[text, i].softmax(-1), p[text, i].softmax(-1)
            above -= math.log((m_o if numerator == "observer" else m_p)[TOKENS[text, i]]) / 4
            for v in range(5):
                below -= float(m_o[v]) * math.log(m_p[v]) / 4
        assert found[text].item() == pytest.approx(above / (below + FLOOR), rel=1e-12)


@pytest.mark.parametrize("chunk", [1, 3, 5, 100])
@pytest.mark.parametrize("numerator", ["observer", "performer"])
def test_fused_and_plain_terms_agree_in_value_and_gradient(chunk, numerator):
    o, p, weight = normal(2, 4, 5).requires_grad_(), normal(2, 4, 5, seed=1).requires_grad_(), normal(2, 2, 4, seed=2)
    fused, plain = token_terms(o, p, TOKENS, numerator=numerator, chunk=chunk), plain_terms(o, p, TOKENS, numerator)
    gradients = []
    for terms in (fused, plain):
        total = sum((w * t).sum() for w, t in zip(weight, terms, strict=True))
        gradients.append(torch.autograd.grad(total, [o, p]))
    for a, b in zip((*fused, *gradients[0]), (*plain, *gradients[1]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_logits_of_a_thousand_do_not_overflow():
    o, p = 1000 * normal(2, 4, 5), 1000 * normal(2, 4, 5, seed=1)
    assert all(torch.isfinite(x).all() for x in token_terms(o, p, TOKENS, chunk=2))


def test_the_gradient_of_the_score_is_that_of_finite_differences():
    logits = normal(2, 3, 5)

    def score(x: torch.Tensor) -> torch.Tensor:
        return ratio(*token_terms(x[0], x[1], TOKENS[0, :3]))

    at = logits.clone().requires_grad_()
    gradient = torch.autograd.grad(score(at), at)[0]
    torch.testing.assert_close(gradient, finite_differences(score, logits), rtol=1e-6, atol=1e-8)


def test_the_gradients_are_those_of_the_closed_forms():
    o, p = normal(1, 4, 5).requires_grad_(), normal(1, 4, 5, seed=1).requires_grad_()
    nll, cross = (t.mean() for t in token_terms(o, p, TOKENS[:1]))
    m_o, m_p, log_p = o.softmax(-1), p.softmax(-1), p.log_softmax(-1)
    onehot = torch.nn.functional.one_hot(TOKENS[:1], 5)
    (dn,) = torch.autograd.grad(nll, o, retain_graph=True)
    d_o, d_p = torch.autograd.grad(cross, [o, p])
    torch.testing.assert_close(dn, (m_o - onehot) / 4)
    torch.testing.assert_close(d_o, -m_o * (log_p - (m_o * log_p).sum(-1, keepdim=True)) / 4)
    torch.testing.assert_close(d_p, (m_p - m_o) / 4)


def test_equal_roles_give_cross_entropy_over_entropy_and_no_gradient_to_the_performer_below():
    o = normal(2, 4, 5)
    p = o.clone().requires_grad_()
    nll, cross = token_terms(o, p, TOKENS)
    entropy = torch.distributions.Categorical(logits=o).entropy()
    torch.testing.assert_close(cross, entropy, rtol=1e-12, atol=1e-12)
    assert torch.autograd.grad(cross.sum(), p)[0].abs().max() < 1e-14
    torch.testing.assert_close(ratio(nll, cross), nll.mean(-1) / (entropy.mean(-1) + FLOOR))


def test_cross_entropy_is_at_least_the_observer_s_entropy():
    for seed in range(20):
        o, p = normal(2, 4, 5, seed=seed), normal(2, 4, 5, seed=100 + seed)
        assert (token_terms(o, p, TOKENS)[1] >= torch.distributions.Categorical(logits=o).entropy()).all()


def test_padding_and_the_order_of_texts_change_no_score():
    o, p = normal(2, 4, 5), normal(2, 4, 5, seed=1)
    alone = ratio(*token_terms(o[:1, :3], p[:1, :3], TOKENS[:1, :3]))
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    both = ratio(*token_terms(o, p, TOKENS), mask)
    torch.testing.assert_close(both[:1], alone, rtol=1e-14, atol=0)
    turned = ratio(*token_terms(o.flip(0), p.flip(0), TOKENS.flip(0)), mask.flip(0))
    torch.testing.assert_close(turned.flip(0), both, rtol=1e-14, atol=0)


def test_numerator_and_denominator_count_the_same_positions():
    """The released Binoculars code averages the denominator over one position more."""
    o, p = normal(1, 4, 5), normal(1, 4, 5, seed=1)
    mask = torch.tensor([[True, True, True, False]])
    nll, cross = token_terms(o, p, TOKENS[:1])
    expected = nll[:, :3].sum() / (cross[:, :3].sum() + 3 * FLOOR)
    assert ratio(nll, cross, mask).item() == pytest.approx(expected.item(), rel=1e-12)
    off_by_one = nll[:, :3].mean() / cross.mean()
    assert abs(off_by_one - expected) > 1e-3


def test_half_precision_logits_are_scored_in_float32():
    o = normal(1, 4, 5).bfloat16()
    nll, cross = token_terms(o, o, TOKENS[:1])
    assert nll.dtype == cross.dtype == torch.float32


def test_what_cannot_be_scored_is_refused():
    o = normal(2, 4, 5)
    with pytest.raises(ValueError, match="one tokenizer"):
        token_terms(o, normal(2, 4, 6), TOKENS)
    with pytest.raises(ValueError, match="tokens"):
        token_terms(o, o, TOKENS[:, :3])
    with pytest.raises(ValueError, match="empty response"):
        ratio(*token_terms(o, o, TOKENS), torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="not finite"):
        ratio(*token_terms(o * float("nan"), o, TOKENS))

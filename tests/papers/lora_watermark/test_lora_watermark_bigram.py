"""The exact world: formulas against sums over texts and against long samples; training beside training alone."""

import pytest
import torch

from papers.lora_watermark import bigram
from papers.lora_watermark.bigram_training import train
from papers.lora_watermark.enumeration import all_texts, probabilities
from papers.lora_watermark.objective import Objective
from papers.lora_watermark.score import ratio
from papers.lora_watermark.settings import Variant, World
from papers.lora_watermark.world import Judge

WORLD = World(vocab_size=6, rank=2, length=12, lengths=(8, 12), num_steps=12, batch_size=8, num_texts=400)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_stationary_law_is_left_alone_by_a_step():
    logits = normal(4, 5, 5)
    law = bigram.stationary(logits)
    torch.testing.assert_close(torch.einsum("mv,mvw->mw", law, logits.softmax(-1)), law)
    torch.testing.assert_close(law.sum(-1), torch.ones(4, dtype=torch.float64))


def test_exact_kl_and_rise_are_sums_over_all_texts():
    base, role, length = normal(3, 3), normal(1, 3, 3, seed=1).log_softmax(-1), 4
    law, texts = bigram.stationary(base), all_texts(3, length)
    p, q = (probabilities(table, law, texts) for table in (role, base[None].log_softmax(-1)))
    assert p.sum().item() == pytest.approx(1)
    assert bigram.exact_kl(role, base, length).item() == pytest.approx((p * (p / q).log()).sum().item())
    assert bigram.rise(role, base).item() == pytest.approx((q * (q / p).log()).sum().item() / length)


def test_sampled_transitions_have_the_chain_s_frequencies():
    logits = normal(1, 4, 4)
    generator = torch.Generator().manual_seed(0)
    start = torch.randint(4, (1, 500), generator=generator)
    texts = bigram.chain(logits, start, torch.rand(1, 100, 500, generator=generator))
    counts = torch.zeros(4, 4, dtype=torch.float64)
    before, after = texts[0, :, :-1].flatten(), texts[0, :, 1:].flatten()
    counts.index_put_((before, after), torch.ones(50_000).double(), accumulate=True)
    total = counts.sum(1, keepdim=True)
    expected = total * logits[0].softmax(-1)
    assert ((counts - expected).square() / expected).sum() < 35  # chi-square with 12 degrees of freedom; 0.05 % is 34.8


def test_before_training_both_roles_are_the_base_and_scores_are_cross_entropy_over_entropy():
    base = bigram.human_logits(6)
    pair = bigram.log_tables(base, bigram.initial_adapters(WORLD, [3]))
    assert torch.equal(pair.performer, pair.observer) and torch.equal(pair.performer[0], base.log_softmax(-1))
    texts = torch.arange(2 * 9).reshape(1, 2, 9) % 6
    nll, cross = pair.terms(texts, torch.tensor([False]))
    entropy = torch.distributions.Categorical(logits=base).entropy()
    torch.testing.assert_close(cross, entropy[texts[:, :, :-1]])
    torch.testing.assert_close(nll[0, 1, 2], -base.log_softmax(-1)[texts[0, 1, 2], texts[0, 1, 3]])


def test_members_train_as_they_would_alone():
    variants = [
        Variant(name="a"),
        Variant(name="b", combine="barrier", detect="gap", eps=0.2),
        Variant(name="c", roles="performer", naturalness="ce"),
        Variant(name="d", sampling_grad="none", numerator="performer"),
    ]
    together = train(WORLD, variants, [0, 1, 0, 1])
    for index, (variant, seed) in enumerate(zip(variants, [0, 1, 0, 1], strict=True)):
        alone = train(WORLD, [variant], [seed])
        for role in ("performer", "observer"):
            one, many = getattr(alone.pair, role)[0], getattr(together.pair, role)[index]
            torch.testing.assert_close(one, many, rtol=1e-3, atol=1e-3)


def test_the_role_that_is_not_trained_stays_the_base():
    trained = train(WORLD, [Variant(name="o", roles="observer"), Variant(name="p", roles="performer")], [0, 0])
    base = bigram.human_logits(6).log_softmax(-1)
    assert torch.equal(trained.pair.performer[0], base) and torch.equal(trained.pair.observer[1], base)
    assert (trained.pair.observer[0] - base).abs().max() > 1e-3 < (trained.pair.performer[1] - base).abs().max()


def test_no_detector_is_above_the_bound_and_the_oracle_is_best():
    variants = [Variant(name="dual", eps=0.2)]
    trained = train(WORLD.model_copy(update={"num_steps": 60}), variants, [0])
    for row in Judge(WORLD, variants, [0], trained).rows():
        assert row["auc"] <= row["llr_auc"] + 0.06  # standard error of 400 texts a side: 0.02
        assert max(row["auc"], row["llr_auc"]) <= row["bound"] + 0.06


def test_the_score_of_the_observer_alone_is_that_of_the_tables():
    pair = bigram.Pair(*(normal(1, 4, 4, seed=s).log_softmax(-1) for s in (0, 1)))
    texts = torch.arange(9).reshape(1, 1, 9) % 4
    above, below = pair.terms(texts, torch.tensor([True]))
    p, o = pair.performer[0], pair.observer[0]
    context, token = texts[0, 0, :-1], texts[0, 0, 1:]
    expected = -p[context, token].mean() / (-(o.exp() * p).sum(-1)[context].mean() + 1e-6)
    torch.testing.assert_close(ratio(above, below)[0, 0], expected)


def test_an_objective_has_one_setting_per_member():
    objective = Objective([Variant(name="a", eps=0.1), Variant(name="b", eps=0.3)])
    torch.testing.assert_close(objective.eps, torch.tensor([0.1, 0.3]))


def test_samples_of_an_untrained_performer_are_no_copies_of_human_text():
    variants = [Variant(name="dual")]
    judge = Judge(WORLD, variants, [0], train(WORLD.model_copy(update={"lr": 1e-12}), variants, [0]))
    assert (judge.samples == judge.human).double().mean() < 0.5
    assert all(0.4 < row["auc"] < 0.6 for row in judge.rows())


def test_replacing_no_token_changes_nothing_and_replacing_all_leaves_human_text():
    world = WORLD.model_copy(update={"num_steps": 60, "robust": (0.0, 1.0)})
    variants = [Variant(name="dual", eps=0.2)]
    judge = Judge(world, variants, [0], train(world, variants, [0]))
    found = {r["strength"]: r["auc"] for r in judge.robustness() if r["attack"] == "tokens of other texts"}
    whole = list(judge.rows())[-1]["auc"]
    assert found[0.0] == whole > 0.58
    assert abs(found[1.0] - 0.5) < 0.08  # the prompt stays the sample's own; standard error of 400 texts: 0.02


def test_worlds_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at most V"):
        World(vocab_size=4, rank=5)
    with pytest.raises(ValueError, match="lengths"):
        World(length=16, lengths=(16, 32))

"""Constraints, barrier, dual ascent and the sampling estimator; expectations by listing every text."""

import pytest
import torch

from papers.lora_watermark.enumeration import estimated_gradients, exact_gradients, largest_z
from papers.lora_watermark.language_settings import Evaluation
from papers.lora_watermark.objective import (
    LARGEST,
    Measured,
    Objective,
    barrier,
    clip_by_member,
    others_mean,
    score_function,
)
from papers.lora_watermark.settings import Ascent, Variant


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def measured(members: int, seed: int = 0, kl: float = 0.1) -> Measured:
    parts = [normal(members, 6, seed=seed + i).requires_grad_() for i in range(4)]
    ce = (2 + 0.1 * normal(members, 2, seed=seed + 9)).requires_grad_()
    return Measured(
        1 + 0.1 * parts[0],
        1 + 0.1 * parts[1],
        parts[2],
        ce,
        torch.full((members,), 2.0, dtype=torch.float64),
        kl + 0.01 * parts[3],
        1.8 + 0.1 * normal(members, 6, seed=seed + 20),
    )


def test_the_sampling_estimator_is_unbiased_and_without_it_the_gradient_is_not():
    human = normal(3, 3)
    logits = human + 0.3 * normal(2, 3, 3, seed=1)
    exact = exact_gradients(logits, human, 3)["whole"]
    both = estimated_gradients(logits, human, 3, 1000, 20, 0, sampling=True)
    assert largest_z(both, exact) < 4  # 18 entries: 3 standard errors each would fail once in twenty seeds
    one = estimated_gradients(logits, human, 3, 1000, 20, 0, sampling=False)
    assert largest_z(one, exact) > 10


def test_both_paths_carry_a_part_of_the_gradient():
    human = normal(3, 3)
    logits = human + 0.3 * normal(2, 3, 3, seed=1)
    parts = exact_gradients(logits, human, 3)
    assert (parts["whole"] - parts["scores only"]).abs().max() > 0.05
    assert parts["scores only"].abs().max() > 1e-3  # so dropping it is seen


def test_at_the_start_the_gradient_through_the_scores_vanishes_and_that_by_sampling_does_not():
    human = normal(3, 3)
    parts = exact_gradients(human.expand(2, 3, 3), human, 3)
    assert (parts["scores only"] - parts["human"]).abs().max() < 1e-14
    assert (parts["whole"] - parts["human"]).abs().max() > 1e-2


def test_the_baseline_leaves_a_text_out():
    values = torch.tensor([[1.0, 2.0, 6.0]])
    torch.testing.assert_close(others_mean(values), torch.tensor([[4.0, 3.5, 1.5]]))


def test_the_score_function_term_has_value_zero():
    term = score_function(normal(2, 5), normal(2, 5, seed=1).requires_grad_())
    assert term.abs().max() == 0 and term.requires_grad


def test_the_barrier_and_its_slope_are_continuous_and_it_is_convex():
    eps = torch.tensor(0.2, dtype=torch.float64)
    g = torch.linspace(-0.4, 0.3, 2001, dtype=torch.float64).requires_grad_()
    value = barrier(g, eps)
    (slope,) = torch.autograd.grad(value.sum(), g)
    assert value.detach().diff().abs().max() < 0.02  # 1 / tau times the spacing
    assert (slope.diff() >= -1e-9).all() and slope.diff().max() < 1.0
    at = torch.tensor([-0.02], dtype=torch.float64)
    for side in (-1e-9, 1e-9):
        x = (at + side).requires_grad_()
        y = barrier(x, eps)
        assert y.item() == pytest.approx(-torch.log(torch.tensor(0.1)).item(), rel=1e-6)
        assert torch.autograd.grad(y.sum(), x)[0].item() == pytest.approx(1 / 0.02, rel=1e-6)


def test_multipliers_stay_in_their_range_and_vanish_where_a_constraint_is_slack():
    objective = Objective([Variant(name="dual")], Ascent(eta=5.0, rho=1.0), dtype=torch.float64)
    for _ in range(30):
        objective.ascend(torch.tensor([[0.5, -0.5, 0.0, 0.5]], dtype=torch.float64))
    assert objective.multipliers.tolist() == [[LARGEST, 0.0, 0.0, 0.0]]
    for _ in range(30):
        objective.ascend(torch.tensor([[-0.5, -0.5, -0.5, -0.5]], dtype=torch.float64))
    assert objective.multipliers.tolist() == [[0.0, 0.0, 0.0, 0.0]]


def constrained(ascent: Ascent, num_steps: int = 400) -> list[float]:
    """x + eps of x' = -d(lam g - x) / dx with g = x: as long as lam is below 1 it pays to break the constraint."""
    objective, x, path = Objective([Variant(name="dual", eps=0.1)], ascent, dtype=torch.float64), -0.1, []
    for _ in range(num_steps):
        x += 0.01 * (1 - objective.multipliers[0, 0].item())
        objective.ascend(torch.tensor([[x, 0.0, 0.0, 0.0]], dtype=torch.float64))
        path.append(x)
    return path


def test_damping_ends_the_oscillation_of_plain_dual_ascent():
    plain, damped = constrained(Ascent(eta=1.0, rho=0.0)), constrained(Ascent(eta=1.0, rho=20.0))
    assert max(map(abs, plain[200:])) > 0.05
    assert max(map(abs, damped[200:])) < 1e-3 and max(damped) < 0.5 * max(plain)


def test_only_dual_members_with_that_constraint_have_multipliers():
    kinds = [{}, {"naturalness": "ce"}, {"roles": "observer"}, {"combine": "barrier"}, {"naturalness": "ce+kl+nll"}]
    objective = Objective([Variant(name=str(i), **kind) for i, kind in enumerate(kinds)])
    objective.ascend(torch.full((5, 4), 0.1))
    assert (objective.multipliers > 0).tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [False, True, False, False],
        [False, False, False, False],
        [True, True, True, True],
    ]


def test_constraints_are_what_they_say():
    variant = Variant(name="n", eps=0.3, naturalness="ce+kl+nll")
    m = measured(1)
    expected = [*(m.ce[0] - 2.0), m.kl.mean(), 2.0 - m.plain_nll.mean()]
    found = Objective([variant], dtype=torch.float64).constraints(m)[0]
    torch.testing.assert_close(found, torch.stack(expected) - 0.3)


def test_the_dual_loss_pushes_samples_towards_text_that_is_not_too_easy():
    """What the multiplier of predictability adds raises the likelihood of samples that surprise the reference."""
    objective = Objective([Variant(name="n", naturalness="ce+kl+nll")], dtype=torch.float64)
    m = measured(1)
    base = torch.autograd.grad(objective.loss(m).sum(), m.log_likelihood, retain_graph=True)[0]
    objective.multipliers[0, 3] = 10.0
    moved = torch.autograd.grad(objective.loss(m).sum(), m.log_likelihood)[0] - base
    centred = m.plain_nll - others_mean(m.plain_nll)
    torch.testing.assert_close(moved, -10.0 * centred / 6)


@pytest.mark.parametrize("combine", ["dual", "barrier", "weighted", "none"])
@pytest.mark.parametrize("detect", ["gap", "logistic"])
def test_a_member_alone_and_among_others_has_the_same_loss_and_gradient(combine, detect):
    variants = [Variant(name="a", combine=combine, detect=detect, weight=0.7), Variant(name="b", eps=0.2)]
    both, alone = measured(2), measured(2)
    together = Objective(variants, dtype=torch.float64)
    single = Objective(variants[:1], dtype=torch.float64)
    for objective in (together, single):
        objective.multipliers += 1.5
    one = Measured(*(x[:1] for x in vars(alone).values()))
    loss_both, loss_one = together.loss(both), single.loss(one)
    torch.testing.assert_close(loss_both[0], loss_one[0])
    first = torch.autograd.grad(loss_both[0], both.ce, retain_graph=True)[0]
    second = torch.autograd.grad(loss_one[0], alone.ce)[0]
    torch.testing.assert_close(first, second)
    assert first[1].abs().max() == 0


def test_the_weighted_form_is_the_sum_that_it_says():
    variant = Variant(name="w", combine="weighted", detect="gap", weight=0.7, weight_observer=0.4)
    m = measured(1)
    expected = m.ce[0, 0] + 0.7 * (m.scores.mean() - m.human_scores.mean()) + 0.4 * m.ce[0, 1]
    torch.testing.assert_close(Objective([variant], dtype=torch.float64).loss(m)[0], expected)


def test_the_logistic_term_counts_every_pair():
    m = measured(1)
    objective = Objective([Variant(name="l", combine="none", temperature=0.1)], dtype=torch.float64)
    pairs = [torch.log1p(torch.exp((s - h) / 0.1)) for s in m.scores[0] for h in m.human_scores[0]]
    torch.testing.assert_close(objective.loss(m)[0], torch.stack(pairs).mean())


def test_samples_count_by_their_distribution_only_where_asked():
    for kind, expected in (("reinforce", True), ("none", False)):
        m = measured(1)
        objective = Objective([Variant(name="x", sampling_grad=kind)], dtype=torch.float64)
        gradient = torch.autograd.grad(objective.loss(m).sum(), m.log_likelihood)[0]
        assert (gradient.abs().max() > 0) == expected


def test_clipping_is_by_member():
    gradients = [torch.tensor([[3.0, 4.0], [0.3, 0.4]]), torch.zeros(2, 1, 2)]
    clip_by_member(gradients)
    torch.testing.assert_close(gradients[0], torch.tensor([[0.6, 0.8], [0.3, 0.4]]), rtol=1e-5, atol=0)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="greater than or equal to 8"):
        Evaluation(lengths=(4, 16))
    with pytest.raises(ValueError):
        Variant(name="x", eps=0)
    with pytest.raises(ValueError, match="did you mean"):
        Variant(name="x", combin="dual")

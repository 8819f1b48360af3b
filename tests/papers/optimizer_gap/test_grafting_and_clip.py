"""Grafting and quantile clipping: limits, invariants, brute force, and equality of ensembles and separate runs."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from papers.optimizer_gap.adaptive_clip import (
    QUANTILE_CLIP,
    QUANTILE_CLIP_EMA,
    clip_at_quantile,
    magnitude_quantile,
    nearest_rank,
)
from papers.optimizer_gap.comparing import ARMS
from papers.optimizer_gap.grafting import GRAFT_ADAM_SGD, GRAFT_SGD_ADAM, graft, step_of
from shared.base.seeding import torch_generator
from shared.optim.registry import build_optimizer, get_rule, register_rule
from shared.optim.rule import LR, Rule
from shared.optim.vectors import Leaves

ADAM = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8}


def normal(*shape, purpose="x", dtype=torch.float64):
    return torch.randn(shape, generator=torch_generator(0, purpose), dtype=dtype)


def test_graft_has_the_length_of_the_first_and_the_direction_of_the_second():
    a, u = normal(3, 50, purpose="a"), normal(3, 50, purpose="u")
    grafted = graft(a, u)
    torch.testing.assert_close(grafted.norm(dim=1), a.norm(dim=1))
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(grafted, u), torch.ones(3, dtype=torch.float64))


def test_graft_of_a_vector_on_itself_is_the_vector():
    a = normal(2, 20)
    torch.testing.assert_close(graft(a, a), a)


def test_graft_on_a_zero_direction_is_zero():
    assert torch.equal(graft(normal(2, 5), torch.zeros(2, 5, dtype=torch.float64)), torch.zeros(2, 5))


def test_graft_by_tensor_has_the_length_of_each_tensor():
    a, u = normal(2, 10, purpose="a"), normal(2, 10, purpose="u")
    parts = graft(a, u, sizes=[3, 7]).split((3, 7), dim=1)
    for part, own in zip(parts, a.split((3, 7), dim=1), strict=True):
        torch.testing.assert_close(part.norm(dim=1), own.norm(dim=1))
    with pytest.raises(ValueError, match="completely"):
        graft(a, u, sizes=[3, 6])


def test_graft_of_leaves_equals_that_of_the_flat_vector():
    a, u = normal(10, purpose="a"), normal(10, purpose="u")
    leaves = graft(Leaves(a.split([4, 6])), Leaves(u.split([4, 6])))
    torch.testing.assert_close(torch.cat(leaves.items), graft(a[None], u[None])[0])


@pytest.mark.parametrize("rule", [GRAFT_ADAM_SGD, GRAFT_SGD_ADAM])
def test_grafted_rules_keep_the_unmodified_states_and_step_by_the_graft(rule):
    """Each base optimiser, run apart on the same gradients, gives the same state; the step is the graft of both."""
    adam, sgd = get_rule("adam"), get_rule("sgd_ema")
    own = {adam.name: adam.defaults() | ADAM | {"lr": 1.0}, sgd.name: sgd.defaults() | {"momentum": 0.7, "lr": 1.0}}
    roles = (adam, sgd) if rule is GRAFT_ADAM_SGD else (sgd, adam)
    params = normal(2, 30, purpose="p")
    state, states = rule.init(params), [base.init(params) for base in roles]
    for k in range(4):
        grads = normal(2, 30, purpose=f"g{k}")
        moved, state = rule.step(params, grads, state, rule.defaults() | ADAM | {"momentum": 0.7, "lr": 0.3})
        steps = []
        for i, base in enumerate(roles):
            step, states[i] = step_of(base, grads, states[i], own[base.name])
            steps.append(step)
        torch.testing.assert_close(moved, params - 0.3 * graft(*steps))
        params = moved
    for role, base, kept in zip(("length", "direction"), roles, states, strict=True):
        for key in base.vectors:
            torch.testing.assert_close(state[f"{role}_{key}"], kept[key])


def run_rule(rule, hyper, steps=12, d=40, dtype=torch.float64):
    x, state, path = normal(1, d, purpose="start", dtype=dtype), None, []
    state = rule.init(x)
    for k in range(steps):
        grads = x * torch.linspace(0.1, 2, d, dtype=dtype) + normal(1, d, purpose=f"noise{k}", dtype=dtype)
        x, state = rule.step(x, grads, state, rule.defaults() | hyper)
        path.append(x)
    return torch.cat(path), state


def test_tiny_share_is_momentum_sgd_exactly():
    """ceil((1 - p) d) = d: the quantile is the largest coordinate, and nothing is clipped."""
    clipped, _ = run_rule(QUANTILE_CLIP_EMA, {"lr": 0.1, "momentum": 0.9, "clip_share": 1e-3})
    plain, _ = run_rule(get_rule("sgd_ema"), {"lr": 0.1, "momentum": 0.9})
    assert torch.equal(clipped, plain)


def test_share_near_one_is_signum_times_the_smallest_coordinate():
    m = normal(1, 25)
    torch.testing.assert_close(clip_at_quantile(m, 1 - 1e-6), m.sign() * m.abs().min())


def test_heavy_ball_and_average_give_one_trajectory():
    heavy, _ = run_rule(QUANTILE_CLIP, {"lr": 0.01, "momentum": 0.8, "clip_share": 0.2})
    averaged, _ = run_rule(QUANTILE_CLIP_EMA, {"lr": 0.01 / 0.2, "momentum": 0.8, "clip_share": 0.2})
    torch.testing.assert_close(heavy, averaged)
    heavy, _ = run_rule(get_rule("sgd"), {"lr": 0.01, "momentum": 0.8})
    averaged, _ = run_rule(get_rule("sgd_ema"), {"lr": 0.01 / 0.2, "momentum": 0.8})
    torch.testing.assert_close(heavy, averaged)


def test_the_stored_buffer_is_not_clipped():
    x, g = normal(1, 40, purpose="start"), normal(1, 40, purpose="g")
    for rule, key, factor in ((QUANTILE_CLIP, "momentum_buffer", 1.0), (QUANTILE_CLIP_EMA, "exp_avg", 0.1)):
        _, state = rule.step(x, g, rule.init(x), rule.defaults() | {"lr": 0.1, "clip_share": 0.5})
        torch.testing.assert_close(state[key], factor * g)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=30),
    ties=st.booleans(),
    p=st.floats(0.01, 0.99),
)
def test_quantile_bounds_hold_with_ties(values, ties, p):
    m = torch.tensor([values], dtype=torch.float64)
    m = m.round() if ties else m
    tau, u = magnitude_quantile(m, p), clip_at_quantile(m, p)
    d = m.shape[1]
    assert tau.item() == np.sort(m.abs().numpy()[0])[nearest_rank(p, d) - 1]
    assert bool((u.abs() <= tau).all()) and bool((u.abs() <= m.abs()).all())
    assert int((m.abs() > tau).sum()) <= p * d + 1e-6
    assert torch.equal(u.sign() * (tau > 0), m.sign() * (tau > 0))


def test_nearest_rank_is_not_lifted_by_rounding():
    assert [nearest_rank(p, 10) for p in (0.1, 0.3, 0.5, 0.7, 0.95, 1e-9)] == [9, 7, 5, 3, 1, 10]


def test_members_have_their_own_share_and_quantile():
    m = normal(3, 100)
    shares = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
    together = clip_at_quantile(m, shares)
    apart = torch.cat([clip_at_quantile(m[i : i + 1], float(shares[i])) for i in range(3)])
    assert torch.equal(together, apart)
    leaves = clip_at_quantile(Leaves(m[0].split([30, 70])), 0.1)
    assert torch.equal(torch.cat(leaves.items), apart[0])


def test_the_sampled_quantile_cuts_nearly_the_share():
    """A strided sample of 2**22 of 2**23 coordinates: three standard errors of the share are 3 sqrt(p(1-p)/2**22)."""
    m = normal(1, 2**23, dtype=torch.float32)
    tau = magnitude_quantile(m, 0.1, sampled_above=2**22)
    assert float((m.abs() > tau).double().mean()) == pytest.approx(0.1, abs=3 * (0.09 / 2**22) ** 0.5)
    assert not torch.equal(tau, magnitude_quantile(m, 0.1))


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_outside_its_range_is_refused(p):
    with pytest.raises(ValueError):
        magnitude_quantile(normal(1, 5), p)
    with pytest.raises(ValueError):
        QUANTILE_CLIP.resolve({"lr": 0.1, "clip_share": p})


def test_momentum_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        QUANTILE_CLIP.resolve({"lr": 0.1, "clip_share": 0.1, "momentum": 1.0})


def test_registered_rules_are_found_and_names_are_kept_unique():
    assert get_rule("graft_adam_sgd") is GRAFT_ADAM_SGD
    register_rule(GRAFT_ADAM_SGD)  # a second import of the module changes nothing
    with pytest.raises(ValueError, match="exists already"):
        register_rule(Rule("adam", GRAFT_ADAM_SGD.update, {"lr": LR}))
    with pytest.raises(ValueError, match="did you mean 'graft_adam_sgd'"):
        get_rule("graft_adm_sgd")


@pytest.mark.parametrize(
    ("name", "hyper"),
    [("graft_adam_sgd", {"lr": 0.01}), ("graft_sgd_adam", {"lr": 0.3}), ("sgd_ema_quantile_clip", {"clip_share": 0.2})],
)
def test_the_torch_form_of_a_registered_rule_steps_as_the_rule(name, hyper):
    """Two parameter tensors of one model give the numbers of the flat vector: norms and quantile are over all."""
    hyper = {"lr": 0.1, **hyper}
    start, rule = normal(12, purpose="start"), get_rule(name)
    params = [torch.nn.Parameter(part.clone()) for part in start.split([5, 7])]
    optimizer = build_optimizer(name, params, **hyper)
    flat, state = start[None], rule.init(start[None])
    for k in range(3):
        grads = normal(12, purpose=f"g{k}")
        for p, g in zip(params, grads.split([5, 7]), strict=True):
            p.grad = g.clone()
        optimizer.step()
        flat, state = rule.step(flat, grads[None], state, rule.defaults() | hyper)
    torch.testing.assert_close(torch.cat([p.detach() for p in params]), flat[0])


@pytest.mark.parametrize("rule", ["graft_adam_sgd", "graft_sgd_adam"])
def test_the_name_of_a_grafted_arm_says_whose_direction_and_whose_length_it_has(rule):
    """At the first update Adam's step is the sign of the gradient, SGD's the gradient itself."""
    gradient = torch.tensor([[3.0, -1.0, 0.5]], dtype=torch.float64)
    hyper = {"lr": 1.0, "weight_decay": 0.0, "momentum": 0.0, "beta1": 0.9, "beta2": 0.95, "eps": 0.0}
    moved, _ = get_rule(rule).step(torch.zeros_like(gradient), gradient, get_rule(rule).init(gradient), hyper)
    steps = {"SGD": gradient, "Adam": gradient.sign()}
    length, direction = re.fullmatch(r"(\w+) length, (\w+) direction", ARMS[rule]).groups()
    torch.testing.assert_close(-moved, steps[direction] / steps[direction].norm() * steps[length].norm())

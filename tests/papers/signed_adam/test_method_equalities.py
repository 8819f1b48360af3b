"""Limits in which one method is another, and what clipping can and cannot change. Rules of the library, float64."""

import math

import pytest
import torch

from papers.signed_adam import heavy_ball  # noqa: F401 - registers its rule
from shared.base.seeding import torch_generator
from shared.optim.clipping import clip_global_norm
from shared.optim.registry import get_rule

DIM, STEPS = 12, 40


def gradients(scale=3.0):
    return scale * torch.randn(STEPS, DIM, generator=torch_generator(0, "g"), dtype=torch.float64)


def path(name, grads, clip=math.inf, **chosen):
    rule = get_rule(name)
    hyper, p = rule.resolve({"lr": 0.01, **chosen}), torch.zeros(DIM, dtype=torch.float64)
    state, seen = rule.init(p), []
    for g in grads:
        p, state = rule.step(p, clip_global_norm(g[None], clip)[0], state, hyper)
        seen.append(p)
    return torch.stack(seen)


def test_adam_without_memory_is_sign_descent():
    assert torch.allclose(path("adam", gradients(), beta1=0.0, beta2=0.0, eps=0.0), path("signsgd", gradients()))


def test_the_first_step_of_adam_is_the_sign():
    for beta in (0.5, 0.95):
        first = path("adam", gradients(), beta1=beta, beta2=beta, eps=0.0)[0]
        assert torch.allclose(first, -0.01 * gradients()[0].sign(), rtol=1e-12)


def test_adavar_on_the_diagonal_is_adam_and_with_gamma_0_is_signum():
    equal = path("adam", gradients(), beta1=0.9, beta2=0.9, eps=0.0)
    assert torch.allclose(path("adavar", gradients(), beta=0.9, gamma=0.9, tau=0.9, eps=0.0), equal, rtol=1e-9)
    signum = path("signum", gradients(), beta=0.9)
    raw = {"eps": 0.0, "bias_correction": 0.0}
    assert torch.allclose(path("adavar", gradients(), beta=0.9, gamma=0.0, tau=0.9, **raw), signum, rtol=1e-9)


def test_the_sigma2_form_is_torch_s_adam_for_equal_betas():
    p = torch.zeros(DIM, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([p], lr=0.01, betas=(0.95, 0.95), eps=1e-12)
    for g in gradients():
        p.grad = g.clone()
        optimizer.step()
    assert torch.allclose(path("adam_sigma2", gradients(), beta=0.95, eps=1e-12)[-1], p.detach(), rtol=1e-6)


@pytest.mark.parametrize("clip_value", [math.inf, 0.02])
def test_heavy_ball_is_torch_s_with_dampening_1_minus_momentum(clip_value):
    chosen = {"momentum": 0.95, "weight_decay": 0.01, "clip_value": clip_value}
    assert torch.equal(
        path("heavy_ball", gradients(), **chosen), path("sgd", gradients(), dampening=1 - 0.95, **chosen)
    )


def test_rmsprop_with_bias_correction_is_adam_without_momentum():
    adam = path("adam", gradients(), beta1=0.0, beta2=0.9)
    assert torch.allclose(path("rmsprop", gradients(), alpha=0.9, bias_correction=1.0), adam, rtol=1e-12)


def test_sign_descent_by_adam_feels_the_clip_and_by_its_own_rule_does_not():
    """Of small gradients the eps of Adam with both betas 0 is a part: 1e-8 against 1e-7."""
    small = 1e-7 * gradients()
    zero = {"beta1": 0.0, "beta2": 0.0}
    assert not torch.allclose(path("adam", small, **zero), path("adam", small, clip=1e-8, **zero), rtol=1e-3)
    assert torch.equal(path("signsgd", small), path("signsgd", small, clip=1e-8))


def test_signum_ignores_the_scale_of_gradients():
    assert torch.equal(path("signum", gradients(), beta=0.9), path("signum", 8.0 * gradients(), beta=0.9))


def test_the_norm_clip_changes_signum_through_its_average_only():
    grads = gradients() * torch.linspace(0.05, 3, STEPS, dtype=torch.float64)[:, None]
    assert not torch.equal(path("signum", grads, beta=0.9), path("signum", grads, clip=1.0, beta=0.9))
    for name, chosen in (("emasign", {"beta": 0.9}), ("signsgd", {})):
        assert torch.equal(path(name, grads, **chosen), path(name, grads, clip=1.0, **chosen))


@pytest.mark.parametrize("name", ["sgd", "sgd_ema"])
def test_the_coordinate_clip_acts_on_the_heavy_ball_buffer_alone(name):
    """An average of gradients of norm at most 1 has no coordinate above 1; the buffer b buf + b g has."""
    chosen = {"momentum": 0.975} | ({"dampening": 0.025} if name == "sgd" else {})
    grads = 0.5 + gradients(0.1)  # a steady direction, so that the buffer grows
    same = torch.equal(path(name, grads, clip=1.0, **chosen), path(name, grads, clip=1.0, clip_value=1.0, **chosen))
    assert same == (name == "sgd_ema")


def test_the_paper_s_buffer_is_the_average_at_another_rate():
    """buf <- b buf + b g, torch's momentum b with dampening 1 - b, is the average at eta_EMA = eta b / (1 - b)."""
    b, grads = 0.9, gradients()
    grads[0] = 0.0  # torch's first buffer is the undamped gradient
    heavy = path("sgd", grads, lr=0.01, momentum=b, dampening=1 - b)
    average = path("sgd_ema", grads, lr=0.01 * b / (1 - b), momentum=b)
    assert torch.allclose(heavy, average, rtol=1e-12)

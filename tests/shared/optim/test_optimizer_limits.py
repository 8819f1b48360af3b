"""Limiting cases that reduce one method to another, closed forms, and equality with torch's own optimisers."""

import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.optim.clipping import clip_coordinates, clip_global_norm, global_norm
from shared.optim.registry import build_optimizer, get_rule
from shared.optim.vectors import Leaves


def stream(kind, num_steps=60, size=7):
    """Gradient sequences (num_steps, size) in float64."""
    draw = torch.randn(num_steps, size, generator=torch_generator(3, kind), dtype=torch.float64)
    step = torch.arange(num_steps, dtype=torch.float64)[:, None]
    return {
        "random": draw,
        "constant": torch.full_like(draw, 0.7),
        "alternating": (-1.0) ** step * draw.abs(),
        "spike": torch.where(step == 20, 1e3 * draw, 1e-3 * draw),
        "zeros": torch.zeros_like(draw),
    }[kind]


def apply(name, grads, x=None, loss=1.0, **settings):
    """Iterates (num_steps + 1, size) and the last state of a rule fed with fixed gradients."""
    rule = get_rule(name)
    hyper = rule.resolve(settings)
    x = torch.linspace(-1, 1, grads.shape[1], dtype=torch.float64) if x is None else x
    state, iterates = rule.init(x), [x]
    for g in grads:
        x, state = rule.step(x, g, state, hyper, torch.tensor([loss], dtype=torch.float64))
        iterates.append(x)
    return torch.stack(iterates), state


def same(a, b, rtol=1e-12, atol=1e-13):
    torch.testing.assert_close(a[0], b[0], rtol=rtol, atol=atol)


# --- torch's own -----------------------------------------------------------------------------------------------------

TORCH_PAIRS = [
    ("sgd", dict(lr=0.05), torch.optim.SGD, {}),
    ("sgd", dict(lr=0.05, momentum=0.9), torch.optim.SGD, {}),
    ("sgd", dict(lr=0.05, momentum=0.9, dampening=0.9), torch.optim.SGD, {}),
    ("sgd", dict(lr=0.05, momentum=0.9, dampening=0.1), torch.optim.SGD, {}),
    ("sgd", dict(lr=0.05, momentum=0.9, nesterov=True), torch.optim.SGD, {}),
    ("sgd", dict(lr=0.05, momentum=0.9, l2=0.1), torch.optim.SGD, {"l2": "weight_decay"}),
    ("adam", dict(lr=0.05, betas=(0.8, 0.99), l2=0.1), torch.optim.Adam, {"l2": "weight_decay"}),
    ("adam", dict(lr=0.05, betas=(0.95, 0.6), eps=1e-3), torch.optim.Adam, {}),
    ("adamw", dict(lr=0.05, betas=(0.9, 0.95), weight_decay=0.1), torch.optim.AdamW, {}),
    ("adamw", dict(lr=0.05), torch.optim.AdamW, {}),
    ("rmsprop", dict(lr=0.05, alpha=0.9), torch.optim.RMSprop, {}),
    ("rmsprop", dict(lr=0.05, alpha=0.9, momentum=0.9), torch.optim.RMSprop, {}),
    ("adagrad", dict(lr=0.05, lr_decay=0.1), torch.optim.Adagrad, {}),
]


@pytest.mark.parametrize(("name", "settings", "theirs", "renamed"), TORCH_PAIRS)
def test_equals_torch(name, settings, theirs, renamed):
    ours_params, their_params = ([torch.nn.Parameter(torch.linspace(-1, 1, 7).double())] for _ in range(2))
    ours = build_optimizer(name, ours_params, **settings)
    reference = theirs(their_params, **{renamed.get(k, k): v for k, v in settings.items()})
    for g in stream("random", 100):
        ours_params[0].grad, their_params[0].grad = g.clone(), g.clone()
        ours.step()
        reference.step()
    torch.testing.assert_close(ours_params[0], their_params[0], rtol=1e-12, atol=1e-13)  # order of operations
    shared = set(ours.state[ours_params[0]]) & set(reference.state[their_params[0]])
    assert {"sgd": "momentum_buffer", "rmsprop": "square_avg", "adagrad": "sum"}.get(name, "exp_avg") in shared or (
        name == "sgd" and "momentum" not in settings
    )


def test_state_of_torch_s_adamw_can_be_loaded():
    ours, theirs = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    mine, reference = build_optimizer("adamw", [ours], lr=0.1), torch.optim.AdamW([theirs], lr=0.1)
    theirs.grad = torch.tensor([1.0, -2.0, 0.5])
    reference.step()
    ours.data.copy_(theirs.data)
    mine.load_state_dict({"state": reference.state_dict()["state"], "param_groups": mine.state_dict()["param_groups"]})
    for p, optimizer in ((ours, mine), (theirs, reference)):
        p.grad = torch.tensor([0.3, 0.2, -0.1])
        optimizer.step()
    torch.testing.assert_close(ours, theirs)


# --- momentum forms --------------------------------------------------------------------------------------------------


def test_heavy_ball_equals_average_with_rescaled_rate():
    grads = stream("random")
    same(apply("sgd", grads, lr=0.01, momentum=0.9), apply("sgd_ema", grads, lr=0.1, momentum=0.9))


def test_sgd_on_a_quadratic_is_the_matrix_power():
    h = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    rule, x = get_rule("sgd"), torch.ones(3, dtype=torch.float64)
    hyper, state = rule.resolve({"lr": 0.1}), rule.init(x)
    for _ in range(30):
        x, state = rule.step(x, h * x, state, hyper)
    torch.testing.assert_close(x, (1 - 0.1 * h) ** 30, rtol=1e-13, atol=0)


def test_heavy_ball_on_a_quadratic_follows_its_companion_matrix():
    h, lr, mu = 2.0, 0.1, 0.8
    x, _ = torch.ones(1, dtype=torch.float64), None
    rule = get_rule("sgd")
    hyper, state = rule.resolve({"lr": lr, "momentum": mu}), rule.init(x)
    for _ in range(25):
        x, state = rule.step(x, h * x, state, hyper)
    companion = torch.tensor([[1 + mu - lr * h, -mu], [1.0, 0.0]], dtype=torch.float64)
    expected = torch.linalg.matrix_power(companion, 25) @ torch.ones(2, dtype=torch.float64)
    torch.testing.assert_close(x, expected[:1], rtol=1e-11, atol=1e-14)


# --- sign descent and Adam ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("adam", dict(beta1=0.0, beta2=0.0, eps=0.0)),
        ("adam", dict(beta1=0.0, beta2=0.0, eps=0.0, bias_correction=0.0)),
        ("adam_sigma2", dict(beta=0.0, eps=0.0)),
        ("signum", dict(beta=0.0)),
        ("emasign", dict(beta=0.0)),
        ("lion", dict(beta1=0.0)),
        ("rmsprop", dict(alpha=0.0, eps=0.0)),
    ],
)
def test_without_averaging_it_is_sign_descent(name, settings):
    grads = stream("random")
    same(apply(name, grads, lr=0.1, **settings), apply("signsgd", grads, lr=0.1))


def test_lion_with_equal_betas_is_signum():
    grads = stream("random")
    same(apply("lion", grads, lr=0.1, beta1=0.9, beta2=0.9), apply("signum", grads, lr=0.1, beta=0.9))


def test_lion_follows_its_recursion():
    grads, m, x = stream("random"), 0.0, torch.linspace(-1, 1, 7, dtype=torch.float64)
    for g in grads:
        x = (1 - 0.1 * 0.3) * x - 0.1 * torch.sign(0.8 * m + 0.2 * g)
        m = 0.95 * m + 0.05 * g
    ours, _ = apply("lion", grads, lr=0.1, beta1=0.8, beta2=0.95, weight_decay=0.3)
    torch.testing.assert_close(ours[-1], x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9, 0.999])
def test_first_step_of_adam_is_the_sign(factor):
    iterates, _ = apply("adam", stream("random", 1), lr=0.1, beta1=factor, beta2=factor, eps=0.0)
    torch.testing.assert_close(iterates[1] - iterates[0], -0.1 * stream("random", 1)[0].sign(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", ["random", "alternating", "spike", "constant"])
@pytest.mark.parametrize("correction", [0.0, 1.0])
def test_sigma2_form_is_adam_with_equal_betas(kind, correction):
    grads = stream(kind, 100)
    settings = dict(lr=0.1, eps=1e-6, bias_correction=correction, weight_decay=0.1)
    adam = apply("adam", grads, beta1=0.9, beta2=0.9, **settings)
    same(apply("adam_sigma2", grads, beta=0.9, **settings), adam, rtol=1e-9, atol=1e-11)
    same(apply("adavar", grads, beta=0.9, tau=0.9, gamma=0.9, **settings), adam, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["random", "constant", "alternating", "spike", "zeros"])
@pytest.mark.parametrize("b", [0.5, 0.9, 0.95, 0.99])
def test_second_moment_minus_squared_mean_is_the_variance(kind, b):
    grads = stream(kind, 200)
    _, adam = apply("adam", grads, lr=0.1, beta1=b, beta2=b, bias_correction=0.0)
    _, form = apply("adam_sigma2", grads, lr=0.1, beta=b, bias_correction=0.0)
    scale = adam["exp_avg_sq"].max().clamp(min=1e-300)
    error = (adam["exp_avg_sq"] - adam["exp_avg"] ** 2 - form["exp_avg_var"]).abs().max()
    assert error / scale < 1e-12


def test_the_variance_identity_fails_for_unequal_betas():
    grads = stream("random", 200)
    _, adam = apply("adam", grads, lr=0.1, beta1=0.9, beta2=0.95)
    m, variance = torch.zeros(7, dtype=torch.float64), torch.zeros(7, dtype=torch.float64)
    for g in grads:
        variance = 0.95 * variance + 0.95 * 0.05 * (g - m) ** 2
        m = 0.9 * m + 0.1 * g
    assert ((adam["exp_avg_sq"] - m**2 - variance).abs().max() / adam["exp_avg_sq"].max()) > 1e-3


def test_sigma2_form_refuses_unequal_betas():
    with pytest.raises(ValueError, match=r"takes lr, beta, eps, .*; got lr, beta1, beta2"):
        build_optimizer("adam_sigma2", [torch.nn.Parameter(torch.ones(1))], lr=0.1, beta1=0.9, beta2=0.95)


def test_adavar_without_variance_is_signum():
    grads = stream("random")
    plain = apply("adavar", grads, lr=0.1, beta=0.9, gamma=0.0, eps=0.0, bias_correction=0.0)
    same(plain, apply("signum", grads, lr=0.1, beta=0.9))


def test_soft_signum_tends_to_signum():
    grads = stream("random")
    soft = apply("soft_signum", grads, lr=0.1, beta=0.9, eps_inside=1e-30)
    same(soft, apply("signum", grads, lr=0.1, beta=0.9))


def test_rmsprop_with_bias_correction_is_adam_without_momentum():
    grads = stream("random")
    ours = apply("rmsprop", grads, lr=0.1, alpha=0.95, bias_correction=1.0)
    same(ours, apply("adam", grads, lr=0.1, beta1=0.0, beta2=0.95))


def test_adabelief_with_perfect_belief_takes_long_steps():
    """Constant gradients: the deviation from the average dies out, so steps outgrow Adam's lr."""
    iterates, _ = apply("adabelief", stream("constant", 200), lr=0.1, beta2=0.9)
    assert (iterates[-1] - iterates[-2]).abs().min() > 100 * 0.1


def test_adabelief_follows_its_recursion():
    grads, m, s, x = stream("random"), 0.0, 0.0, torch.linspace(-1, 1, 7, dtype=torch.float64)
    for k, g in enumerate(grads, start=1):
        m = 0.9 * m + 0.1 * g
        s = 0.99 * s + 0.01 * (g - m) ** 2 + 1e-8
        x = x - 0.1 * (m / (1 - 0.9**k)) / ((s / (1 - 0.99**k)) ** 0.5 + 1e-8)
    ours, _ = apply("adabelief", grads, lr=0.1, beta2=0.99, eps=1e-8)
    torch.testing.assert_close(ours[-1], x, rtol=1e-11, atol=1e-12)


def test_adabound_ends_as_sgd_with_momentum():
    """The bounds close on final_lr: late steps are final_lr times Adam's first average."""
    grads = stream("random", 60)
    iterates, state = apply("adabound", grads, lr=1e-3, final_lr_ratio=100.0, gamma=0.999999)
    late = (iterates[-1] - iterates[-2]) / state["exp_avg"]
    assert torch.all((-late > 0.1 * (1 - 1 / 60)) & (-late < 0.1 * (1 + 1 / 59)))


def test_adabound_follows_its_recursion():
    grads, lr, final, gamma, eps = stream("random"), 1e-2, 0.1, 1e-2, 1e-8
    m, v, x = 0.0, 0.0, torch.linspace(-1, 1, 7, dtype=torch.float64)
    for k, g in enumerate(grads, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = lr * math.sqrt(1 - 0.999**k) / (1 - 0.9**k) / (v.sqrt() + eps)
        x = x - rate.clamp(final * (1 - 1 / (gamma * k + 1)), final * (1 + 1 / (gamma * k))) * m
    ours, _ = apply("adabound", grads, lr=lr, final_lr_ratio=final / lr, gamma=gamma)
    torch.testing.assert_close(ours[-1], x, rtol=1e-11, atol=1e-12)


def test_gradient_init_starts_the_average_at_the_gradient():
    grads = stream("random", 5)
    _, state = apply("adam", grads, lr=0.1, beta1=0.9, beta2=0.8, gradient_init=1.0, bias_correction=0.0)
    m, v = grads[0], grads[0] ** 2
    for g in grads:  # m_0 = g_1 and the first average with g_1 leaves it there
        m, v = 0.9 * m + 0.1 * g, 0.8 * v + 0.2 * g**2
    torch.testing.assert_close(state["exp_avg"], m, rtol=1e-13, atol=0)
    torch.testing.assert_close(state["exp_avg_sq"], v, rtol=1e-13, atol=0)


# --- bounds and symmetries of the normalised step ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["random", "alternating", "spike", "constant"])
@pytest.mark.parametrize(("b1", "b2"), [(0.9, 0.9), (0.95, 0.95), (0.9, 0.95), (0.5, 0.99)])
def test_steps_of_adam_are_bounded(kind, b1, b2):
    """|d_k| <= sqrt(1 - b^k) for equal betas, else (1 - b1) / sqrt((1 - b2)(1 - b1^2 / b2)) while b1^2 < b2."""
    iterates, _ = apply("adam", stream(kind), lr=1.0, beta1=b1, beta2=b2, eps=0.0, bias_correction=0.0)
    d = iterates.diff(dim=0).abs()
    k = torch.arange(1, len(d) + 1, dtype=torch.float64)[:, None]
    bound = (1 - b1**k).sqrt() if b1 == b2 else (1 - b1) / math.sqrt((1 - b2) * (1 - b1**2 / b2))
    assert torch.all(d <= bound + 1e-9)
    corrected, _ = apply("adam", stream(kind), lr=1.0, beta1=b1, beta2=b1, eps=0.0)
    assert torch.all(corrected.diff(dim=0).abs() <= 1 + 1e-9)


@pytest.mark.parametrize("name", ["adam_sigma2", "signum", "emasign"])
def test_filter_is_scale_free_odd_and_causal(name):
    settings = {"lr": 1.0, "beta": 0.9} | ({"eps": 0.0} if name == "adam_sigma2" else {})
    grads, zero = stream("random"), torch.zeros(7, dtype=torch.float64)
    base, _ = apply(name, grads, x=zero, **settings)
    scaled, _ = apply(name, 2.0**7 * grads, x=zero, **settings)  # a power of two: exact in floating point
    assert torch.equal(scaled, base)
    mirrored, _ = apply(name, -grads, x=zero, **settings)
    assert torch.equal(mirrored, -base)
    later = torch.cat([grads[:30], -grads[30:]])
    assert torch.equal(apply(name, later, x=zero, **settings)[0][:31], base[:31])


# --- clipping -----------------------------------------------------------------------------------------------------


def clipped(grads, limit=1.0):
    return torch.stack([clip_global_norm(g, limit) for g in grads])


def test_global_clip_limits_the_norm_and_spares_short_gradients():
    grads = stream("random")
    assert torch.all(torch.linalg.vector_norm(clipped(grads), dim=1) <= 1 + 1e-12)
    assert torch.equal(clipped(grads, 100.0), grads)
    assert torch.equal(clipped(grads, math.inf), grads)
    zero = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(clip_global_norm(zero, 1.0), zero)
    leaves = clip_global_norm(Leaves([grads[0, :3], grads[0, 3:]]), 0.5)
    torch.testing.assert_close(torch.cat(leaves.items), clip_global_norm(grads[0], 0.5), rtol=1e-14, atol=0)


def test_members_are_clipped_each_by_its_own_norm_and_limit():
    grads = stream("random", 3)
    limits = torch.tensor([[0.5], [math.inf], [2.0]], dtype=torch.float64)
    alone = torch.stack([clip_global_norm(g, limit.item()) for g, limit in zip(grads, limits, strict=True)])
    torch.testing.assert_close(clip_global_norm(grads, limits), alone, rtol=1e-14, atol=0)
    assert torch.equal(clip_global_norm(grads, limits)[1], grads[1])
    assert global_norm(grads).shape == (3, 1)


def test_global_clip_changes_signum_but_not_sign_first_methods():
    grads = stream("spike")
    for name in ("signsgd", "emasign"):
        assert torch.equal(apply(name, grads, lr=0.1)[0], apply(name, clipped(grads), lr=0.1)[0])
    assert not torch.equal(apply("signum", grads, lr=0.1)[0], apply("signum", clipped(grads), lr=0.1)[0])


def test_coordinate_clip_after_global_clip_acts_on_heavy_ball_only():
    grads = clipped(3 * stream("constant"))
    ema = [apply("sgd_ema", grads, lr=0.1, momentum=0.9, clip_value=limit)[0] for limit in (math.inf, 1.0)]
    assert torch.equal(*ema)
    ball = [apply("sgd", grads, lr=0.1, momentum=0.9, clip_value=limit)[0] for limit in (math.inf, 1.0)]
    assert not torch.equal(*ball)
    assert ball[1].diff(dim=0).abs().max() <= 0.1 + 1e-12


def test_coordinate_clip_limits_each_coordinate():
    x = torch.tensor([-2.0, 0.5, 3.0])
    assert torch.equal(clip_coordinates(x, 1.0), torch.tensor([-1.0, 0.5, 1.0]))
    limits = torch.tensor([[1.0], [2.5]])
    assert torch.equal(clip_coordinates(torch.stack([x, x]), limits)[1], torch.tensor([-2.0, 0.5, 2.5]))

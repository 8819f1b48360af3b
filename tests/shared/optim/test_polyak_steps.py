"""NGN and MoMo step sizes: identities, brute force, plain twins of the published recursions."""

import math

import numpy as np
import pytest
import torch

from shared.base.seeding import torch_generator
from shared.optim.ngn import ngn_step_size
from shared.optim.registry import build_optimizer, get_rule


def numbers(*shape):
    return torch.randn(*shape, generator=torch_generator(5, "numbers", *shape), dtype=torch.float64)


def problem(seed=0, size=6):
    """Positive loss and gradient of a noisy least-squares problem, as numpy."""
    a = numbers(20, size).numpy()
    b = numbers(20, 1).numpy()[:, 0]

    def loss_and_grad(x, step):
        rows = np.arange(4) + 4 * (step % 5)
        residual = a[rows] @ x - b[rows]
        return 0.5 * float(residual @ residual) + 0.05, a[rows].T @ residual

    return loss_and_grad


def run(name, num_steps=200, x0=1.0, size=6, **settings):
    """Iterates of the torch class, (num_steps + 1, size)."""
    evaluate = problem(size=size)
    x = torch.nn.Parameter(torch.full((size,), x0, dtype=torch.float64))
    optimizer = build_optimizer(name, [x], **settings)
    iterates = [x.detach().numpy().copy()]
    for step in range(num_steps):
        loss, grad = evaluate(iterates[-1], step)
        x.grad = torch.from_numpy(grad)
        optimizer.step(loss=loss)
        iterates.append(x.detach().numpy().copy())
    return np.stack(iterates)


def close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


# --- the step size -----------------------------------------------------------------------------------------------


def test_step_size_identities():
    f, squared, c = (numbers(3, 1000).abs() + 1e-3).unbind(0)
    gamma = ngn_step_size(c, f, squared)
    assert torch.all((gamma > 0) & (gamma <= c))
    torch.testing.assert_close(1 / gamma, 1 / c + squared / (2 * f), rtol=1e-12, atol=0)
    torch.testing.assert_close(gamma * squared, 2 * f * (c - gamma) / c, rtol=1e-9, atol=1e-12)


def test_step_size_lies_between_its_bounds_for_smooth_losses():
    """c / (1 + c L) <= gamma <= c for f = L x^2 / 2 + f*, f* >= 0."""
    smooth, x, floor, c = numbers(4, 1000).abs().unbind(0)
    gamma = ngn_step_size(c, 0.5 * smooth * x**2 + floor, (smooth * x) ** 2)
    assert torch.all(gamma >= c / (1 + c * smooth) * (1 - 1e-12)) and torch.all(gamma <= c)


def test_fundamental_inequality():
    """gamma^2 |g|^2 <= 4cL/(1+2cL) gamma (f - f*) + 2c^2 L/(1+cL) max{0, (2cL-1)/(2cL+1)} f* on f = L x^2 / 2 + f*."""
    smooth, x, floor, c = numbers(4, 20_000).abs().unbind(0)
    f, squared = 0.5 * smooth * x**2 + floor, (smooth * x) ** 2
    gamma, cl = ngn_step_size(c, f, squared), c * smooth
    right = 4 * cl / (1 + 2 * cl) * gamma * (f - floor)
    right = right + 2 * c * cl / (1 + cl) * ((2 * cl - 1) / (2 * cl + 1)).clamp(min=0) * floor
    assert torch.all(gamma**2 * squared <= right * (1 + 1e-10) + 1e-12)


def test_step_size_where_loss_and_gradient_vanish():
    zero = torch.zeros((), dtype=torch.float64)
    assert ngn_step_size(0.3, zero, zero) == 0.3


def test_huge_c_is_the_polyak_step():
    x = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    optimizer = build_optimizer("ngn", [x], lr=1e14)
    x.grad = 2.0 * x.detach()
    optimizer.step(loss=float(x.detach() ** 2))
    assert abs(x.item()) < 1e-12  # 2 f / g^2 * g = x on a one-dimensional quadratic
    assert optimizer.effective_lr == pytest.approx(0.5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_sherman_morrison_step_minimises_the_model(weight_decay):
    """Solve for the minimiser of (r + r'p)^2 + |p|_S^2 / (2c) + wd/2 |x + p|_S^2 by linear algebra."""
    x, g, d, f, c = numbers(5), numbers(2, 5)[1], numbers(3, 5)[2].abs() + 0.1, 4.0, 0.7
    slope = g / (2 * math.sqrt(f))
    hessian = 2 * torch.outer(slope, slope) + torch.diag(d) * (1 / c + weight_decay)
    p = torch.linalg.solve(hessian, -2 * math.sqrt(f) * slope - weight_decay * d * x)
    rule = get_rule("ngn_mdw")
    # One step whose preconditioner is d: v = g^2 after bias correction, so |g| + eps is set to d through g's scale.
    eps = 0.0
    hyper = rule.resolve({"lr": c, "beta1": 0.0, "beta2": 0.9, "eps": eps, "weight_decay": weight_decay})
    state = rule.init(x) | {"step": 4}
    state["exp_avg_sq"] = (d**2 * (1 - 0.9**5) - 0.1 * g**2) / 0.9
    moved, _ = rule.step(x, g, state, hyper, torch.tensor([f], dtype=torch.float64))
    torch.testing.assert_close(moved, x + p, rtol=1e-11, atol=1e-12)


# --- NGN-M and the diagonal forms --------------------------------------------------------------------------------


def test_ngnm_equals_its_direct_and_its_averaged_form():
    c, momentum, evaluate = 2.0, 0.9, problem()
    x, last = np.ones(6), np.ones(6)
    z, lam, averaged = np.ones(6), momentum / (1 - momentum), np.ones(6)
    direct, ima = [x], [averaged]
    for step in range(200):
        f, g = evaluate(x, step)
        gamma = 2 * c * f / (2 * f + c * g @ g)
        x, last = x - (1 - momentum) * gamma * g + momentum * (x - last), x
        direct.append(x)
        f, g = evaluate(averaged, step)
        z = z - 2 * c * f / (2 * f + c * g @ g) * g
        averaged = lam / (1 + lam) * averaged + z / (1 + lam)
        ima.append(averaged)
    ours = run("ngn_m", lr=c, momentum=momentum)
    close(ours, np.stack(direct), rtol=1e-9)
    close(ours, np.stack(ima), rtol=1e-9)


def test_ngnm_without_momentum_is_ngn():
    close(run("ngn_m", lr=2.0, momentum=0.0), run("ngn", lr=2.0))
    close(run("ngn_m_v2", lr=2.0, momentum=0.0), run("ngn", lr=2.0))


def test_tiny_c_is_damped_heavy_ball():
    ngn = run("ngn_m", lr=1e-8, momentum=0.9) - 1.0
    close(ngn[1:], run("sgd_ema", lr=1e-8, momentum=0.9)[1:] - 1.0, rtol=1e-6)


def test_diagonal_forms_reduce():
    common = dict(lr=0.1, beta2=0.95)
    close(run("ngn_md_v2", beta1=0.0, **common), run("ngn_d", **common))
    close(run("ngn_mdw", beta1=0.9, **common), run("ngn_md", beta1=0.9, **common))
    one = dict(size=1, beta1=0.9, **common)
    close(run("ngn_md", **one), run("ngn_md_v2", **one))
    flat = run("ngn_md", lr=2.0e9, beta1=0.9, eps=1e9)  # D is eps to 1e-8
    np.testing.assert_allclose(flat, run("ngn_m", lr=2.0, momentum=0.9), rtol=0, atol=1e-7)


def test_ngn_md_twin():
    c, b1, b2, eps, decay, evaluate = 0.3, 0.9, 0.95, 1e-8, 0.1, problem()
    x, last, v, trace = np.ones(6), np.ones(6), np.zeros(6), [np.ones(6)]
    for step in range(200):
        f, g = evaluate(x, step)
        v = b2 * v + (1 - b2) * g * g
        d = eps + np.sqrt(v / (1 - b2 ** (step + 1)))
        gamma = c / (1 + c * np.sum(g * g / d) / (2 * f))
        x, last = x - c * decay * x - (1 - b1) * gamma * g / d + b1 * (x - last), x
        trace.append(x)
    close(run("ngn_md", lr=c, beta1=b1, beta2=b2, weight_decay=decay), np.stack(trace), rtol=1e-8)


def test_ngnm_decay_is_decoupled_and_remembered_as_displacement():
    c, b, decay, evaluate = 2.0, 0.9, 0.01, problem()
    x, last = np.ones(6), np.ones(6)
    for step in range(100):
        f, g = evaluate(x, step)
        gamma = c / (1 + c * (g @ g) / (2 * f))
        x, last = x - c * decay * x - (1 - b) * gamma * g + b * (x - last), x
    close(run("ngn_m", num_steps=100, lr=c, momentum=b, weight_decay=decay)[-1], x, rtol=1e-9)


def test_version_2_takes_its_step_size_from_the_average():
    c, b, evaluate = 0.5, 0.9, problem()
    x, m = np.ones(6), np.zeros(6)
    for step in range(100):
        f, g = evaluate(x, step)
        m = b * m + (1 - b) * g
        x = x - c / (1 + c * (m @ m) / (2 * f)) * m
    close(run("ngn_m_v2", num_steps=100, lr=c, momentum=b)[-1], x, rtol=1e-9)


def test_ngn_md_v2_twin():
    c, b1, b2, eps, decay, evaluate = 0.3, 0.9, 0.95, 1e-8, 0.1, problem()
    x, last, v = np.ones(6), np.ones(6), np.zeros(6)
    for step in range(100):
        f, g = evaluate(x, step)
        v = b2 * v + (1 - b2) * g * g
        a = c / (eps + np.sqrt(v / (1 - b2 ** (step + 1))))
        gamma = a / (1 + a * g * g / (2 * f))
        x, last = x - c * decay * x - (1 - b1) * gamma * g + b1 * (x - last), x
    close(run("ngn_md_v2", num_steps=100, lr=c, beta1=b1, beta2=b2, weight_decay=decay)[-1], x, rtol=1e-8)


def test_ngn_mdw_twin():
    c, b1, b2, eps, decay, evaluate = 0.3, 0.9, 0.95, 1e-8, 0.1, problem()
    shrunk = c / (1 + decay * c)
    x, last, v = np.ones(6), np.ones(6), np.zeros(6)
    for step in range(100):
        f, g = evaluate(x, step)
        v = b2 * v + (1 - b2) * g * g
        d = eps + np.sqrt(v / (1 - b2 ** (step + 1)))
        share = max(1 - shrunk * decay / (2 * f) * (g @ x), 0.0)
        q = shrunk * share / (1 + shrunk * np.sum(g * g / d) / (2 * f))
        x, last = x / (1 + decay * c) - (1 - b1) * q * g / d + b1 * (x - last), x
    close(run("ngn_mdw", num_steps=100, lr=c, beta1=b1, beta2=b2, weight_decay=decay)[-1], x, rtol=1e-8)


def test_heavy_ball_on_the_quartic_needs_the_published_number_of_updates():
    """f = x^2 + x^4 from 10 to f <= 1e-15: 268 updates at c = 10; damped gradient descent needs 690 at 1e-2."""
    counts = {}
    for name, c in (("ngn_m", 10.0), ("sgd_ema", 1e-2)):
        x = torch.nn.Parameter(torch.tensor([10.0], dtype=torch.float64))
        # torch's first buffer is undamped, which sgd_ema avoids: the recursion damps every step.
        optimizer = build_optimizer(name, [x], lr=c, momentum=0.9)
        counts[name] = 0
        while True:
            f = float(x.detach() ** 2 + x.detach() ** 4)
            if f <= 1e-15 or counts[name] > 2000:
                break
            x.grad = 2 * x.detach() + 4 * x.detach() ** 3
            optimizer.step(loss=f)
            counts[name] += 1
    assert counts["ngn_m"] == pytest.approx(268, abs=1) and counts["sgd_ema"] == pytest.approx(690, abs=1)


# --- MoMo and relatives -------------------------------------------------------------------------------------------


def test_momo_first_step_with_proximal_decay():
    """sum x^2 at (1, 2, 3), lr 1, weight decay 0.1: the reference implementation gives (0.5, 1, 1.5)."""
    x = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    optimizer = build_optimizer("momo", [x], lr=1.0, weight_decay=0.1)
    x.grad = 2 * x.detach()
    optimizer.step(loss=14.0)
    torch.testing.assert_close(x.detach(), torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("lr", [0.05, 5.0])  # the cap decides, the hinge decides
def test_momo_twin(decay, lr):
    b, lb, evaluate = 0.9, 0.02, problem()
    x, trace = np.ones(6), [np.ones(6)]
    for step in range(200):
        f, g = evaluate(x, step)
        if step == 0:
            f_bar, d, gamma = f, g, g @ x
        f_bar, d, gamma = b * f_bar + (1 - b) * f, b * d + (1 - b) * g, b * gamma + (1 - b) * (g @ x)
        grown = 1 + lr * decay
        tau = min(lr, max(grown * (f_bar - lb - gamma) + d @ x, 0) / (d @ d))
        x = (x - tau * d) / grown
        trace.append(x)
    close(run("momo", lr=lr, beta=b, lb=lb, weight_decay=decay)[:60], np.stack(trace)[:60], rtol=1e-8)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("lr", [0.05, 5.0])  # the cap decides, the hinge decides
def test_momo_adam_twin(decay, lr):
    b1, b2, eps, lb, evaluate = 0.9, 0.95, 1e-8, 0.02, problem()
    x, trace, d, v, f_bar, gamma = np.ones(6), [np.ones(6)], np.zeros(6), np.zeros(6), 0.0, 0.0
    for step in range(200):
        f, g = evaluate(x, step)
        d, v = b1 * d + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        f_bar, gamma = b1 * f_bar + (1 - b1) * f, b1 * gamma + (1 - b1) * (g @ x)
        rho, grown = 1 - b1 ** (step + 1), 1 + lr * decay
        metric = eps + np.sqrt(v / (1 - b2 ** (step + 1)))
        tau = min(lr / rho, max(grown * (f_bar - rho * lb - gamma) + d @ x, 0) / np.sum(d * d / metric))
        x = (x - tau * d / metric) / grown
        trace.append(x)
    ours = run("momo_adam", lr=lr, beta1=b1, beta2=b2, lb=lb, weight_decay=decay)
    close(ours[:60], np.stack(trace)[:60], rtol=1e-8)


def test_momo_with_a_small_cap_is_averaged_sgd():
    """The hinge is inactive, so tau = lr; the average starts at the first gradient."""
    lr, b, evaluate = 1e-4, 0.9, problem()
    x, trace, d = np.ones(6), [np.ones(6)], None
    for step in range(50):
        _, g = evaluate(x, step)
        d = g if d is None else b * d + (1 - b) * g
        x = x - lr * d
        trace.append(x)
    close(run("momo", num_steps=50, lr=lr, beta=b), np.stack(trace))


def test_momsps_and_alr_smag_twins():
    lr, b, scale, evaluate = 0.3, 0.9, 0.5, problem()
    x, last, y, d = np.ones(6), np.ones(6), np.ones(6), np.zeros(6)
    for step in range(100):
        f, g = evaluate(x, step)
        gamma = min(f / (scale * g @ g), lr)
        x, last = x - (1 - b) * gamma * g + b * (x - last), x
        f, g = evaluate(y, step)
        d = b * d + g
        y = y - min(f / (scale * d @ d), lr) * d
    close(run("momsps", num_steps=100, lr=lr, momentum=b, scale=scale)[-1], x, rtol=1e-8)
    close(run("alr_smag", num_steps=100, lr=lr, beta=b, scale=scale)[-1], y, rtol=1e-8)


def test_effective_rate_is_reported():
    x = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    optimizer = build_optimizer("ngn_m", [x], lr=5.0)
    assert optimizer.effective_lr is None
    x.grad = x.detach().clone()
    optimizer.step(loss=2.5)
    assert optimizer.effective_lr == pytest.approx(5.0 / (1 + 5.0 * 5.0 / 5.0))
    plain = build_optimizer("sgd", [x], lr=5.0)
    plain.step()
    assert plain.effective_lr is None


# --- how losses and gradients reach a step ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ngn_m", "ngn_md", "momo_adam"])
def test_gradients_that_a_scaler_multiplied_are_unscaled_before_the_step(name):
    """Mixed precision scales the loss before the backward pass; the step has to see neither factor."""
    found = []
    for scale in (None, 1024.0):
        x = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
        optimizer = build_optimizer(name, [x], lr=0.5)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, enabled=scale is not None)
        for _ in range(5):
            loss = (x**2).sum() + 0.1
            scaler.scale(loss).backward()
            scaler.step(optimizer, lambda loss=loss: loss.detach())
            scaler.update()
            optimizer.zero_grad()
        found.append(x.detach().clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-7)


def test_the_loss_of_another_batch_gives_another_step():
    """What a stale loss does: the step size is that of the loss that was handed in, not of the gradient's batch."""
    sizes = []
    for loss in (0.5, 8.0):
        x = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        optimizer = build_optimizer("ngn", [x], lr=10.0)
        x.grad = x.detach().clone()
        optimizer.step(loss=loss)
        sizes.append(optimizer.effective_lr)
    assert sizes == pytest.approx([10 / 11, 10 / (1 + 10 / 16)])

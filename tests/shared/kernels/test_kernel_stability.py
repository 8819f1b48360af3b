"""Strong decay and long sequences: no overflow, no NaN, and no loss of digits after a strong decay."""

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.kernels.delta import gated_delta_rule
from shared.kernels.linear_attention import scalar_decay_attention, vector_decay_attention
from shared.kernels.selective import selective_scan


def draws(num_steps, seed=0):
    generator = torch_generator(seed, "stability", num_steps)
    q, k, v = (torch.randn(1, num_steps, 1, 4, generator=generator) for _ in range(3))
    return generator, q, torch.nn.functional.normalize(k, dim=-1), v


def decays(generator, num_steps, size, strength):
    """Mostly mild, every so often strong: the mixture in which sums of logarithms lose digits."""
    mild = -0.05 * torch.rand(1, num_steps, 1, size, generator=generator)
    strong = torch.rand(1, num_steps, 1, size, generator=generator) < 0.2
    return torch.where(strong, torch.full_like(mild, -strength), mild)


def compare(kernel, inputs, rtol=1e-5):
    """Torch form in float32 against the loop in float64, with every gradient."""
    results = []
    for backend, dtype in (("torch", torch.float32), ("reference", torch.float64)):
        leaves = [z.to(dtype).requires_grad_() for z in inputs]
        out, state = kernel(*leaves, backend=backend)
        weights = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)
        grads = torch.autograd.grad((out.double() * weights).sum() + state.double().sum(), leaves)
        results.append((out, state, *grads))
    for found, expected in zip(*results, strict=True):
        assert found.isfinite().all()
        error = (found.double() - expected).abs().max() / (1 + expected.abs().max())
        assert error <= rtol, f"off by {error:.1e}"


@pytest.mark.parametrize("strength", [20.0, 1000.0, 1e5])
def test_scalar_decay_keeps_its_digits_after_strong_decay(strength):
    generator, q, k, v = draws(150)
    compare(scalar_decay_attention, [q, k, v, decays(generator, 150, 1, strength)[..., 0]])


@pytest.mark.parametrize("strength", [20.0, 1000.0, 1e5])
def test_vector_decay_keeps_its_digits_after_strong_decay(strength):
    generator, q, k, v = draws(150)
    compare(vector_decay_attention, [q, k, v, decays(generator, 150, 4, strength)])


@pytest.mark.parametrize("strength", [20.0, 1000.0, 1e5])
def test_gated_delta_rule_keeps_its_digits_after_strong_decay(strength):
    generator, q, k, v = draws(150)
    beta = torch.rand(1, 150, 1, generator=generator)
    compare(gated_delta_rule, [q, k, v, beta, decays(generator, 150, 1, strength)[..., 0]])


def test_every_step_decaying_strongly_is_finite_over_long_sequences():
    _, q, k, v = draws(4096)
    for kernel, size in ((scalar_decay_attention, ()), (vector_decay_attention, (4,))):
        leaves = [z.clone().requires_grad_() for z in (q, k, v, torch.full((1, 4096, 1, *size), -20.0))]
        out, _ = kernel(*leaves, backend="torch")
        out.sum().backward()
        assert out.isfinite().all() and all(z.grad.isfinite().all() for z in leaves)
        present = (q * k).sum(-1, keepdim=True) * v
        torch.testing.assert_close(out.detach(), present, rtol=1e-5, atol=1e-6)  # the past weighs exp(-20) = 2e-9


def test_selective_scan_with_large_steps_forgets():
    x = torch.randn(1, 300, 4, generator=torch_generator(0, "large steps"))
    delta, A = torch.full_like(x, 500.0), -torch.arange(1.0, 4.0).expand(4, 3).contiguous()
    B = torch.ones(1, 300, 3)
    y, _ = selective_scan(x, delta, A, B, B, backend="torch")
    torch.testing.assert_close(y, 3 * 500.0 * x, rtol=1e-6, atol=0)

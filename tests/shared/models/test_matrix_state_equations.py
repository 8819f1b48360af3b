"""Mixers with a matrix state, token by token from their parameters and their publications' equations."""

import pytest
import torch
import torch.nn.functional as F

from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.mixers.registry import build_mixer

D, HEADS, LENGTH = 16, 2, 9


def build(name, **options):
    torch.manual_seed(0)
    mixer = build_mixer({"name": name, "conv_width": 0, **options}, MixerContext(d_model=D, num_heads=HEADS)).double()
    with torch.no_grad():
        for index, p in enumerate(mixer.parameters()):
            p.add_(0.5 * torch.randn(p.shape, generator=torch_generator(index, "p"), dtype=p.dtype))
    return mixer


def tokens(seed=0):
    return torch.randn(LENGTH, D, generator=torch_generator(seed, "x"), dtype=torch.float64)


def per_head(x):
    return x.unflatten(-1, (HEADS, -1))


def run_by_hand(mixer, x, transition, write, scale):
    """o_t = S_t^T q_t * scale for one sequence x (T, D), (T, H, V); transition(t, h, k) (K, K), write(t, h, k) (K,)."""
    q, k, v = (
        per_head(part) for part in mixer.qkv_proj(x).split([mixer.num_keys, mixer.num_keys, mixer.num_values], -1)
    )
    outputs = torch.zeros(LENGTH, HEADS, mixer.value_dim, dtype=torch.float64)
    for h in range(HEADS):
        state = torch.zeros(mixer.key_dim, mixer.value_dim, dtype=torch.float64)
        for t in range(LENGTH):
            state = transition(t, h, k[t, h]) @ state + torch.outer(write(t, h, k[t, h]), v[t, h])
            outputs[t, h] = state.T @ q[t, h] * (scale(q[t, h]) if callable(scale) else scale)
    return outputs


@torch.no_grad()
def test_norm_attention():
    mixer, x = build("norm_attention"), tokens()
    eye = torch.eye(8, dtype=torch.float64)
    sums = run_by_hand(mixer, x, lambda t, h, k: eye, lambda t, h, k: k, 8**-0.5)
    divisor = 1 + (x @ mixer.norm_proj.weight.T + mixer.norm_proj.bias).exp()  # exp(softplus(z)) = 1 + e^z
    torch.testing.assert_close(mixer.heads(x[None])[0], sums / divisor.unsqueeze(-1))


@torch.no_grad()
def test_gated_linear_attention():
    mixer, x = build("gla", key_expand=1.0), tokens()
    logits = per_head(x @ mixer.decay_down.weight.T @ mixer.decay_up.weight.T + mixer.decay_up.bias)
    gates = torch.sigmoid(logits) ** (1 / 16)
    heads = run_by_hand(mixer, x, lambda t, h, k: torch.diag(gates[t, h]), lambda t, h, k: k, 8**-0.5)
    torch.testing.assert_close(mixer.heads(x[None])[0], heads)
    normed = heads / (heads.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.head_norm.weight
    expected = mixer.out_proj(normed.flatten(1) * F.silu(mixer.gate_proj(x)))
    torch.testing.assert_close(mixer(x[None])[0], expected)


@pytest.mark.parametrize("negative_eigenvalues", [False, True])
@pytest.mark.parametrize("name", ["deltanet", "gated_deltanet"])
@torch.no_grad()
def test_delta_rules(name, negative_eigenvalues):
    mixer, x = build(name, negative_eigenvalues=negative_eigenvalues), tokens()
    eye = torch.eye(8, dtype=torch.float64)
    beta = torch.sigmoid(x @ mixer.beta_proj.weight.T) * (2 if negative_eigenvalues else 1)
    decay = torch.ones(LENGTH, HEADS, dtype=torch.float64)
    if name == "gated_deltanet":
        step = torch.log1p(torch.exp(x @ mixer.decay_proj.weight.T + mixer.dt_bias))
        decay = torch.exp(-mixer.A_log.exp() * step)

    def transition(t, h, k):
        unit = k / k.norm()
        return decay[t, h] * (eye - beta[t, h] * torch.outer(unit, unit))

    heads = run_by_hand(mixer, x, transition, lambda t, h, k: beta[t, h] * k / k.norm(), lambda q: 8**-0.5 / q.norm())
    torch.testing.assert_close(mixer.heads(x[None])[0], heads)


@torch.no_grad()
def test_delta_product_of_one_step_is_the_delta_rule():
    single, x = build("deltaproduct", num_householder=1, conv_width=4), tokens()[None]
    plain = build("deltanet", conv_width=4)
    plain.load_state_dict(single.state_dict())
    torch.testing.assert_close(single(x), plain(x))


@pytest.mark.parametrize("negative_eigenvalues", [False, True])
@torch.no_grad()
def test_delta_product_applies_its_steps_in_order(negative_eigenvalues):
    mixer, x = build("deltaproduct", num_householder=2, negative_eigenvalues=negative_eigenvalues), tokens()[None]
    inputs, _ = mixer.project(x, None)
    state = torch.zeros(mixer.num_heads, mixer.key_dim, mixer.value_dim, dtype=torch.float64)
    for t in range(LENGTH):
        for step in (2 * t, 2 * t + 1):
            k, v, beta = inputs.k[0, step], inputs.v[0, step], inputs.beta[0, step][:, None, None]
            eye = torch.eye(mixer.key_dim, dtype=torch.float64)
            state = (eye - beta * k[:, :, None] * k[:, None, :]) @ state + beta * k[:, :, None] * v[:, None, :]
        read = (inputs.q[0, 2 * t + 1][:, None, :] @ state)[:, 0]
        torch.testing.assert_close(mixer.heads(x)[0, t], read)
    alpha = mixer.coefficients(x)
    assert alpha.shape[-2:] == (LENGTH, 2 * LENGTH)
    torch.testing.assert_close((alpha @ mixer.values(x)).transpose(1, 2), mixer.heads(x))

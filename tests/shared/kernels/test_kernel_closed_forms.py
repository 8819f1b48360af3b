"""Cases whose answer is known without running a recurrence."""

import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.kernels.delta import delta_rule, gated_delta_rule
from shared.kernels.diagonal import diagonal_recurrence
from shared.kernels.linear_attention import scalar_decay_attention, vector_decay_attention
from shared.kernels.selective import selective_scan

pytestmark = pytest.mark.parametrize("backend", ["reference", "torch"])
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64, a few dozen roundings


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed, "closed forms", *shape), dtype=torch.float64)


def test_constant_decay_gives_geometric_series(backend):
    steps = torch.arange(1, 31, dtype=torch.float64)
    for a in (0.9, -0.5, 1.0):
        h, _ = diagonal_recurrence(
            torch.full((1, 1, 1), a, dtype=torch.float64), torch.ones(1, 30, 1, dtype=torch.float64), backend=backend
        )
        expected = steps if a == 1.0 else (1 - a**steps) / (1 - a)
        torch.testing.assert_close(h[0, :, 0], expected, **EXACT)


def test_factor_on_the_unit_circle_gives_a_phasor(backend):
    a = torch.polar(torch.ones(1, 1, 1, dtype=torch.float64), torch.full((1, 1, 1), 0.3, dtype=torch.float64))
    x, h0 = torch.zeros(1, 20, 1, dtype=torch.complex128), torch.ones(1, 1, dtype=torch.complex128)
    h, _ = diagonal_recurrence(a, x, h0, backend=backend)
    angles = 0.3 * torch.arange(1, 21, dtype=torch.float64)
    torch.testing.assert_close(h[0, :, 0], torch.polar(torch.ones_like(angles), angles), **EXACT)


def test_zero_factor_forgets(backend):
    x = normal(2, 9, 3)
    h, _ = diagonal_recurrence(torch.zeros_like(x), x, normal(2, 3), backend=backend)
    torch.testing.assert_close(h, x, rtol=0, atol=0)


@pytest.mark.parametrize("attend", [scalar_decay_attention, vector_decay_attention])
def test_no_decay_is_masked_quadratic_attention(backend, attend):
    q, k, v = normal(2, 19, 2, 4), normal(2, 19, 2, 4, seed=1), normal(2, 19, 2, 3)
    log_decay = torch.zeros_like(q[..., 0] if attend is scalar_decay_attention else q)
    out, state = attend(q, k, v, log_decay, chunk_size=8, backend=backend)
    scores = torch.einsum("bthk,bshk->bhts", q, k).tril()
    torch.testing.assert_close(out, torch.einsum("bhts,bshv->bthv", scores, v), **EXACT)
    torch.testing.assert_close(state, torch.einsum("bshk,bshv->bhkv", k, v), **EXACT)


@pytest.mark.parametrize("attend", [scalar_decay_attention, vector_decay_attention])
def test_complete_decay_keeps_only_the_present(backend, attend):
    q, k, v = normal(2, 19, 2, 4), normal(2, 19, 2, 4, seed=1), normal(2, 19, 2, 3)
    log_decay = torch.full_like(q[..., 0] if attend is scalar_decay_attention else q, -math.inf)
    out, _ = attend(q, k, v, log_decay, normal(2, 2, 4, 3), chunk_size=8, backend=backend)
    torch.testing.assert_close(out, (q * k).sum(-1, keepdim=True) * v, **EXACT)


def test_equal_channel_decays_reduce_to_one_decay_per_head(backend):
    q, k, v, log_decay = normal(2, 19, 2, 4), normal(2, 19, 2, 4, seed=1), normal(2, 19, 2, 3), -normal(2, 19, 2).abs()
    scalar = scalar_decay_attention(q, k, v, log_decay, chunk_size=8, backend=backend)
    vector = vector_decay_attention(q, k, v, log_decay.unsqueeze(-1).expand_as(q), chunk_size=8, backend=backend)
    for found, expected in zip(vector, scalar, strict=True):
        torch.testing.assert_close(found, expected, **EXACT)


def test_constant_step_and_single_state_is_an_exponential_average(backend):
    x, a, step = normal(1, 25, 3), 0.7, 0.2
    ones = torch.ones(1, 25, 1, dtype=torch.float64)
    y, _ = selective_scan(
        x, torch.full_like(x, step), torch.full((3, 1), -a, dtype=torch.float64), ones, ones, backend=backend
    )
    lags = torch.arange(25, dtype=torch.float64)
    weights = step * torch.exp(-a * step * (lags.unsqueeze(1) - lags)).tril()
    torch.testing.assert_close(y, torch.einsum("ts,bsd->btd", weights, x), **EXACT)


def test_equal_states_with_head_size_one_reduce_to_scalar_decay_attention(backend):
    x, delta, B, C = normal(2, 19, 3), normal(2, 19, 3, seed=1).abs(), normal(2, 19, 4), normal(2, 19, 4, seed=1)
    a = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    y, _ = selective_scan(x, delta, -a.unsqueeze(1).expand(3, 4).contiguous(), B, C, backend=backend)
    q, k = (z.unsqueeze(2).expand(2, 19, 3, 4) for z in (C, B))
    out, _ = scalar_decay_attention(q, k, (delta * x).unsqueeze(-1), -a * delta, chunk_size=8, backend=backend)
    torch.testing.assert_close(out.squeeze(-1), y, **EXACT)


def test_orthonormal_keys_at_full_strength_are_never_erased(backend):
    k = torch.linalg.qr(normal(6, 6))[0].view(1, 6, 1, 6)
    v, ones = normal(1, 6, 1, 3), torch.ones(1, 6, 1, dtype=torch.float64)
    q = normal(1, 6, 1, 6, seed=1)
    out, state = delta_rule(q, k, v, ones, chunk_size=4, backend=backend)
    torch.testing.assert_close(state, torch.einsum("bthk,bthv->bhkv", k, v), **EXACT)
    coefficients = torch.einsum("bthk,bshk->bhts", q, k).tril()
    torch.testing.assert_close(out, torch.einsum("bhts,bshv->bthv", coefficients, v), **EXACT)


def test_repeated_key_at_full_strength_overwrites_exactly(backend):
    k = torch.nn.functional.normalize(normal(1, 1, 1, 5), dim=-1).expand(1, 7, 1, 5)
    v = normal(1, 7, 1, 3)
    out, _ = delta_rule(k, k, v, torch.ones(1, 7, 1, dtype=torch.float64), chunk_size=4, backend=backend)
    torch.testing.assert_close(out, v, **EXACT)


def test_zero_strength_writes_nothing(backend):
    q, v = normal(2, 9, 2, 4), normal(2, 9, 2, 3)
    out, state = delta_rule(q, q, v, torch.zeros(2, 9, 2, dtype=torch.float64), chunk_size=4, backend=backend)
    assert not out.any() and not state.any()


def test_gated_delta_rule_without_decay_is_the_delta_rule(backend):
    q, v, beta = normal(2, 9, 2, 4), normal(2, 9, 2, 3), normal(2, 9, 2).sigmoid()
    k = torch.nn.functional.normalize(normal(2, 9, 2, 4, seed=1), dim=-1)
    plain = delta_rule(q, k, v, beta, chunk_size=4, backend=backend)
    gated = gated_delta_rule(q, k, v, beta, torch.zeros_like(beta), chunk_size=4, backend=backend)
    for found, expected in zip(gated, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_orthogonal_keys_reduce_the_gated_delta_rule_to_decaying_attention(backend):
    q, v, beta, log_decay = normal(1, 6, 1, 6), normal(1, 6, 1, 3), normal(1, 6, 1).sigmoid(), -normal(1, 6, 1).abs()
    k = torch.linalg.qr(normal(6, 6))[0].view(1, 6, 1, 6)
    gated = gated_delta_rule(q, k, v, beta, log_decay, chunk_size=4, backend=backend)
    plain = scalar_decay_attention(q, beta.unsqueeze(-1) * k, v, log_decay, chunk_size=4, backend=backend)
    for found, expected in zip(gated, plain, strict=True):
        torch.testing.assert_close(found, expected, **EXACT)

"""Softmax attention and its coefficients."""

import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.kernels.attention import attention, attention_with_coefficients


def draws(num_queries, num_keys, heads=4, groups=4):
    generator = torch_generator(0, "attention", num_queries, num_keys, heads, groups)
    shapes = ((2, num_queries, heads, 8), (2, num_keys, groups, 8), (2, num_keys, groups, 6))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (7, 7), (1, 7), (3, 7)])
@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_fused_form_matches_reference_in_value_and_gradient(num_queries, num_keys, groups, causal, biased):
    inputs = draws(num_queries, num_keys, groups=groups)
    bias = torch.linspace(-1, 1, num_queries * num_keys, dtype=torch.float64).view(num_queries, num_keys)
    results = []
    for backend in ("reference", "torch"):
        leaves = [z.clone().requires_grad_() for z in inputs]
        out = attention(*leaves, causal=causal, bias=bias if biased else None, scale=0.3, backend=backend)
        results.append((out, *torch.autograd.grad(out.square().sum(), leaves)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_coefficients_are_causal_and_sum_to_one_and_give_the_output():
    q, k, v = draws(7, 7)
    out, coefficients = attention_with_coefficients(q, k, v)
    torch.testing.assert_close(coefficients.sum(-1), torch.ones(2, 4, 7, dtype=torch.float64))
    assert not coefficients.triu(1).any()
    torch.testing.assert_close(torch.einsum("bhts,bshv->bthv", coefficients, v), out, rtol=0, atol=0)


def test_equal_keys_average_the_past():
    q, k, v = draws(7, 7)
    out = attention(q, torch.ones_like(k), v)
    counts = torch.arange(1, 8, dtype=torch.float64).view(1, 7, 1, 1)
    torch.testing.assert_close(out, v.cumsum(1) / counts)


def test_infinite_bias_masks():
    q, k, v = draws(7, 7)
    bias = torch.zeros(7, 7, dtype=torch.float64).masked_fill(~torch.eye(7, dtype=torch.bool), -math.inf)
    torch.testing.assert_close(attention(q, k, v, bias=bias), v)


def test_decoding_with_cached_keys_equals_the_whole():
    q, k, v = draws(7, 7)
    whole = attention(q, k, v)
    steps = [attention(q[:, t : t + 1], k[:, : t + 1], v[:, : t + 1]) for t in range(7)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)


def test_queries_without_a_key_and_uneven_heads_are_refused():
    q, k, v = draws(5, 3)
    with pytest.raises(ValueError, match="at least as many keys as queries; got 3 and 5"):
        attention(q, k, v)
    q, k, v = draws(3, 3, groups=3)
    with pytest.raises(ValueError, match="4 query heads cannot share 3 key heads"):
        attention(q, k, v)

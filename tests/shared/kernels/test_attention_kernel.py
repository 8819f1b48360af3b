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


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_boolean_mask_hides_where_it_is_false_and_never_shows_the_future(backend, causal):
    q, k, v = draws(7, 7)
    seen = torch.rand(7, 7, generator=torch_generator(0, "mask")) < 0.5
    seen |= torch.eye(7, dtype=torch.bool)
    bias = torch.zeros(7, 7, dtype=torch.float64).masked_fill(~seen, -math.inf)
    found = attention(q, k, v, causal=causal, bias=seen, backend=backend)
    torch.testing.assert_close(found, attention(q, k, v, causal=causal, bias=bias, backend="reference"))
    if causal:
        later = [z.clone() for z in (k, v)]
        for z in later:
            z[:, 4:] += 100.0
        after = attention(q, *later, bias=seen, backend=backend)
        torch.testing.assert_close(after[:, :4], found[:, :4], rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_query_that_may_see_nothing_gives_zero_and_no_gradient(backend, dtype):
    leaves = [z.to(dtype).requires_grad_() for z in draws(7, 7)]
    seen = torch.ones(7, 7, dtype=torch.bool)
    seen[3], seen[0, 0] = False, False  # query 0 sees only itself
    out = attention(*leaves, bias=seen, backend=backend)
    assert not out[:, [0, 3]].any() and out[:, [1, 2, 4, 5, 6]].all()
    for gradient in torch.autograd.grad(out.square().sum(), leaves):
        assert gradient.isfinite().all()
    whole = attention(*leaves, backend=backend)
    torch.testing.assert_close(out[:, 4:], whole[:, 4:])


@pytest.mark.parametrize("shape", [(7,), (7, 7), (1, 7, 7), (4, 1, 7), (2, 1, 1, 7)])
def test_a_bias_of_any_shape_and_dtype_means_the_same_in_both_forms(shape):
    q, k, v = draws(7, 7)
    bias = torch.rand(shape, generator=torch_generator(0, "bias", *shape))  # float32 beside float64
    forms = [attention(q, k, v, bias=bias, backend=backend) for backend in ("reference", "torch")]
    torch.testing.assert_close(*forms)
    wide = bias.double().expand(2, 4, 7, 7)
    torch.testing.assert_close(forms[0], attention(q, k, v, bias=wide, backend="reference"))


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_mixed_dtypes_give_outputs_in_the_dtype_of_the_values(backend):
    q, k, v = draws(5, 5)
    out = attention(q.float(), k, v.float(), backend=backend)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, attention(q, k, v).float())


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

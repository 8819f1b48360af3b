"""Short and long causal convolution."""

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.kernels.convolution import long_convolution, short_convolution

BACKENDS = ["reference", "torch"]
SHORT = [*BACKENDS, "compiled"]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed, "convolution", *shape), dtype=torch.float64)


@pytest.mark.parametrize("form", SHORT[1:])
@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("num_steps", [1, 3, 4, 5, 17])
def test_short_forms_agree_in_value_and_gradient(num_steps, width, form):
    leaves = [normal(2, num_steps, 3), normal(3, width), normal(3), normal(2, width - 1, 3)]
    results = []
    for backend in (form, "reference"):
        inputs = [z.clone().requires_grad_() for z in leaves]
        y, state = short_convolution(*inputs, backend=backend)
        grads = torch.autograd.grad(y.square().sum() + state.sum() + sum(z.sum() for z in inputs), inputs)
        results.append((y, state, *grads))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", SHORT)
def test_unit_tap_at_the_end_is_the_identity_and_before_it_a_shift(backend):
    x, weight = normal(2, 9, 3), torch.zeros(3, 4, dtype=torch.float64)
    weight[:, -1] = 1
    assert torch.equal(short_convolution(x, weight, backend=backend)[0], x)
    y, _ = short_convolution(x, weight.roll(-1, dims=1), backend=backend)
    assert torch.equal(y[:, 1:], x[:, :-1]) and not y[:, 0].any()


@pytest.mark.parametrize("backend", SHORT)
@pytest.mark.parametrize("cut", [1, 2, 6])
def test_short_convolution_continues_from_its_cache(backend, cut):
    x, weight, bias = normal(2, 9, 3), normal(3, 4), normal(3)
    whole, last = short_convolution(x, weight, bias, backend=backend)
    head, cache = short_convolution(x[:, :cut], weight, bias, backend=backend)
    tail, final = short_convolution(x[:, cut:], weight, bias, cache, backend=backend)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole, rtol=1e-13, atol=1e-13)
    assert torch.equal(last, final)


@pytest.mark.parametrize("backend", SHORT)
def test_changing_a_step_leaves_earlier_short_outputs(backend):
    x, weight = normal(2, 9, 3), normal(3, 4)
    changed = x.clone()
    changed[:, 5] += 1
    short = [short_convolution(z, weight, backend=backend)[0] for z in (x, changed)]
    assert torch.equal(short[0][:, :5], short[1][:, :5]) and not torch.equal(short[0][:, 5], short[1][:, 5])


@pytest.mark.parametrize("backend", BACKENDS)
def test_changing_a_step_leaves_earlier_long_outputs(backend):
    x, filters = normal(2, 9, 3), normal(9, 3)
    changed = x.clone()
    changed[:, 5] += 1
    long = [long_convolution(z, filters, backend=backend) for z in (x, changed)]
    torch.testing.assert_close(
        long[0][:, :5], long[1][:, :5], rtol=0, atol=1e-14
    )  # the FFT mixes all steps by rounding


@pytest.mark.parametrize("filter_length", [1, 5, 17, 40])
def test_fft_equals_direct_convolution_in_value_and_gradient(filter_length):
    leaves = [normal(2, 17, 3), normal(filter_length, 3), normal(3)]
    results = []
    for backend in BACKENDS:
        inputs = [z.clone().requires_grad_() for z in leaves]
        y = long_convolution(*inputs, backend=backend)
        results.append((y, *torch.autograd.grad(y.square().sum(), inputs)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_long_convolution_derivative_agrees_with_finite_differences():
    inputs = tuple(z.requires_grad_() for z in (normal(1, 5, 2), normal(4, 2), normal(2)))
    assert torch.autograd.gradcheck(long_convolution, inputs)


@pytest.mark.parametrize("backend", BACKENDS)
def test_zero_filter_with_skip_scales_the_input(backend):
    x, skip = normal(2, 9, 3), normal(3)
    y = long_convolution(x, torch.zeros(9, 3, dtype=torch.float64), skip, backend=backend)
    torch.testing.assert_close(y, skip * x, rtol=0, atol=0)


def test_exponential_filter_is_the_diagonal_recurrence():
    from shared.kernels.diagonal import diagonal_recurrence

    x, a = normal(2, 50, 3), torch.tensor([0.9, 0.5, -0.7], dtype=torch.float64)
    filters = a ** torch.arange(50, dtype=torch.float64).unsqueeze(1)
    h, _ = diagonal_recurrence(a.view(1, 1, 3), x)
    torch.testing.assert_close(long_convolution(x, filters), h, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("form", SHORT[1:])
def test_short_convolution_derivative_agrees_with_finite_differences(form):
    inputs = tuple(z.requires_grad_() for z in (normal(2, 5, 2), normal(2, 3), normal(2), normal(2, 2, 2)))
    assert torch.autograd.gradcheck(lambda *z: short_convolution(*z, backend=form), inputs)


def test_bfloat16_convolutions_round_once():
    x = normal(2, 17, 3).bfloat16()
    filters, weight = normal(17, 3).bfloat16(), normal(3, 4).bfloat16()
    for found, expected in (
        (long_convolution(x, filters), long_convolution(x.double(), filters.double())),
        (short_convolution(x, weight)[0], short_convolution(x.double(), weight.double())[0]),
    ):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), expected, rtol=2**-7, atol=2**-6)  # bfloat16: 8 bits


def test_convolutions_map_over_members():
    x, weight, filters = normal(4, 2, 9, 3), normal(4, 3, 4), normal(4, 9, 3)
    short = torch.func.vmap(lambda x, w: short_convolution(x, w)[0])(x, weight)
    long = torch.func.vmap(lambda x, f: long_convolution(x, f))(x, filters)
    for m in range(4):
        torch.testing.assert_close(short[m], short_convolution(x[m], weight[m])[0])
        torch.testing.assert_close(long[m], long_convolution(x[m], filters[m]))

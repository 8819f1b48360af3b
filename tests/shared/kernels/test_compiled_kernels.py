"""The compiled forms: any shape and layout, and the same bits for all threads and instruction sets."""

import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.base.seeding import torch_generator
from shared.kernels import compiled
from shared.kernels.convolution import short_convolution
from shared.kernels.diagonal import diagonal_recurrence
from shared.kernels.selective import selective_scan

pytestmark = pytest.mark.skipif(compiled.library() is None, reason=compiled.attempt()[2])
SIZES = {"batch": st.integers(1, 3), "steps": st.integers(1, 40), "channels": st.integers(1, 150)}
EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)


def normal(*shape, seed=0, dtype=torch.float64):
    """Random numbers, complex ones in both parts."""
    generator = torch_generator(seed, "compiled", *shape)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    return torch.randn(shape, generator=generator, dtype=wide).to(dtype)


def selective_inputs(batch, steps, channels, states, dtype=torch.float64):
    x, delta = normal(batch, steps, channels), normal(batch, steps, channels, seed=1).abs()
    A, h0 = -normal(channels, states).abs(), normal(batch, channels, states)
    inputs = {
        "x": x,
        "delta": delta,
        "A": A,
        "B": normal(batch, steps, states),
        "C": normal(batch, steps, states, seed=1),
    }
    return {name: z.to(dtype) for name, z in (inputs | {"initial_state": h0}).items()}


def results(kernel, inputs, backend):
    """Both outputs and the gradients for all inputs of a weighted sum of them."""
    leaves = [z.detach().clone().requires_grad_() for z in inputs]
    outputs = [z for z in kernel(*leaves, backend=backend) if z.numel()]
    weights = [torch.linspace(-1, 2, z.numel(), dtype=torch.float64).view(z.shape) for z in outputs]
    loss = sum((w * z.abs().square()).sum() for w, z in zip(weights, outputs, strict=True))
    return [*outputs, *torch.autograd.grad(loss, leaves)]


def compare(kernel, inputs):
    for found, expected in zip(*(results(kernel, inputs, form) for form in ("compiled", "reference")), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11 * (1 + expected.abs().sum().item()))


@EXAMPLES
@given(**SIZES, is_complex=st.booleans())
def test_diagonal_recurrence_of_any_shape(batch, steps, channels, is_complex):
    dtype = torch.complex128 if is_complex else torch.float64
    shape = (batch, steps, channels)
    a, x, h0 = normal(*shape, dtype=dtype), normal(*shape, seed=1, dtype=dtype), normal(batch, channels, dtype=dtype)
    compare(diagonal_recurrence, [a / (1 + a.abs()), x, h0])


@EXAMPLES
@given(**SIZES, states=st.integers(1, 40))
def test_selective_scan_of_any_shape(batch, steps, channels, states):
    inputs = selective_inputs(batch, steps, channels, states)
    compare(lambda *z, backend: selective_scan(*z[:5], initial_state=z[5], backend=backend), list(inputs.values()))


@EXAMPLES
@given(**SIZES, width=st.integers(1, 6))
def test_short_convolution_of_any_shape(batch, steps, channels, width):
    x, h0 = normal(batch, steps, channels), normal(batch, width - 1, channels)
    compare(short_convolution, [x, normal(channels, width), normal(channels), h0])


def test_channels_in_several_blocks_of_a_row():
    shape = (1, 3, 5000)  # a block of the recurrence has 2048
    compare(diagonal_recurrence, [normal(*shape).tanh(), normal(*shape, seed=1), normal(1, 5000)])
    compare(short_convolution, [normal(*shape), normal(5000, 2), normal(5000), normal(1, 1, 5000)])


def layouts(z):
    """The numbers of a contiguous z in other places: other orders of axes, every second element, a negated view."""
    second = min(1, z.dim() - 1)
    swapped = z.transpose(0, second).contiguous().transpose(0, second)  # rows of channels stay in one piece
    transposed = z.transpose(0, -1).contiguous().transpose(0, -1)
    spread = torch.stack([z, torch.full_like(z, math.nan)], dim=-1)[..., 0]
    later_rows = torch.cat([z, z], dim=0)[z.shape[0] :]
    lazy = z.conj().resolve_conj().conj() if z.is_complex() else torch._neg_view(-z)
    return [swapped, transposed, spread, later_rows, lazy]


def test_layout_in_memory_changes_no_bit():
    for is_complex in (False, True):
        dtype = torch.complex64 if is_complex else torch.float32
        a, x, h0 = normal(3, 9, 5, dtype=dtype).tanh(), normal(3, 9, 5, seed=1, dtype=dtype), normal(3, 5, dtype=dtype)
        expected = diagonal_recurrence(a, x, h0, backend="compiled")[0]
        for parts in zip(*map(layouts, (a, x, h0)), strict=True):
            assert torch.equal(diagonal_recurrence(*parts, backend="compiled")[0], expected)
    inputs = selective_inputs(3, 9, 5, 4, torch.float32)
    expected = selective_scan(**inputs, backend="compiled")[0]
    for parts in zip(*map(layouts, inputs.values()), strict=True):
        found = selective_scan(**dict(zip(inputs, parts, strict=True)), backend="compiled")[0]
        assert torch.equal(found, expected)
    inputs = [normal(3, 9, 5), normal(5, 4), normal(5), normal(3, 3, 5)]
    expected = short_convolution(*inputs, backend="compiled")[0]
    for parts in zip(*map(layouts, inputs), strict=True):
        assert torch.equal(short_convolution(*parts, backend="compiled")[0], expected)


def test_gradient_may_come_in_any_layout():
    a, x = normal(2, 9, 5).tanh(), normal(2, 9, 5, seed=1)
    for cotangent in (torch.ones(()).double().expand(2, 9, 5), *layouts(normal(2, 9, 5, seed=2))):
        grads = []
        for backend in ("compiled", "reference"):
            leaves = [z.clone().requires_grad_() for z in (a, x)]
            grads.append(torch.autograd.grad(diagonal_recurrence(*leaves, backend=backend)[0], leaves, cotangent))
        torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_gradient_of_the_input_alone_equals_that_of_the_pair():
    a, x = normal(2, 9, 5).tanh(), normal(2, 9, 5, seed=1)
    both = torch.autograd.grad(diagonal_recurrence(a.requires_grad_(), x.requires_grad_())[0].square().sum(), [a, x])
    (alone,) = torch.autograd.grad(diagonal_recurrence(a.detach(), x)[0].square().sum(), [x])
    assert torch.equal(alone, both[1]) and both[0].any()


def test_constant_factor_costs_no_copy_along_time():
    a, x = torch.tensor([0.5, -0.25]).view(1, 1, 2), torch.ones(1, 3, 2)
    found = diagonal_recurrence(a, x, backend="compiled")[0]
    assert torch.equal(found, torch.tensor([[[1, 1], [1.5, 0.75], [1.75, 0.8125]]]))
    state = diagonal_recurrence(a.unsqueeze(-1), x.unsqueeze(-1).expand(1, 3, 2, 4), backend="compiled")[1]
    assert torch.equal(state, found[:, -1].unsqueeze(-1).expand(1, 2, 4))


def all_bits():
    """Every result of the three kernels in float32, for comparisons bit by bit."""
    shape = (3, 50, 150)
    a, x, h0 = normal(*shape).tanh().float(), normal(*shape, seed=1).float(), normal(3, 150).float()
    found = results(diagonal_recurrence, [a, x, h0], "compiled")
    inputs = selective_inputs(3, 50, 150, 16, torch.float32)
    found += results(
        lambda *z, backend: selective_scan(*z[:5], initial_state=z[5], backend=backend), inputs.values(), "compiled"
    )
    return found + results(short_convolution, [x, normal(150, 4).float(), h0[0], normal(3, 3, 150).float()], "compiled")


@pytest.fixture
def threads(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(compiled, "SMALL", 0)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_number_of_threads_changes_no_bit(threads):
    threads(1)
    expected = all_bits()
    for count in (2, 3, 16):
        threads(count)
        assert all(torch.equal(*pair) for pair in zip(all_bits(), expected, strict=True))


@pytest.mark.skipif("-mavx2" not in compiled.flags(), reason="this processor has one instruction set here")
def test_instruction_set_changes_no_bit(tmp_path):
    code = (
        f"import sys, torch; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "import test_compiled_kernels as here; from shared.kernels import compiled\n"
        "assert '-mavx2' not in compiled.flags()\n"
        f"torch.save([z.detach() for z in here.all_bits()], {str(tmp_path / 'bits.pt')!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "ATEN_CPU_CAPABILITY": "default"})
    found = torch.load(tmp_path / "bits.pt")
    assert all(torch.equal(*pair) for pair in zip(found, all_bits(), strict=True))


def exponentials(exponents, dtype):
    """e^z as the selective scan has it: one step of a state of 1 that no input drives."""
    delta = torch.as_tensor(exponents, dtype=dtype).view(1, 1, -1)
    one = torch.ones(1, 1, 1, dtype=dtype)
    size = delta.shape[2]
    ones = torch.ones(size, 1, dtype=dtype)
    y, _ = selective_scan(torch.zeros_like(delta), delta, ones, one, one, None, ones.unsqueeze(0), backend="compiled")
    return y.flatten()


@pytest.mark.parametrize(("dtype", "lowest", "highest"), [(torch.float32, -86.9, 88.7), (torch.float64, -708, 709.7)])
def test_exponential_is_right_to_the_rounding_of_its_argument(dtype, lowest, highest):
    z = torch.linspace(lowest, highest, 20001, dtype=torch.float64).to(dtype)
    exact = torch.tensor([math.exp(each) for each in z.tolist()], dtype=torch.float64)
    error = (exponentials(z, dtype).double() - exact).abs() / exact
    eps = torch.finfo(dtype).eps
    assert (error <= eps * (1.5 + 1.5 * z.abs().double())).all()  # z / ln 2 is rounded, and what depends on it
    assert exponentials([0.0] * 3, dtype).tolist() == [1.0] * 3


@pytest.mark.parametrize(("dtype", "lowest", "highest"), [(torch.float32, -88.0, 88.8), (torch.float64, -709, 709.8)])
def test_exponential_ends_in_zero_infinity_and_nan(dtype, lowest, highest):
    found = exponentials([lowest, 10 * lowest, -1e30, highest, 10 * highest, 1e30, math.nan], dtype)
    assert found[:3].tolist() == [0, 0, 0]
    assert found[3:6].tolist() == [math.inf] * 3
    assert found[6].isnan()


def test_nan_reaches_later_steps_of_its_channel_alone():
    x = normal(1, 9, 20)
    x[0, 4, 7] = math.nan
    for y in (
        diagonal_recurrence(torch.full((1, 1, 1), 0.5).double(), x, backend="compiled")[0],
        selective_scan(**selective_inputs(1, 9, 20, 3) | {"x": x}, backend="compiled")[0],
    ):
        assert y[0, 4:, 7].isnan().all() and y.isnan().sum() == 5

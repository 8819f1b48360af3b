"""The torch and the compiled forms do what the plain loops do: value, final state and every gradient."""

import pytest
import torch

CHUNK = 8
LENGTHS = [1, CHUNK - 1, CHUNK, CHUNK + 1, 13, 2 * CHUNK, 37, 5 * CHUNK]


def assert_all_close(found, expected, rtol):
    for name, reference in expected.items():
        scale = 1 + reference.abs().max().item()
        error = (found[name].to(reference.dtype) - reference).abs().max().item()
        assert error <= rtol * scale, f"{name}: off by {error:.2e} where values reach {scale:.2e}"


@pytest.mark.parametrize("num_steps", LENGTHS)
def test_form_matches_reference_in_value_and_gradient(kernel, form, num_steps, kernel_case, with_gradients):
    case = kernel_case(kernel, num_steps)
    expected = with_gradients(case, backend="reference")
    assert_all_close(with_gradients(case, backend=form), expected, rtol=1e-12)  # float64: rounding only


def test_float32_stays_within_rounding_of_float64(kernel, form, kernel_case, with_gradients):
    expected = with_gradients(kernel_case(kernel, 37), backend="reference")
    found = with_gradients(kernel_case(kernel, 37, torch.float32), backend=form)
    assert_all_close(found, expected, rtol=1e-5)  # sums of 37 terms at eps 6e-8


def test_bfloat16_inputs_are_summed_in_float32(kernel, form, kernel_case, with_gradients):
    if kernel == "diagonal complex":
        pytest.skip("torch has no complex bfloat16")
    rounded = kernel_case(kernel, 37, torch.bfloat16)
    wide = type(rounded)(kernel, {name: z.double() for name, z in rounded.inputs.items()}, rounded.timed)
    found, expected = with_gradients(rounded, backend=form), with_gradients(wide, backend="reference")
    assert found["output"].dtype == torch.bfloat16
    assert found["final state"].dtype == torch.float32
    assert_all_close(found, expected, rtol=2**-7)  # one rounding of each result, half a unit of 2**-8, and slack
    assert_all_close({"final state": found["final state"]}, {"final state": expected["final state"]}, rtol=1e-5)


def test_chunk_size_does_not_change_the_result(chunked_kernel, kernel_case, with_gradients):
    case = kernel_case(chunked_kernel, 21)
    expected = with_gradients(case, backend="torch", chunk_size=1)
    for chunk_size in (2, 4, 16, 64):
        assert_all_close(with_gradients(case, backend="torch", chunk_size=chunk_size), expected, rtol=1e-12)


@pytest.mark.parametrize("cut", [1, 8, 11])
def test_split_sequence_with_carried_state_equals_whole(kernel, backend, cut, kernel_case):
    case = kernel_case(kernel, 19)
    whole, final_state = case.run(backend=backend)
    head, carried = case.run(case.cut(slice(0, cut)), backend=backend)
    tail, last = case.run({**case.cut(slice(cut, None)), "initial_state": carried}, backend=backend)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(last, final_state, rtol=1e-11, atol=1e-11)


def test_no_initial_state_means_zeros(kernel, backend, kernel_case):
    case = kernel_case(kernel, 11)
    zeros = {**case.inputs, "initial_state": torch.zeros_like(case.inputs["initial_state"])}
    absent = {name: z for name, z in case.inputs.items() if name != "initial_state"}
    for found, expected in zip(case.run(absent, backend=backend), case.run(zeros, backend=backend), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_later_inputs_leave_earlier_outputs_bitwise_unchanged(kernel, backend, kernel_case):
    case = kernel_case(kernel, 19)
    changed = {}
    for name, z in case.inputs.items():
        changed[name] = z.clone()
        if name in case.timed:
            changed[name][:, 12:] *= 0.5
    before, after = case.run(backend=backend)[0], case.run(changed, backend=backend)[0]
    if backend == "torch" and "delta" in kernel:  # the solver sums in blocks whose order depends on nothing but size
        torch.testing.assert_close(before[:, :12], after[:, :12], rtol=0, atol=1e-14)
    else:
        assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.equal(before[:, 12:], after[:, 12:])

"""Triton forms against the plain loops: on a GPU, and under Triton's interpreter on the CPU.

Triton decides at import whether it interprets, so the interpreted tests run in a process of their own.
"""

import os
import subprocess
import sys

import pytest
import torch

from shared.kernels.dispatch import triton_is_installed

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
NATIVE = INTERPRETED or torch.cuda.is_available()
CHUNK = 16  # the shortest that tensor cores take

needs_triton = pytest.mark.skipif(not triton_is_installed(), reason="triton is not installed")
needs_device = pytest.mark.skipif(not NATIVE, reason="needs a GPU, or TRITON_INTERPRET=1 before triton is imported")


@needs_triton
@pytest.mark.skipif(NATIVE, reason="the tests below run in this process")
def test_triton_forms_under_the_interpreter():
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout.splitlines()[-1], result.stdout[-500:]


def on_device(case, dtype=None):
    moved = {name: z.to(DEVICE, dtype if dtype and not z.is_complex() else None) for name, z in case.inputs.items()}
    return type(case)(case.name, moved, case.timed)


def assert_all_close(found, expected, rtol):
    for name, reference in expected.items():
        scale = 1 + reference.abs().max().item()
        error = (found[name].cpu().to(reference.dtype) - reference).abs().max().item()
        assert error <= rtol * scale, f"{name}: off by {error:.2e} where values reach {scale:.2e}"


@needs_triton
@needs_device
@pytest.mark.parametrize("num_steps", [1, CHUNK - 1, CHUNK, CHUNK + 1, 53])
def test_triton_matches_reference_in_value_and_gradient(kernel, num_steps, kernel_case, with_gradients):
    expected = with_gradients(kernel_case(kernel, num_steps), backend="reference")
    found = with_gradients(on_device(kernel_case(kernel, num_steps, torch.float32)), backend="triton")
    assert_all_close(found, expected, rtol=2e-5)  # float32 sums of at most 53 terms


@needs_triton
@needs_device
def test_triton_sums_bfloat16_inputs_in_float32(kernel, kernel_case, with_gradients):
    if kernel == "diagonal complex":
        pytest.skip("torch has no complex bfloat16")
    rounded = kernel_case(kernel, 19, torch.bfloat16)
    wide = type(rounded)(kernel, {name: z.double() for name, z in rounded.inputs.items()}, rounded.timed)
    expected = with_gradients(wide, backend="reference")
    found = with_gradients(on_device(rounded), backend="triton")
    assert found["output"].dtype == torch.bfloat16 and found["final state"].dtype == torch.float32
    assert_all_close(found, expected, rtol=2**-6)  # results and saved states are rounded, each to 8 bits


@needs_triton
@needs_device
def test_triton_carries_its_state(kernel, kernel_case):
    case = on_device(kernel_case(kernel, 19, torch.float32))
    whole, final_state = case.run(backend="triton")
    head, carried = case.run(case.cut(slice(0, 11)), backend="triton")
    tail, last = case.run({**case.cut(slice(11, None)), "initial_state": carried}, backend="triton")
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last, final_state, rtol=1e-4, atol=1e-4)


@needs_triton
@needs_device
def test_triton_keeps_its_digits_after_strong_decay(chunked_kernel, kernel_case, with_gradients):
    if chunked_kernel == "delta rule":
        pytest.skip("it does not decay")
    case = kernel_case(chunked_kernel, 40)
    strong = case.inputs["log_decay"] < -0.8
    case.inputs["log_decay"] = torch.where(strong, -1000.0, 0.05 * case.inputs["log_decay"])
    expected = with_gradients(case, backend="reference", chunk_size=32)
    found = with_gradients(on_device(case, torch.float32), backend="triton", chunk_size=32)
    assert all(z.isfinite().all() for z in found.values())
    assert_all_close(found, expected, rtol=2e-5)


@needs_triton
@needs_device
def test_triton_maps_over_members(kernel, kernel_case):
    members = [on_device(kernel_case(kernel, 11, torch.float32, seed=seed)) for seed in range(2)]
    names = list(members[0].inputs)
    stacked = [torch.stack([member.inputs[name] for member in members]) for name in names]

    def call(*tensors):
        return members[0].run(dict(zip(names, tensors, strict=True)), backend="triton")[0]

    found = torch.func.vmap(call)(*stacked)
    for m, member in enumerate(members):
        torch.testing.assert_close(found[m], member.run(backend="triton")[0], rtol=1e-5, atol=1e-5)

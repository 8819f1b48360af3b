"""Shapes are checked with a sentence, and the form that runs is the one asked for."""

import subprocess
import sys

import pytest
import torch

from shared.kernels import dispatch
from shared.kernels.convolution import long_convolution, short_convolution
from shared.kernels.dispatch import ENVIRONMENT_VARIABLE, choose_backend, forms_that_ran


def test_wrong_shapes_are_named_with_what_was_expected(kernel, kernel_case):
    case = kernel_case(kernel, 7)
    for name, z in case.inputs.items():
        for wrong in (torch.cat([z, z], dim=-1), z[..., None]):
            if name == "q":
                wrong = wrong[..., :0]  # q fixes the other shapes, so only an empty one is wrong in itself
            with pytest.raises(ValueError) as error:
                case.run({**case.inputs, name: wrong})
            shapes = [str(tuple(other.shape)) for other in (wrong, *case.inputs.values())]
            assert sum(shape in str(error.value) for shape in set(shapes)) >= 1
            assert (
                "expected" in str(error.value) or "asks for" in str(error.value) or "does not fit" in str(error.value)
            )


def test_message_gives_both_shapes():
    x = torch.zeros(2, 5, 3)
    with pytest.raises(ValueError, match=r"weight has shape \(4, 2\).*\(2, 5, 3\).*\(3, 2\)"):
        short_convolution(x, torch.zeros(4, 2))


def test_chunk_size_must_be_a_power_of_two(chunked_kernel, kernel_case):
    with pytest.raises(ValueError, match="power of two"):
        kernel_case(chunked_kernel, 7).run(chunk_size=12)


def test_states_keep_the_input_dtype_and_at_least_float32(kernel, backend, kernel_case):
    for dtype in (torch.float32, torch.float64):
        out, state = kernel_case(kernel, 3, dtype).run(backend=backend)
        wanted = dtype.to_complex() if kernel == "diagonal complex" else dtype
        assert out.dtype == state.dtype == wanted


def test_argument_beats_environment_beats_device(monkeypatch):
    x, forms = torch.zeros(1), ("reference", "torch", "triton")
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert choose_backend("toy", None, x, forms) == "torch"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "reference")
    assert choose_backend("toy", None, x, forms) == "reference"
    assert choose_backend("toy", "torch", x, forms) == "torch"
    assert forms_that_ran()["toy"] == "reference, torch"


def test_environment_reaches_the_kernels(kernel, kernel_case, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "fortran")
    with pytest.raises(
        ValueError, match=r"'fortran' \(from ARTIFACTS_KERNEL_BACKEND\).*reference, torch, compiled, triton"
    ):
        kernel_case(kernel, 3).run()


def test_unknown_backend_is_refused(kernel, kernel_case):
    with pytest.raises(ValueError, match=r"unknown kernel backend 'cuda'"):
        kernel_case(kernel, 3).run(backend="cuda")


def test_form_that_a_kernel_lacks_is_refused_or_warned_about(monkeypatch):
    x = torch.zeros(1, 4, 2)
    with pytest.raises(ValueError, match="no 'triton' form; it has reference, torch"):
        long_convolution(x, torch.zeros(4, 2), backend="triton")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "triton")
    with pytest.warns(UserWarning, match="'torch' runs"):
        long_convolution(x, torch.zeros(4, 2))


def test_missing_triton_is_a_sentence(kernel, kernel_case, monkeypatch):
    monkeypatch.setattr(dispatch, "triton_is_installed", lambda: False)
    with pytest.raises(ValueError, match="triton is not installed; pip install triton or use 'torch'"):
        kernel_case(kernel, 3).run(backend="triton")


def test_kernels_import_without_triton():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "from shared.kernels import attention, convolution, delta, diagonal, linear_attention, selective\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

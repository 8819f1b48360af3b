"""Which form of a kernel runs: the plain reference, the chunked torch form, the compiled one, or the Triton one.

Precedence: the `backend` argument, then the environment variable ARTIFACTS_KERNEL_BACKEND, then the device: Triton on
CUDA where it is installed and the dtype is one it has; on the CPU the compiled form where the kernel has one and a
compiler is at hand; torch everywhere else.
"""

import importlib.util
import os
import warnings
from functools import lru_cache

import torch
from torch import Tensor

from shared.kernels import compiled

ENVIRONMENT_VARIABLE = "ARTIFACTS_KERNEL_BACKEND"
BACKENDS = ("reference", "torch", "compiled", "triton")
MATRIX_FORMS = ("reference", "torch", "triton")  # of the kernels with a matrix state
TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.complex64)

_ran: dict[str, set[str]] = {}


@lru_cache(maxsize=1)
def triton_is_installed() -> bool:
    """Whether `import triton` can succeed; nothing is imported."""
    return importlib.util.find_spec("triton") is not None


def choose_backend(kernel: str, backend: str | None, tensor: Tensor, available: tuple[str, ...]) -> str:
    """Name of the form to run.

    Args:
        kernel: the kernel's name, under which `forms_that_ran` remembers the choice.
        backend: the caller's wish, or None to leave it to the environment and the device.
        tensor: the kernel's main input; its device and dtype decide where nobody else does.
        available: the forms that this kernel has, of `BACKENDS`.
    Raises:
        ValueError: an unknown name, a form this kernel lacks, Triton asked for where it is not installed or for a dtype
            it has no form for, or the compiled form where there is no library or for a tensor off the CPU.
    """
    choice = _choose(backend, tensor, available)
    _ran.setdefault(kernel, set()).add(choice)
    return choice


def forms_that_ran() -> dict[str, object]:
    """Kernel -> the form or forms that this process chose for it, and what the compiled ones were built with."""
    forms: dict[str, object] = {kernel: ", ".join(sorted(chosen)) for kernel, chosen in sorted(_ran.items())}
    if any("compiled" in chosen for chosen in _ran.values()):
        forms["built_with"] = compiled.attempt()[1]
    return forms


def _choose(backend: str | None, tensor: Tensor, available: tuple[str, ...]) -> str:
    choice = backend or os.environ.get(ENVIRONMENT_VARIABLE) or None
    if choice is None:
        return _by_device(tensor, available)
    if choice not in BACKENDS:
        source = "argument" if backend else ENVIRONMENT_VARIABLE
        raise ValueError(f"unknown kernel backend {choice!r} (from {source}); accepted are {', '.join(BACKENDS)}")
    if choice not in available:
        if backend:
            raise ValueError(f"this kernel has no {choice!r} form; it has {', '.join(available)}")
        warnings.warn(f"{ENVIRONMENT_VARIABLE}={choice}, but this kernel has no such form; 'torch' runs", stacklevel=4)
        return "torch"
    if choice == "triton" and not triton_is_installed():
        raise ValueError(
            "backend 'triton' was asked for, but triton is not installed; pip install triton or use 'torch'"
        )
    if choice == "triton" and tensor.dtype not in TRITON_DTYPES:
        raise ValueError(f"the Triton forms take at most float32; got {tensor.dtype}, for which 'torch' is the form")
    if choice == "compiled" and tensor.device.type != "cpu":
        raise ValueError(f"the compiled forms run on the CPU; got a tensor on {tensor.device}; use 'torch' or 'triton'")
    if choice == "compiled" and compiled.library() is None:
        raise ValueError(f"backend 'compiled' was asked for, but {compiled.attempt()[2]}; use 'torch'")
    return choice


def _by_device(tensor: Tensor, available: tuple[str, ...]) -> str:
    if tensor.is_cuda and tensor.dtype in TRITON_DTYPES and "triton" in available and triton_is_installed():
        return "triton"
    on_cpu = (
        tensor.device.type == "cpu" and not torch.compiler.is_compiling()
    )  # a compiler cannot look into the library
    return "compiled" if on_cpu and "compiled" in available and compiled.library() is not None else "torch"

"""Which form of a kernel runs: the plain reference, the chunked torch form, or the Triton one.

Precedence: the `backend` argument, then the environment variable ARTIFACTS_KERNEL_BACKEND, then the device: Triton on
CUDA where it is installed and the dtype is one it has, torch everywhere else.
"""

import importlib.util
import os
import warnings
from functools import lru_cache

import torch
from torch import Tensor

ENVIRONMENT_VARIABLE = "ARTIFACTS_KERNEL_BACKEND"
BACKENDS = ("reference", "torch", "triton")
TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.complex64)


@lru_cache(maxsize=1)
def triton_is_installed() -> bool:
    """Whether `import triton` can succeed; nothing is imported."""
    return importlib.util.find_spec("triton") is not None


def choose_backend(backend: str | None, tensor: Tensor, available: tuple[str, ...] = BACKENDS) -> str:
    """Name of the form to run.

    Args:
        backend: the caller's wish, or None to leave it to the environment and the device.
        tensor: the kernel's main input; its device and dtype decide where nobody else does.
        available: the forms that this kernel has.
    Raises:
        ValueError: an unknown name, a form this kernel lacks, or Triton asked for where it is not installed.
    """
    choice = backend or os.environ.get(ENVIRONMENT_VARIABLE) or None
    if choice is None:
        wants_triton = tensor.is_cuda and tensor.dtype in TRITON_DTYPES and "triton" in available
        return "triton" if wants_triton and triton_is_installed() else "torch"
    if choice not in BACKENDS:
        source = "argument" if backend else ENVIRONMENT_VARIABLE
        raise ValueError(f"unknown kernel backend {choice!r} (from {source}); accepted are {', '.join(BACKENDS)}")
    if choice not in available:
        if backend:
            raise ValueError(f"this kernel has no {choice!r} form; it has {', '.join(available)}")
        warnings.warn(f"{ENVIRONMENT_VARIABLE}={choice}, but this kernel has no such form; 'torch' runs", stacklevel=3)
        return "torch"
    if choice == "triton" and not triton_is_installed():
        raise ValueError(
            "backend 'triton' was asked for, but triton is not installed; pip install triton or use 'torch'"
        )
    return choice

"""Diagonal linear recurrence h_t = a_t * h_{t-1} + x_t, real or complex.

Shapes: B batch, T time, F any further axes (channels, heads, states).
"""

import torch
from torch import Tensor

from shared.kernels.checks import state_dtype
from shared.kernels.compiled_diagonal import diagonal_compiled
from shared.kernels.dispatch import choose_backend
from shared.kernels.scan_loop import scan_loop


def diagonal_recurrence(
    a: Tensor, x: Tensor, initial_state: Tensor | None = None, *, backend: str | None = None
) -> tuple[Tensor, Tensor]:
    """States of h_t = a_t * h_{t-1} + x_t, elementwise.

    Args:
        a: factor, (B, T, *F) or with 1 in place of any of these axes (a constant decay is (1, 1, D)); any size and
            sign, real or complex.
        x: input, (B, T, *F); real or complex.
        initial_state: h_0, (B, *F); zeros if omitted.
        backend: "reference", "torch", "compiled", "triton", or None to choose by device.
    Returns:
        states h_1..h_T, (B, T, *F), in the common dtype of `a` and `x`; final state h_T, (B, *F), at least float32.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    """
    _check(a, x, initial_state)
    choice = choose_backend("diagonal_recurrence", backend, x, ("reference", "torch", "compiled", "triton"))
    dtype = state_dtype(a, x, initial_state)
    h0 = torch.zeros_like(x[:, 0], dtype=dtype) if initial_state is None else initial_state.to(dtype)
    if choice == "triton":
        from shared.kernels.triton_diagonal import diagonal_triton  # here: triton is optional

        return diagonal_triton(a.expand(x.shape), x, h0)
    if choice == "compiled":
        a = a.expand(*a.shape[:2], *x.shape[2:]).contiguous()  # rows of channels lie side by side
    form = {"reference": _reference, "torch": scan_loop, "compiled": diagonal_compiled}[choice]
    states = form(a.to(dtype).expand(x.shape), x.to(dtype), h0)
    return states.to(torch.promote_types(a.dtype, x.dtype)), states[:, -1]


def _check(a: Tensor, x: Tensor, initial_state: Tensor | None) -> None:
    if x.dim() < 2 or 0 in x.shape:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, T, ...) without an empty axis")
    if a.dim() != x.dim() or any(m not in (1, n) for m, n in zip(a.shape, x.shape, strict=True)):
        raise ValueError(f"a {tuple(a.shape)} does not fit x {tuple(x.shape)}; each axis of a must equal x's or be 1")
    expected = (x.shape[0], *x.shape[2:])
    if initial_state is not None and tuple(initial_state.shape) != expected:
        raise ValueError(
            f"initial_state has shape {tuple(initial_state.shape)}, but x {tuple(x.shape)} asks for {expected}"
        )


def _reference(a: Tensor, x: Tensor, h: Tensor) -> Tensor:
    states = []
    for a_t, x_t in zip(a.unbind(1), x.unbind(1), strict=True):
        h = a_t * h + x_t
        states.append(h)
    return torch.stack(states, dim=1)

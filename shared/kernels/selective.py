"""Selective scan (S6): a diagonal state per channel whose step size, input and read-out depend on the token.

Shapes: B batch, T time, D channels, N states per channel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.kernels.checks import require_rank, require_shape, state_dtype
from shared.kernels.chunk_loop import chunk_loop
from shared.kernels.compiled_selective import selective_compiled
from shared.kernels.dispatch import choose_backend
from shared.kernels.selective_step import selective_step

CHUNK_SIZE = 32  # (B, C, D, N) intermediates stay near the processor


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    initial_state: Tensor | None = None,
    *,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """y_t = C_t h_t + D x_t with h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t.

    The input matrix is discretised by Euler's rule and the state matrix exactly, as Mamba does.

    Args:
        x: input, (B, T, D).
        delta: step size, (B, T, D), positive (after the softplus, if asked for).
        A: state matrix's diagonal, (D, N), negative.
        B: input projection, (B, T, N), shared by the channels.
        C: read-out, (B, T, N), shared by the channels.
        D: skip, (D,); none if omitted.
        initial_state: h_0, (B, D, N); zeros if omitted.
        delta_bias: added to delta before the softplus, (D,).
        delta_softplus: pass delta through log(1 + exp(.)).
        backend: "reference", "torch", "compiled", "triton", or None to choose by device.
    Returns:
        outputs (B, T, D) in the dtype of `x`; final state h_T (B, D, N), at least float32.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    Source: Gu and Dao 2023 (arXiv 2312.00752), eq. 2 and algorithm 2.
    """
    _check(x, delta, A, B, C, D, delta_bias, initial_state)
    wide = state_dtype(x, delta, A, B, C, initial_state)
    step = delta.to(wide) if delta_bias is None else delta.to(wide) + delta_bias.to(wide)
    step = F.softplus(step) if delta_softplus else step
    shape = (x.shape[0], *A.shape)
    state = x.new_zeros(shape, dtype=wide) if initial_state is None else initial_state.to(wide)
    inputs = (x.to(wide), step, B.to(wide), C.to(wide))
    choice = choose_backend("selective_scan", backend, x, _forms(wide))
    if choice == "triton":
        from shared.kernels.triton_selective import selective_triton  # here: triton is optional

        y, state = selective_triton(*inputs[:2], A.to(wide).expand(shape), *inputs[2:], state)
    elif choice == "compiled":
        y, state = selective_compiled(state, A.to(wide).expand(shape), *inputs)
    elif choice == "reference":
        y, state = _reference(state, A.to(wide), *inputs)
    else:
        constants = (A.to(wide).expand(shape),)
        y, state = chunk_loop(selective_step, CHUNK_SIZE, state, inputs, constants, recompute_single=True)
    if D is not None:
        y = y + D.to(wide) * x.to(wide)
    return y.to(x.dtype), state


def _forms(dtype: torch.dtype) -> tuple[str, ...]:
    return ("reference", "torch", *(() if dtype.is_complex else ("compiled",)), "triton")


def _check(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
) -> None:
    require_rank("x", x, "B T D")
    require_rank("A", A, "D N")
    (batch, steps, channels), states = x.shape, A.shape[1]
    given = f"x {tuple(x.shape)} and A {tuple(A.shape)}"
    require_shape("A", A, (channels, states), f"x {tuple(x.shape)}")
    require_shape("delta", delta, x.shape, given)
    require_shape("B", B, (batch, steps, states), given)
    require_shape("C", C, (batch, steps, states), given)
    for name, tensor, expected in (
        ("D", D, (channels,)),
        ("delta_bias", delta_bias, (channels,)),
        ("initial_state", initial_state, (batch, channels, states)),
    ):
        if tensor is not None:
            require_shape(name, tensor, expected, given)


def _reference(state: Tensor, A: Tensor, x: Tensor, delta: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    outputs = []
    for x_t, delta_t, B_t, C_t in zip(x.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True):
        state = torch.exp(delta_t.unsqueeze(-1) * A) * state + (delta_t * x_t).unsqueeze(-1) * B_t.unsqueeze(1)
        outputs.append((state * C_t.unsqueeze(1)).sum(-1))
    return torch.stack(outputs, dim=1), state

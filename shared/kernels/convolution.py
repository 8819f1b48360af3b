"""Causal convolutions along time: a short depthwise one with a cache for decoding, and a long one by FFT.

Shapes: B batch, T time, D channels, W filter width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.kernels.checks import require_rank, require_shape, state_dtype
from shared.kernels.compiled_convolution import short_convolution_compiled
from shared.kernels.dispatch import choose_backend


def short_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    initial_state: Tensor | None = None,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """y_t = bias + sum_{j<W} weight[:, j] * x_{t-W+1+j}; the last tap sees the current step.

    Args:
        x: input, (B, T, D).
        weight: one filter per channel, (D, W), in the order of `torch.nn.Conv1d`.
        bias: (D,); none if omitted.
        initial_state: the W - 1 inputs before the first, oldest first, (B, W - 1, D); zeros if omitted.
        backend: "reference", "torch", "compiled", or None to choose by device.
    Returns:
        outputs (B, T, D) in the dtype of `x`; the last W - 1 inputs (B, W - 1, D): the next call's initial_state.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    """
    require_rank("x", x, "B T D")
    require_rank("weight", weight, "D W")
    (batch, _, channels), width = x.shape, weight.shape[1]
    given = f"x {tuple(x.shape)} and weight {tuple(weight.shape)}"
    require_shape("weight", weight, (channels, width), f"x {tuple(x.shape)}")
    if bias is not None:
        require_shape("bias", bias, (channels,), given)
    if initial_state is None:
        initial_state = torch.zeros_like(x[:, :1]).expand(batch, width - 1, channels)
    else:
        require_shape("initial_state", initial_state, (batch, width - 1, channels), given)
    available = ("reference", "torch", *(() if x.is_complex() else ("compiled",)))
    choice = choose_backend("short_convolution", backend, x, available)
    if choice == "compiled":
        return _short_compiled(x, weight, bias, initial_state.to(x.dtype))
    padded = torch.cat([initial_state.to(x.dtype), x], dim=1)
    form = {"reference": _short_reference, "torch": _short_torch}[choice]
    return form(padded, weight, bias).to(x.dtype), padded[:, padded.shape[1] - (width - 1) :]


def _short_reference(padded: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    width = weight.shape[1]
    outputs = []
    for t in range(padded.shape[1] - width + 1):
        window = padded[:, t : t + width]  # (B, W, D)
        outputs.append((window * weight.t()).sum(1))
    y = torch.stack(outputs, dim=1)
    return y if bias is None else y + bias


def _short_torch(padded: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv1d(
        padded.transpose(1, 2),
        weight.unsqueeze(1).to(padded.dtype),
        None if bias is None else bias.to(padded.dtype),
        groups=weight.shape[0],
    ).transpose(1, 2)


def _short_compiled(x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor) -> tuple[Tensor, Tensor]:
    wide, kept = state_dtype(x), initial_state.shape[1]
    given = (x.to(wide), weight.to(wide), None if bias is None else bias.to(wide), initial_state.to(wide))
    last = torch.cat([initial_state, x[:, max(0, x.shape[1] - kept) :]], dim=1)
    return short_convolution_compiled(*given).to(x.dtype), last[:, last.shape[1] - kept :]


def long_convolution(x: Tensor, filters: Tensor, skip: Tensor | None = None, *, backend: str | None = None) -> Tensor:
    """y_t = skip * x_t + sum_{s<=t} filters[t - s] * x_s, by FFT in O(T log T).

    Args:
        x: input, (B, T, D).
        filters: impulse response per channel, (L, D); lags from L on count as zero, lags from T on have no effect.
        skip: (D,); none if omitted (an impulse of this size at lag 0).
        backend: "reference" or "torch", or None to choose by device.
    Returns:
        outputs (B, T, D) in the dtype of `x`.
    Raises:
        ValueError: shapes that do not fit, or an unknown backend.
    """
    require_rank("x", x, "B T D")
    require_rank("filters", filters, "L D")
    given = f"x {tuple(x.shape)}"
    require_shape("filters", filters, (filters.shape[0], x.shape[2]), given)
    form = {"reference": _long_reference, "torch": _long_torch}[
        choose_backend("long_convolution", backend, x, ("reference", "torch"))
    ]
    y = form(x, filters[: x.shape[1]])
    if skip is not None:
        require_shape("skip", skip, (x.shape[2],), given)
        y = y + skip * x
    return y.to(x.dtype)


def _long_reference(x: Tensor, filters: Tensor) -> Tensor:
    outputs = []
    for t in range(x.shape[1]):
        lags = min(t + 1, filters.shape[0])
        outputs.append((x[:, t - lags + 1 : t + 1] * filters[:lags].flip(0)).sum(1))
    return torch.stack(outputs, dim=1)


def _long_torch(x: Tensor, filters: Tensor) -> Tensor:
    dtype = torch.promote_types(torch.promote_types(x.dtype, filters.dtype), torch.float32)  # no FFT in bfloat16
    num_steps = x.shape[1]
    length = 1 << (num_steps + filters.shape[0] - 2).bit_length()  # room for the tail: the product must not wrap
    spectrum = torch.fft.rfft(x.to(dtype), n=length, dim=1) * torch.fft.rfft(filters.to(dtype), n=length, dim=0)
    return torch.fft.irfft(spectrum, n=length, dim=1)[:, :num_steps]

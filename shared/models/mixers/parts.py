"""What several mixers share: short convolution, head norm, GLU output, initialisations.

Shapes: B batch, T time, D channels, W filter width, H heads, V value width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.convolution import short_convolution
from shared.models.fused import rms_norm
from shared.models.mixers.base import Cache, Mixer


def widen(x: Tensor) -> Tensor:
    """`x` in float32, or as it is if wider: gates and decays lose too much below."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Dtype of a state whose inputs have `dtype`: at least float32."""
    return torch.promote_types(dtype, torch.float32)


class RecurrentMixer(Mixer):
    """A causal mixer whose parallel form takes and returns its cache: one method, `run`, serves all forms."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        if not causal:
            raise ValueError(f"{type(self).__name__} runs forward in time only; set causal to true or use attention")

    def run(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """x (B, T, D) after the tokens in `cache` (None: none) -> (y (B, T, D), cache after it)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, None)[0]

    def prefill(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        return self.run(x, cache)

    def step(self, x_t: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        y, cache = self.run(x_t[:, None], cache)
        return y[:, 0], cache


def kernel_backend(num_steps: int) -> str | None:
    """A single step is the plain recurrence; more steps leave the choice to the kernel."""
    return "reference" if num_steps == 1 else None


class ShortConvolution(nn.Module):
    """Depthwise causal convolution over time with a cache; torch's Conv1d init."""

    def __init__(self, channels: int, width: int, bias: bool = False) -> None:
        super().__init__()
        bound = width**-0.5  # 1 / sqrt(fan in) of a depthwise filter
        self.weight = nn.Parameter(torch.empty(channels, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (B, T, D), state (B, W - 1, D) or None for zeros -> (y (B, T, D), state after it)."""
        return short_convolution(x, self.weight, self.bias, state)

    def initial_state(self, batch_size: int, like: dict) -> Tensor:
        return torch.zeros(batch_size, self.weight.shape[1] - 1, self.weight.shape[0], **like)

    @property
    def state_size(self) -> int:
        return (self.weight.shape[1] - 1) * self.weight.shape[0]


class HeadNorm(nn.Module):
    """RMSNorm of every head's output, (B, T, H, V) -> (B, T, H, V); the scale is shared by the heads."""

    def __init__(self, value_dim: int, scale: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(value_dim)) if scale else None
        self.eps = eps

    def forward(self, heads: Tensor) -> Tensor:
        return rms_norm(heads, self.weight, self.eps)


class GatedOutput(nn.Module):
    """GELU, then a linear map to twice the width and a GLU: the position-wise end of an S4 or LRU layer."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d_model, 2 * d_model)

    def forward(self, y: Tensor) -> Tensor:
        return F.glu(self.linear(F.gelu(y)), dim=-1)


def init_projection_(linear: nn.Linear, init_std: float | None, gain: float = 2**-2.5) -> None:
    """N(0, init_std^2); where the model sets none, Xavier-uniform with the gain of the retention literature."""
    if init_std is None:
        nn.init.xavier_uniform_(linear.weight, gain=gain)
    else:
        nn.init.normal_(linear.weight, std=init_std)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def inverse_softplus_of_log_uniform(num: int, low: float = 1e-3, high: float = 1e-1, floor: float = 1e-4) -> Tensor:
    """b such that softplus(b) is log-uniform in [low, high] (Gu & Dao 2023, arXiv 2312.00752, section 3.6); (num,)."""
    dt = torch.exp(torch.rand(num) * (math.log(high) - math.log(low)) + math.log(low)).clamp(min=floor)
    return dt + torch.log(-torch.expm1(-dt))


class BlockDiagonal(nn.Module):
    """Linear map of D channels in independent blocks: (..., D) -> (..., D)."""

    def __init__(self, channels: int, num_blocks: int, bias: bool, std: float) -> None:
        super().__init__()
        if channels % num_blocks:
            raise ValueError(
                f"the number of blocks must divide the width; got {num_blocks} blocks and width {channels}"
            )
        width = channels // num_blocks
        self.weight = nn.Parameter(torch.empty(num_blocks, width, width).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        blocks = x.unflatten(-1, (self.weight.shape[0], -1))
        y = torch.einsum("...gi,gij->...gj", blocks, self.weight).flatten(-2)
        return y if self.bias is None else y + self.bias

"""Position in attention: rotary embedding and linear biases.

Shapes: B batch, T time, H heads, N head width.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from shared.models.fused import rotate_halves


def rotary_tables(seq_len: int, head_dim: int, base: float, device: Any = None) -> tuple[Tensor, Tensor]:
    """cos and sin of the angles t * base^(-2m / N), m < N/2, each (T, N/2) in float64.

    Source: Su et al. 2021 (arXiv 2104.09864), eq. 34.
    """
    m = torch.arange(0, head_dim, 2, device=device, dtype=torch.float64)
    angles = torch.outer(torch.arange(seq_len, device=device, dtype=torch.float64), base ** (-m / head_dim))
    return angles.cos(), angles.sin()


class Rotary(nn.Module):
    """Turn queries and keys by their position, so that q.k depends on the distance only.

    The two halves of a head hold the two coordinates of its planes (rotate-half layout). The tables are rebuilt, not
    cast, whenever the module moves to another device or dtype: bfloat16 and back loses nothing.
    """

    def __init__(self, head_dim: int, base: float = 10000.0, max_seq_len: int = 2048) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"rotary embedding turns pairs of coordinates; got the odd head width {head_dim}")
        self.head_dim, self.base, self.max_seq_len = head_dim, base, max_seq_len
        self.register_buffer("cos", torch.empty(0), persistent=False)
        self.register_buffer("sin", torch.empty(0), persistent=False)
        self._build()

    def _build(self) -> None:
        device, dtype = self.cos.device, self.cos.dtype
        cos, sin = rotary_tables(self.max_seq_len, self.head_dim, self.base, device)
        self.cos, self.sin = cos.to(dtype), sin.to(dtype)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self._build()
        return self

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """x (B, T, H, N), its first token at position `offset`; same shape and dtype."""
        end = offset + x.shape[1]
        if end <= self.max_seq_len:
            cos, sin = self.cos, self.sin
        else:
            cos, sin = rotary_tables(end, self.head_dim, self.base, x.device)
        return rotate_halves(x, cos[offset:end, None].to(x.dtype), sin[offset:end, None].to(x.dtype))


def alibi_slopes(num_heads: int) -> list[float]:
    """Slope of each head: 2^(-8 h / H) for h = 1..H when H is a power of two.

    Otherwise those of the power of two below, then every second one of the power of two above.
    Source: Press et al. 2021 (arXiv 2108.12409), section 3 and its released code.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * (h + 1) / power) for h in range(power)]
    return slopes + [2 ** (-4 * (2 * h + 1) / power) for h in range(num_heads - power)]


def alibi_bias(slopes: Tensor, num_queries: int, num_keys: int) -> Tensor:
    """-slope * |i - j| for the last `num_queries` of `num_keys` positions; (H, num_queries, num_keys)."""
    keys = torch.arange(num_keys, device=slopes.device)
    distance = (keys[num_keys - num_queries :, None] - keys).abs()
    return -slopes[:, None, None] * distance

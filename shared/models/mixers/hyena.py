"""Convolutional mixers: Hyena and BaseConv.

Shapes: B batch, T time, D channels, L longest length.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from shared.kernels.convolution import long_convolution
from shared.models.config import MixerContext
from shared.models.mixers.config import BaseConvConfig, HyenaConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.parts import RecurrentMixer, ShortConvolution
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register


class ImplicitFilter(nn.Module):
    """A filter over L lags as a network of the lag, damped exponentially.

    h(t) = ffn([t, cos(f w), -sin(f w)]) * exp(-t |delta|), t = lag / (L - 1), w = 2 pi lag / L; all sines of the
    network share one trainable frequency vector; deltas run from log(1e-2) / 1.5 to log(1e-2) / 0.3 over the channels.
    Source: Poli et al. 2023 (arXiv 2302.10866), section 3.3 and appendix D.3.
    """

    def __init__(self, channels: int, max_len: int, config: HyenaConfig) -> None:
        super().__init__()
        self.max_len, self.num_bands, order = max_len, (config.position_features - 1) // 2, config.filter_order
        self.frequency = nn.Parameter(torch.ones(order))
        widths = [1 + 2 * self.num_bands, order, order, order]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(widths))
        self.last = nn.Linear(order, channels, bias=False)
        deltas = torch.linspace(math.log(1e-2) / 1.5, math.log(1e-2) / 0.3, channels)
        self.register_buffer("deltas", deltas, persistent=False)

    def forward(self, num_lags: int) -> Tensor:
        """The first `num_lags` values, (num_lags, D)."""
        lag = torch.arange(num_lags, device=self.deltas.device, dtype=self.deltas.dtype)[:, None]
        t = lag / max(self.max_len - 1, 1)
        bands = torch.linspace(1e-4, max(self.num_bands - 1, 1e-4), self.num_bands).to(lag)
        angle = bands * (2 * math.pi / self.max_len) * lag
        z = torch.cat([t, angle.cos(), -angle.sin()], dim=-1)
        for layer in self.layers:
            z = torch.sin(self.frequency * layer(z))
        return self.last(z) * torch.exp(-t * self.deltas.abs())


def first_state(like: Tensor) -> Tensor:
    """Keys that write the first state of a shift register, shaped as `like` (B, T, H, K)."""
    k = torch.zeros_like(like)
    k[..., 0] = 1
    return k


@register(HyenaConfig)
class Hyena(RecurrentMixer):
    """x2 * (h conv (x1 * v) + bias * x1 * v) with x1, x2, v short-convolved projections of the input; order 2.

    Decoding keeps all past inputs of the long convolution. Source: Poli et al. 2023 (arXiv 2302.10866), definition 3.1.
    """

    def __init__(self, config: HyenaConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.d_model, self.max_len = context.d_model, context.max_seq_len
        self.in_proj = nn.Linear(context.d_model, 3 * context.d_model)
        self.conv = ShortConvolution(3 * context.d_model, config.conv_width, bias=True)
        self.filter = ImplicitFilter(context.d_model, context.max_seq_len, config)
        self.skip = nn.Parameter(torch.randn(context.d_model))
        self.out_proj = nn.Linear(context.d_model, context.d_model)

    def run(self, x: Tensor, cache):
        conv_state, past = (None, x.new_zeros(x.shape[0], 0, self.d_model)) if cache is None else cache
        mixed, conv_state = self.conv(self.in_proj(x), conv_state)
        first, second, v = mixed.chunk(3, dim=-1)
        v = torch.cat([past, v * first], dim=1)
        num_seen = v.shape[1]
        if num_seen > self.max_len:
            raise ValueError(f"the filter ends at max_seq_len {self.max_len}; got {num_seen} tokens")
        filters = self.filter(num_seen)
        if x.shape[1] == 1:
            y = (v * filters.flip(0)).sum(1, keepdim=True) + self.skip * v[:, -1:]
        else:
            y = long_convolution(v, filters, self.skip)[:, num_seen - x.shape[1] :]
        return self.out_proj(y * second), (conv_state, v)

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(heads.squeeze(-1))

    def cast(self, x: Tensor) -> Cast:
        """Every channel is a head: a shift register of T states, written by x1, read by x2 times the filter."""
        first, second, v = self.conv(self.in_proj(x), None)[0].chunk(3, dim=-1)
        q = second.unsqueeze(-1) * self.filter(x.shape[1]).mT  # (B, T, D, T)
        return Cast(
            q=q,
            k=first_state(q),
            v=v.unsqueeze(-1),
            b=first,
            evolution=Evolution(shift=True),
            readout=Readout("identity"),
            normaliser=Normaliser(),
            direct=second * self.skip * first,
        )

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        return self.conv.initial_state(batch_size, like), torch.zeros(batch_size, 0, self.d_model, **like)

    def state_size(self, seq_len: int = 1) -> int:
        return self.conv.state_size + seq_len * self.d_model


@register(BaseConvConfig)
class BaseConv(RecurrentMixer):
    """conv(x) * (W x + b) + x (Arora et al. 2023, arXiv 2312.04927, section 4)."""

    def __init__(self, config: BaseConvConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.conv = ShortConvolution(context.d_model, config.conv_width, bias=True)
        self.projection = nn.Linear(context.d_model, context.d_model)

    def run(self, x: Tensor, cache):
        y, cache = self.conv(x, cache)
        return torch.addcmul(x, y, self.projection(x)), cache

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return torch.addcmul(x, heads.squeeze(-1) + self.conv.bias, self.projection(x))

    def cast(self, x: Tensor) -> Cast:
        """Every channel is a head: a shift register of the filter's width, read by its taps."""
        q = self.conv.weight.flip(-1).expand(*x.shape, -1)  # the last tap sees the current step
        return Cast(
            q=q,
            k=first_state(q),
            v=x.unsqueeze(-1),
            b=torch.ones_like(x),
            evolution=Evolution(shift=True),
            readout=Readout("identity"),
            normaliser=Normaliser(),
        )

    def initial_cache(self, batch_size, device=None, dtype=None):
        return self.conv.initial_state(batch_size, self._device_dtype(device, dtype))

    def state_size(self, seq_len: int = 1) -> int:
        return self.conv.state_size

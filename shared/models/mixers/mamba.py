"""Mamba and Mamba-2.

Shapes: B batch, T time, D model width, E inner width, N states, H heads, P head width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.linear_attention import scalar_decay_attention
from shared.kernels.selective import selective_scan
from shared.models.config import MixerContext
from shared.models.fused import rms_norm
from shared.models.mixers.config import Mamba2Config, MambaConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.parts import (
    RecurrentMixer,
    ShortConvolution,
    inverse_softplus_of_log_uniform,
    kernel_backend,
    state_dtype,
    widen,
)
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register
from shared.models.rotary import Rotary


@register(MambaConfig)
class Mamba(RecurrentMixer):
    """The Mamba block around a selective scan (Gu & Dao 2023, arXiv 2312.00752, algorithm 2 and section 3.4).

    Init: A = -(1..N) per channel, D = 1, softplus(b_dt) log-uniform in [1e-3, 1e-1], W_dt uniform +- rank^(-1/2).
    `rope`, no part of the published block, turns B and C by the position, as attention turns keys and queries; decays
    that differ within a plane do not commute with the turn, so a weight then depends on more than the distance.
    """

    no_weight_decay = ("A_log", "D")

    def __init__(self, config: MambaConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        d_inner = config.expand * context.d_model
        self.d_state, self.dt_rank = config.d_state, config.dt_rank or math.ceil(context.d_model / 16)
        self.gated = config.gate
        self.rotary = Rotary(config.d_state, context.rope_base, context.max_seq_len) if config.rope else None
        if config.dynamics_lr != 1:
            self.lr_scales = dict.fromkeys(("A_log", "D", "dt_proj.weight", "dt_proj.bias"), config.dynamics_lr)
        self.in_proj = nn.Linear(context.d_model, d_inner * (2 if config.gate else 1), bias=context.bias)
        self.conv = ShortConvolution(d_inner, config.conv_width, bias=True) if config.conv_width else None
        self.x_proj = nn.Linear(d_inner, self.dt_rank + 2 * config.d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, d_inner)
        self.A_log = nn.Parameter(torch.arange(1, config.d_state + 1).log().repeat(d_inner, 1))
        self.D = nn.Parameter(torch.ones(d_inner))
        self.out_proj = nn.Linear(d_inner, context.d_model, bias=context.bias)
        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        with torch.no_grad():
            self.dt_proj.bias.copy_(inverse_softplus_of_log_uniform(d_inner))

    def _scan_inputs(self, x: Tensor, conv_state: Tensor | None, offset: int = 0):
        """Scan input u (B, T, E), raw step size (B, T, E), B and C (B, T, N), gate z or None, convolution state."""
        u, z = self.in_proj(x), None
        if self.gated:
            u, z = u.chunk(2, dim=-1)
        if self.conv is not None:
            u, conv_state = self.conv(u, conv_state)
        u = F.silu(u)
        dt, b, c = self.x_proj(u).split((self.dt_rank, self.d_state, self.d_state), dim=-1)
        if self.rotary is not None:
            b, c = (self.rotary(part.unsqueeze(2), offset).squeeze(2) for part in (b, c))
        return u, F.linear(dt, self.dt_proj.weight), b, c, z, conv_state

    def run(self, x: Tensor, cache):
        conv_state, state, offset = (None, None, 0) if cache is None else cache
        u, dt, b, c, z, conv_state = self._scan_inputs(x, conv_state, offset)
        y, state = selective_scan(
            u, dt, -widen(self.A_log).exp(), b, c, self.D, state,
            delta_bias=self.dt_proj.bias, delta_softplus=True, backend=kernel_backend(x.shape[1]),
        )  # fmt: skip
        return self._output(y, z), (conv_state, state, offset + x.shape[1])

    def _output(self, y: Tensor, z: Tensor | None) -> Tensor:
        return self.out_proj(y if z is None else y * F.silu(z))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._output(heads.squeeze(-1), self._scan_inputs(x, None)[4])

    def cast(self, x: Tensor) -> Cast:
        """Every channel is a head of width 1: q = C, k = B, v = u, A_t = diag(exp(Delta_t a)), b = Delta."""
        u, dt, b, c, _, _ = self._scan_inputs(x, None)
        delta = F.softplus(widen(dt) + self.dt_proj.bias)
        b, c = (part.unsqueeze(2).expand(-1, -1, u.shape[-1], -1) for part in (b, c))
        return Cast(
            q=c,
            k=b,
            v=u.unsqueeze(-1),
            b=delta,
            evolution=Evolution(log_decay=delta.unsqueeze(-1) * -widen(self.A_log).exp()),
            readout=Readout("identity"),
            normaliser=Normaliser(),
            direct=self.D.expand_as(u),
        )

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        conv_state = None if self.conv is None else self.conv.initial_state(batch_size, like)
        like["dtype"] = state_dtype(like["dtype"])
        return conv_state, torch.zeros(batch_size, *self.A_log.shape, **like), 0

    def state_size(self, seq_len: int = 1) -> int:
        return self.A_log.numel() + (0 if self.conv is None else self.conv.state_size)


@register(Mamba2Config)
class Mamba2(RecurrentMixer):
    """The Mamba-2 block: one scalar decay per head, B and C shared by the heads, gated norm.

    Source: Dao & Gu 2024 (arXiv 2405.21060), section 7; init: A uniform in [-16, -1], D = 1, step sizes as in Mamba.
    """

    no_weight_decay = ("A_log", "D", "dt_bias")

    def __init__(self, config: Mamba2Config, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.d_inner, self.d_state = config.expand * context.d_model, config.d_state
        if self.d_inner % config.head_dim:
            raise ValueError(f"head_dim must divide the inner width; got {config.head_dim} and {self.d_inner}")
        self.num_heads, self.head_dim = self.d_inner // config.head_dim, config.head_dim
        num_mixed = self.d_inner + 2 * config.d_state  # x, B and C pass the convolution together
        self.in_proj = nn.Linear(context.d_model, self.d_inner + num_mixed + self.num_heads, bias=context.bias)
        self.conv = ShortConvolution(num_mixed, config.conv_width, bias=True) if config.conv_width else None
        self.A_log = nn.Parameter(torch.empty(self.num_heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(self.num_heads))
        self.dt_bias = nn.Parameter(inverse_softplus_of_log_uniform(self.num_heads))
        self.norm_weight = nn.Parameter(torch.ones(self.d_inner))
        self.out_proj = nn.Linear(self.d_inner, context.d_model, bias=context.bias)

    def _ssd_inputs(self, x: Tensor, conv_state: Tensor | None):
        """u (B, T, H, P), step size (B, T, H), B and C (B, T, H, N), log decay (B, T, H), gate z, convolution state."""
        mixed_width = self.d_inner + 2 * self.d_state
        z, mixed, dt = self.in_proj(x).split((self.d_inner, mixed_width, self.num_heads), dim=-1)
        if self.conv is not None:
            mixed, conv_state = self.conv(mixed, conv_state)
        u, b, c = F.silu(mixed).split((self.d_inner, self.d_state, self.d_state), dim=-1)
        delta = F.softplus(widen(dt) + self.dt_bias)
        b, c = (part.unsqueeze(2).expand(-1, -1, self.num_heads, -1) for part in (b, c))
        u = u.unflatten(-1, (self.num_heads, self.head_dim))
        return u, delta, b, c, -widen(self.A_log).exp() * delta, z, conv_state

    def run(self, x: Tensor, cache):
        conv_state, state = (None, None) if cache is None else cache
        u, delta, b, c, log_decay, z, conv_state = self._ssd_inputs(x, conv_state)
        stepped = u * delta.unsqueeze(-1)
        y, state = scalar_decay_attention(c, b, stepped, log_decay, state, backend=kernel_backend(x.shape[1]))
        return self._output((y + self.D.unsqueeze(-1) * u).flatten(2).to(x.dtype), z), (conv_state, state)

    def _output(self, y: Tensor, z: Tensor) -> Tensor:
        return self.out_proj(rms_norm(y * F.silu(z), self.norm_weight, 1e-5))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._output(heads.flatten(2), self._ssd_inputs(x, None)[5])

    def cast(self, x: Tensor) -> Cast:
        """q = C, k = B, v = u, A_t = exp(Delta_t a), b = Delta."""
        u, delta, b, c, log_decay, _, _ = self._ssd_inputs(x, None)
        return Cast(
            q=c,
            k=b,
            v=u,
            b=delta,
            evolution=Evolution(log_decay=log_decay.unsqueeze(-1)),
            readout=Readout("identity"),
            normaliser=Normaliser(),
            direct=self.D.expand_as(delta),
        )

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        conv_state = None if self.conv is None else self.conv.initial_state(batch_size, like)
        like["dtype"] = state_dtype(like["dtype"])
        return conv_state, torch.zeros(batch_size, self.num_heads, self.d_state, self.head_dim, **like)

    def state_size(self, seq_len: int = 1) -> int:
        return self.d_inner * self.d_state + (0 if self.conv is None else self.conv.state_size)

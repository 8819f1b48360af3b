"""Mixers with a diagonal vector state: LRU and RG-LRU.

Shapes: B batch, T time, D model width, N states.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.diagonal import diagonal_recurrence
from shared.models.config import MixerContext
from shared.models.mixers.config import LRUConfig, RGLRUConfig
from shared.models.mixers.dynamics import Cast, channel_cast
from shared.models.mixers.parts import (
    BlockDiagonal,
    GatedOutput,
    RecurrentMixer,
    ShortConvolution,
    kernel_backend,
    state_dtype,
    widen,
)
from shared.models.mixers.registry import register


@register(LRUConfig)
class LRU(RecurrentMixer):
    """h_t = lambda h_{t-1} + gamma B x_t, y_t = Re(C h_t) + D x_t with complex diagonal lambda; then GELU and GLU.

    lambda = exp(-exp(nu) + i exp(theta)). Source: Orvieto et al. 2023 (arXiv 2303.06349), section 3 and appendix A;
    init: lambda uniform on the ring, gamma = sqrt(1 - |lambda|^2), parts of B ~ N(0, 1/2D), C ~ N(0, 1/N), D ~ N(0, 1).
    """

    no_weight_decay = ("nu_log", "theta_log", "gamma_log", "D")

    def __init__(self, config: LRUConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        d_model, self.d_state = context.d_model, config.d_state or context.d_model
        if config.r_min >= config.r_max:
            raise ValueError(f"r_min must be below r_max; got {config.r_min} and {config.r_max}")
        ring = config.r_min**2 + torch.rand(self.d_state) * (config.r_max**2 - config.r_min**2)  # |lambda|^2
        log_modulus = 0.5 * ring.clamp(1e-12, 1 - 1e-6).log()
        self.nu_log = nn.Parameter((-log_modulus).log())
        self.theta_log = nn.Parameter((config.max_phase * torch.rand(self.d_state)).clamp(min=1e-6).log())
        self.gamma_log = nn.Parameter(0.5 * (-torch.expm1(2 * log_modulus)).log())
        # real and imaginary parts
        self.B = nn.Parameter(torch.randn(2, self.d_state, d_model) / math.sqrt(2 * d_model))
        self.C = nn.Parameter(torch.randn(2, d_model, self.d_state) / math.sqrt(self.d_state))
        self.D = nn.Parameter(torch.randn(d_model))
        self.output = GatedOutput(d_model)

    def run(self, x: Tensor, cache):
        eigenvalues = torch.exp(self._log_eigenvalues())
        wide, gamma = widen(x), widen(self.gamma_log).exp()
        b = widen(self.B)
        driven = torch.complex(gamma * F.linear(wide, b[0]), gamma * F.linear(wide, b[1]))  # (B, T, N)
        h, state = diagonal_recurrence(eigenvalues[None, None], driven, cache, backend=kernel_backend(x.shape[1]))
        return self._output(h, x), state

    def _log_eigenvalues(self) -> Tensor:
        return torch.complex(-widen(self.nu_log).exp(), widen(self.theta_log).exp())

    def _output(self, h: Tensor, x: Tensor) -> Tensor:
        c = widen(self.C)
        y = F.linear(h.real, c[0]) - F.linear(h.imag, c[1]) + self.D * x
        return self.output(y.to(x.dtype))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._output(heads.squeeze(-1), x)

    def cast(self, x: Tensor) -> Cast:
        """Every complex state is a head of width 1: A = lambda, b = gamma, values B x; the output map reads Re(C h)."""
        wide, b = widen(x), widen(self.B)
        v = torch.complex(F.linear(wide, b[0]), F.linear(wide, b[1]))  # (B, T, N)
        gamma = widen(self.gamma_log).exp()
        return channel_cast(self._log_eigenvalues().expand(v.shape), gamma.expand(v.shape), v)

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        return torch.zeros(
            batch_size, self.d_state, device=like["device"], dtype=state_dtype(like["dtype"]).to_complex()
        )

    def state_size(self, seq_len: int = 1) -> int:
        return 2 * self.d_state


@register(RGLRUConfig)
class RGLRU(RecurrentMixer):
    """h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t * u_t), a_t = sigmoid(Lambda)^(8 r_t), in Griffin's recurrent block.

    r_t, i_t are sigmoids of block-diagonal maps of u_t, the convolved projection of x; the output is multiplied by
    gelu(W_g x). Source: De et al. 2024 (arXiv 2402.19427), eqs. 1 to 4; sigmoid(Lambda)^8 starts in [0.9, 0.999].
    """

    EXPONENT = 8.0  # c of eq. 3
    no_weight_decay = ("decay",)

    def __init__(self, config: RGLRUConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.width = config.width or context.d_model
        num_blocks = config.num_blocks or context.num_heads
        self.in_proj = nn.Linear(context.d_model, 2 * self.width)  # recurrence, then gate
        self.conv = ShortConvolution(self.width, config.conv_width, bias=True) if config.conv_width else None
        std = (num_blocks / self.width) ** 0.5
        self.recurrence_gate = BlockDiagonal(self.width, num_blocks, bias=True, std=std)
        self.input_gate = BlockDiagonal(self.width, num_blocks, bias=True, std=std)
        decay = torch.empty(self.width).uniform_(0.9, 0.999) ** (1 / self.EXPONENT)
        self.decay = nn.Parameter(torch.logit(decay))  # Lambda
        self.out_proj = nn.Linear(self.width, context.d_model)

    def run(self, x: Tensor, cache):
        conv_state, state = (None, None) if cache is None else cache
        u, gate, log_a, b, conv_state = self._gated(x, conv_state)
        h, state = diagonal_recurrence(log_a.exp(), b * u, state, backend=kernel_backend(x.shape[1]))
        return self._output(h, gate), (conv_state, state)

    def _gated(self, x: Tensor, conv_state: Tensor | None):
        """u, the output's gate, log a and the input's factor sqrt(1 - a^2) i, (B, T, N), and the convolution state."""
        u, gate = self.in_proj(x).chunk(2, dim=-1)
        if self.conv is not None:
            u, conv_state = self.conv(u, conv_state)
        log_a = self.EXPONENT * F.logsigmoid(widen(self.decay)) * widen(self.recurrence_gate(u)).sigmoid()
        scale = torch.sqrt(-torch.expm1(2 * log_a))  # sqrt(1 - a^2), exact for a near 1
        return u, gate, log_a, scale * widen(self.input_gate(u)).sigmoid(), conv_state

    def _output(self, h: Tensor, gate: Tensor) -> Tensor:
        return self.out_proj(h.to(gate.dtype) * F.gelu(gate, approximate="tanh"))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._output(heads.squeeze(-1), self.in_proj(x).chunk(2, dim=-1)[1])

    def cast(self, x: Tensor) -> Cast:
        """Every channel is a head of width 1: A_t = a_t, b = sqrt(1 - a^2) i."""
        u, _, log_a, b, _ = self._gated(x, None)
        return channel_cast(log_a, b, u)

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        conv_state = None if self.conv is None else self.conv.initial_state(batch_size, like)
        like["dtype"] = state_dtype(like["dtype"])
        return conv_state, torch.zeros(batch_size, self.width, **like)

    def state_size(self, seq_len: int = 1) -> int:
        return self.width + (0 if self.conv is None else self.conv.state_size)

"""Diagonal state space models with constant coefficients: S4D and H3.

Shapes: B batch, T time, D channels, N complex states per channel.
"""

import math

import torch
from torch import Tensor, nn

from shared.kernels.convolution import long_convolution
from shared.models.config import MixerContext
from shared.models.mixers.config import H3Config, S4DConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.parts import GatedOutput, RecurrentMixer, ShortConvolution, state_dtype, widen
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register


class DiagonalSSM(nn.Module):
    """h' = A h + u, y = 2 Re(C h) + skip u per channel, sampled with step dt and input held between samples.

    Source: Gu et al. 2022 (arXiv 2206.11893), S4D-Lin: A = -1/2 + i pi n, B = 1, C ~ N(0, 1) complex, dt log-uniform.
    """

    def __init__(self, channels: int, config: S4DConfig) -> None:
        super().__init__()
        num_states = config.d_state // 2  # each stands for itself and its conjugate
        low, high = math.log(config.dt_min), math.log(config.dt_max)
        self.log_dt = nn.Parameter(torch.rand(channels) * (high - low) + low)
        self.A_real_log = nn.Parameter(torch.full((channels, num_states), math.log(0.5)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(num_states).repeat(channels, 1).float())
        self.C = nn.Parameter(torch.randn(2, channels, num_states) * 0.5**0.5)  # real and imaginary parts
        self.skip = nn.Parameter(torch.randn(channels))

    def _discrete(self) -> tuple[Tensor, Tensor, Tensor]:
        """dt A, the input weight (exp(dt A) - 1) / A, and C; complex (D, N)."""
        a = torch.complex(-widen(self.A_real_log).exp(), widen(self.A_imag))
        log_transition = a * widen(self.log_dt).exp().unsqueeze(-1)
        return log_transition, (log_transition.exp() - 1) / a, torch.complex(*widen(self.C))

    def filters(self, num_steps: int) -> Tensor:
        """Impulse response without the skip, (T, D)."""
        log_transition, b, c = self._discrete()
        lags = torch.arange(num_steps, device=b.device, dtype=b.real.dtype)
        powers = torch.exp(log_transition * lags[:, None, None])  # (T, D, N)
        return 2 * torch.einsum("tdn,dn->td", powers, b * c).real

    def forward(self, u: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """u (B, T, D), state (B, D, N) complex, or None for a sequence of its own -> (y (B, T, D), state after it)."""
        if state is None:
            return long_convolution(u, self.filters(u.shape[1]), self.skip), None
        log_transition, b, c = self._discrete()
        wide = widen(u)
        if u.shape[1] == 1:
            state = log_transition.exp() * state + b * wide[:, 0].unsqueeze(-1)
            y = 2 * (c * state).sum(-1).real + self.skip * wide[:, 0]
            return y.to(u.dtype).unsqueeze(1), state
        lags = torch.arange(u.shape[1] + 1, device=b.device, dtype=wide.dtype)
        powers = torch.exp(log_transition * lags[:, None, None])  # (T + 1, D, N)
        carried = 2 * torch.einsum("tdn,bdn->btd", powers[1:] * c, state).real
        y = long_convolution(u, self.filters(u.shape[1]), self.skip) + carried.to(u.dtype)
        arrived = torch.einsum("btd,tdn->bdn", wide.to(b.dtype), powers[:-1].flip(0) * b)
        return y, powers[-1] * state + arrived

    def cast(self, v: Tensor, q: Tensor, k: Tensor, direct: Tensor) -> Cast:
        """Complex states under phi = Re, one set for each coordinate of the keys; channels are heads.

        v (B, T, H, V); q, k (B, T, H, M) scale what is read and written: K = M N states. direct (B, T, H).
        """
        log_transition, b, c = self._discrete()
        log_decay = log_transition.repeat(1, q.shape[-1]).expand(*q.shape[:3], -1)
        return Cast(
            q=(q.unsqueeze(-1) * 2 * c.unsqueeze(-2)).flatten(-2),
            k=(k.unsqueeze(-1) * b.unsqueeze(-2)).flatten(-2),
            v=v,
            b=torch.ones_like(direct),
            evolution=Evolution(log_decay=log_decay),
            readout=Readout("real"),
            normaliser=Normaliser(),
            direct=direct,
        )

    def initial_state(self, batch_size: int, like: dict) -> Tensor:
        dtype = state_dtype(like["dtype"]).to_complex()
        return torch.zeros(batch_size, *self.A_imag.shape, device=like["device"], dtype=dtype)

    @property
    def state_size(self) -> int:
        return 2 * self.A_imag.numel()


@register(S4DConfig)
class S4D(RecurrentMixer):
    """A diagonal SSM per channel, then GELU and GLU."""

    no_weight_decay = ("ssm.A_real_log", "ssm.A_imag", "ssm.C", "ssm.log_dt", "ssm.skip")

    def __init__(self, config: S4DConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.ssm = DiagonalSSM(context.d_model, config)
        self.output = GatedOutput(context.d_model)

    def run(self, x: Tensor, cache):
        y, cache = self.ssm(x, cache)
        return self.output(y), cache

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.output(heads.squeeze(-1))

    def cast(self, x: Tensor) -> Cast:
        """Every channel is a head of width 1 with constant queries and keys."""
        v = x.unsqueeze(-1)
        return self.ssm.cast(v, torch.ones_like(v), torch.ones_like(v), self.ssm.skip.expand_as(x))

    def initial_cache(self, batch_size, device=None, dtype=None):
        return self.ssm.initial_state(batch_size, self._device_dtype(device, dtype))

    def state_size(self, seq_len: int = 1) -> int:
        return self.ssm.state_size


@register(H3Config)
class H3(RecurrentMixer):
    """q * diagonal_ssm(shift_ssm(k) v), per head with outer products (Fu et al. 2022, arXiv 2212.14052, section 3).

    The shift SSM with its read-out is a causal filter with `shift_width` taps; taps and the skip start N(0, 1).
    """

    no_weight_decay = S4D.no_weight_decay

    def __init__(self, config: H3Config, context: MixerContext) -> None:
        super().__init__(context.causal)
        if context.d_model % config.head_dim:
            raise ValueError(f"head_dim must divide d_model; got {config.head_dim} and {context.d_model}")
        self.head_dim, self.num_heads = config.head_dim, context.d_model // config.head_dim
        self.qkv_proj = nn.Linear(context.d_model, 3 * context.d_model, bias=context.bias)
        self.shift = ShortConvolution(context.d_model, config.shift_width)
        nn.init.normal_(self.shift.weight)
        self.ssm = DiagonalSSM(self.num_heads, config)
        self.out_proj = nn.Linear(context.d_model, context.d_model, bias=context.bias)

    def run(self, x: Tensor, cache):
        shift_state, state = (None, None) if cache is None else cache
        q, k, v, shift_state = self._qkv(x, shift_state)
        products = torch.einsum("bthi,bthj->bijth", k, v)  # one sequence per pair (i, j): the SSM is the head's
        batch = products.shape[:3]
        recalled, state = self.ssm(products.flatten(0, 2), None if state is None else state.flatten(0, 2))
        heads = torch.einsum("bthi,bijth->bthj", q, recalled.unflatten(0, batch))
        return self.finish(heads, x), (shift_state, None if state is None else state.unflatten(0, batch))

    def _qkv(self, x: Tensor, shift_state: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q, shifted k and v (B, T, H, head_dim), and the state of the shift."""
        q, k, v = self.qkv_proj(x).chunk(3, dim=-1)
        k, shift_state = self.shift(k, shift_state)
        q, k, v = (part.unflatten(-1, (self.num_heads, self.head_dim)) for part in (q, k, v))
        return q, k, v, shift_state

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(heads.flatten(2))

    def cast(self, x: Tensor) -> Cast:
        """The states of the diagonal SSM for each coordinate of the key; the skip is a direct path."""
        q, k, v, _ = self._qkv(x, None)
        return self.ssm.cast(v, q, k, self.ssm.skip * (q * k).sum(-1))

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        pairs = self.head_dim**2
        state = self.ssm.initial_state(batch_size * pairs, like)
        return self.shift.initial_state(batch_size, like), state.unflatten(
            0, (batch_size, self.head_dim, self.head_dim)
        )

    def state_size(self, seq_len: int = 1) -> int:
        return self.shift.state_size + self.head_dim**2 * self.ssm.state_size

"""Base of the mixers whose state is one (key, value) matrix per head.

Shapes: B batch, T time, D model width, H heads, K key width of a head, V value width of a head.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import MixerContext
from shared.models.mixers.base import Cache
from shared.models.mixers.config import MatrixStateConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.parts import RecurrentMixer, ShortConvolution, state_dtype
from shared.models.mixers.readouts import Normaliser, Readout


class HeadInputs(NamedTuple):
    """What enters the recurrence."""

    q: Tensor  # (B, T, H, K), scaled
    k: Tensor  # (B, T, H, K), input gates included
    v: Tensor  # (B, T, H, V)
    log_decay: Tensor | None = None  # (B, T, H) or (B, T, H, K), at most 0
    beta: Tensor | None = None  # writing strength of the delta rule, (B, T, H)
    floor: Tensor | None = None  # lower bound on the row sum's size, (B, T, H)


class MatrixStateMixer(RecurrentMixer):
    """Projections, a recurrence of matrix states, a map back. A subclass fills in `project`, `recur` and `finish`.

    The cache is (extra, state): `extra` is a tuple of what the projections carry along, `state` is (B, H, K, V), with
    one more value column, the row sum of the coefficients, where `divisor` needs that.
    """

    sums_rows = False  # whether `divisor` uses the row sums
    query_scale = 1.0  # what `project` multiplies the queries by: part of the cast's b

    def __init__(self, config: MatrixStateConfig, context: MixerContext, d_inner: int | None = None) -> None:
        super().__init__(context.causal)
        d_inner = d_inner or context.d_model
        self.num_heads = config.num_heads or context.num_heads
        self.key_dim = config.key_head_dim or self._per_head(config.key_expand * d_inner)
        self.value_dim = self._per_head(config.value_expand * d_inner)
        self.num_keys, self.num_values = self.num_heads * self.key_dim, self.num_heads * self.value_dim
        self.conv: ShortConvolution | None = None

    def _per_head(self, width: float) -> int:
        if width % self.num_heads:
            raise ValueError(
                f"num_heads must divide the projected width; got {self.num_heads} heads and width {width:g}"
            )
        return int(width) // self.num_heads

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        """x (B, T, D) -> (what enters the recurrence, `extra` after it)."""
        raise NotImplementedError

    def recur(self, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Undivided head outputs (B, T, H, V) and the state after them; `inputs.v` may have the row-sum column."""
        raise NotImplementedError

    def divisor(self, x: Tensor, inputs: HeadInputs, row_sums: Tensor | None) -> Tensor | None:
        """What the heads' outputs are divided by, (B, T, H); None is 1."""
        return None

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        """heads (B, T, H, V) and the mixer's input -> (B, T, D)."""
        raise NotImplementedError

    def run(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        extra, state = (None, None) if cache is None else cache
        inputs, extra = self.project(x, extra)
        heads, state = self._heads(x, inputs, state)
        return self.finish(heads, x), (extra, state)

    def _heads(self, x: Tensor, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        row_sums = None
        if self.sums_rows:
            values = torch.cat([inputs.v, torch.ones_like(inputs.v[..., :1])], dim=-1)
            heads, state = self.recur(inputs._replace(v=values), state)
            heads, row_sums = heads[..., :-1], heads[..., -1]
        else:
            heads, state = self.recur(inputs, state)
        divisor = self.divisor(x, inputs, row_sums)
        return (heads if divisor is None else heads / divisor.unsqueeze(-1)).to(x.dtype), state

    def cast(self, x: Tensor) -> Cast:
        """phi is the identity; b_j is the factor on the queries, times the writing strength of the delta rule."""
        inputs, _ = self.project(x, None)
        b = torch.full_like(inputs.q[..., 0], self.query_scale)
        return Cast(
            q=inputs.q / self.query_scale,
            k=inputs.k,
            v=inputs.v,
            b=b if inputs.beta is None else b * inputs.beta,
            evolution=self._evolution(inputs),
            readout=Readout("identity"),
            normaliser=self._normaliser(x, inputs),
        )

    def _evolution(self, inputs: HeadInputs) -> Evolution:
        log_decay = inputs.log_decay
        if log_decay is not None and log_decay.ndim == 3:
            log_decay = log_decay.unsqueeze(-1)
        return Evolution(log_decay=log_decay, erase=inputs.beta)

    def _normaliser(self, x: Tensor, inputs: HeadInputs) -> Normaliser:
        return Normaliser()

    def heads(self, x: Tensor) -> Tensor:
        """Head outputs before the mixer's output map, (B, T, H, V)."""
        return self._heads(x, self.project(x, None)[0], None)[0]

    def initial_cache(self, batch_size: int, device: Any = None, dtype: torch.dtype | None = None) -> Cache:
        like = self._device_dtype(device, dtype)
        extra = self._initial_extra(batch_size, like)
        like["dtype"] = state_dtype(like["dtype"])
        columns = self.value_dim + self.sums_rows
        return extra, torch.zeros(batch_size, self.num_heads, self._state_rows(), columns, **like)

    def _initial_extra(self, batch_size: int, like: dict) -> tuple:
        return (None if self.conv is None else self.conv.initial_state(batch_size, like),)

    def _state_rows(self) -> int:
        return self.key_dim

    def state_size(self, seq_len: int = 1) -> int:
        conv = 0 if self.conv is None else self.conv.state_size
        return self.num_heads * self._state_rows() * (self.value_dim + self.sums_rows) + conv

    def _build_qkv(self, config: MatrixStateConfig, context: MixerContext) -> None:
        """Fused query, key, value projection and its optional convolution."""
        channels = 2 * self.num_keys + self.num_values
        self.qkv_proj = nn.Linear(context.d_model, channels, bias=context.bias)
        if config.conv_width:
            self.conv = ShortConvolution(channels, config.conv_width)

    def _qkv(self, x: Tensor, extra: tuple | None) -> tuple[Tensor, Tensor, Tensor, tuple]:
        """q, k (B, T, H, K), v (B, T, H, V) after the convolution and its SiLU; extra is (convolution state,)."""
        qkv, conv_state = self.qkv_proj(x), None
        if self.conv is not None:
            qkv, conv_state = self.conv(qkv, None if extra is None else extra[0])
            qkv = F.silu(qkv)
        parts = qkv.split((self.num_keys, self.num_keys, self.num_values), dim=-1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in parts)
        return q, k, v, (conv_state,)

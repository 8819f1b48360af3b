"""Softmax and sigmoid attention.

Shapes: B batch, T query time, S key time, D model width, H query heads, G key/value heads, N head width, M value width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import MixerContext
from shared.models.initialisation import normal_linear_
from shared.models.mixers.base import Mixer
from shared.models.mixers.config import AttentionConfig, SigmoidAttentionConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.parts import ShortConvolution
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register
from shared.models.rotary import Rotary, alibi_bias, alibi_slopes

# keys (B, G, S, N), already turned to their positions; values (B, G, S, M); states of the convolutions, by name
AttentionCache = tuple[Tensor, Tensor, dict[str, Tensor]]


def attention_weights(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, scale: float) -> Tensor:
    """softmax(scale * q k^T + bias) by plain operations: each has a batching rule under torch.vmap.

    Args:
        q: (B, H, T, N). k: (B, H, S, N).
        bias: broadcasts to (B, H, T, S); None is zero.
        causal: query t sees the keys up to S - T + t.
    Returns:
        (B, H, T, S); each row sums to 1.
    """
    scores = (q * scale) @ k.transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    if causal and q.shape[-2] > 1:
        scores = scores.masked_fill(future_mask(q.shape[-2], k.shape[-2], q.device), float("-inf"))
    return scores.softmax(-1)


def future_mask(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    """True where a key lies after the query, for the last `num_queries` of `num_keys` positions; (T, S)."""
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).triu(num_keys - num_queries + 1)


@register(AttentionConfig)
class Attention(Mixer):
    """softmax(q k^T / sqrt(N)) v with grouped key and value heads (Vaswani et al. 2017; Ainslie et al. 2023)."""

    def __init__(self, config: AttentionConfig, context: MixerContext) -> None:
        super().__init__()
        self.num_heads = config.num_heads or context.num_heads
        self.num_kv_heads = config.num_kv_heads or self.num_heads
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads must divide num_heads; got {self.num_kv_heads} and {self.num_heads}")
        if config.head_dim is None and context.d_model % self.num_heads:
            raise ValueError(
                f"num_heads must divide d_model unless head_dim is given; got {self.num_heads} and {context.d_model}"
            )
        self.head_dim = config.head_dim or context.d_model // self.num_heads
        self.value_head_dim = config.value_head_dim or self.head_dim
        self.scale = config.scale or self.head_dim**-0.5
        self.causal, self.dropout, self.kernel = context.causal, config.dropout, config.kernel
        self.rotary = None
        if context.positional == "rope":
            self.rotary = Rotary(self.head_dim, context.rope_base, context.max_seq_len)
        slopes = torch.tensor(alibi_slopes(self.num_heads)) if context.positional == "alibi" else None
        self.register_buffer("slopes", slopes, persistent=False)
        num_q, num_k = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        num_v = self.num_kv_heads * self.value_head_dim
        self.split_sizes = (num_q + num_k, num_v)
        self.conv_channels = {"q": slice(0, num_q), "k": slice(num_q, num_q + num_k), "v": slice(num_q + num_k, None)}
        self.conv_centred, self.conv_silu = config.conv_padding == "centred", config.conv_activation == "silu"
        widths = {"q": num_q, "k": num_k, "v": num_v}
        self.convs = nn.ModuleDict({part: ShortConvolution(widths[part], config.conv_width) for part in config.conv})
        self.qkv_proj = nn.Linear(context.d_model, num_q + num_k + num_v, bias=context.bias)
        self.out_proj = nn.Linear(self.num_heads * self.value_head_dim, context.d_model, bias=context.bias)
        normal_linear_(self.qkv_proj, context.init_std)
        normal_linear_(self.out_proj, context.init_std)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, _ = self._project(x, 0, {})
        return self._merge(self._attend(q, k, v))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._merge(heads.transpose(1, 2))

    def initial_cache(self, batch_size, device=None, dtype=None) -> AttentionCache:
        like = self._device_dtype(device, dtype)
        return (
            torch.empty(batch_size, self.num_kv_heads, 0, self.head_dim, **like),
            torch.empty(batch_size, self.num_kv_heads, 0, self.value_head_dim, **like),
            {part: conv.initial_state(batch_size, like) for part, conv in self.convs.items()},
        )

    def step(self, x_t: Tensor, cache: AttentionCache) -> tuple[Tensor, AttentionCache]:
        y, cache = self.prefill(x_t[:, None], cache)
        return y[:, 0], cache

    def prefill(self, x: Tensor, cache: AttentionCache) -> tuple[Tensor, AttentionCache]:
        if not self.causal:
            raise ValueError("a bidirectional mixer has no step form; build it with causal true to decode")
        if self.convs and self.conv_centred:
            raise ValueError(
                "a centred convolution looks ahead and has no step form; use conv_padding 'causal' to decode"
            )
        q, k, v, conv_states = self._project(x, cache[0].shape[2], cache[2])
        k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        return self._merge(self._attend(q, k, v)), (k, v, conv_states)

    def coefficients(self, x: Tensor) -> Tensor:
        """Weights of every query, (B, H, T, T)."""
        q, k, _, _ = self._project(x, 0, {})
        return self._weights(q, self._share(k), self._bias(q, k))

    def values(self, x: Tensor) -> Tensor:
        """What the weights combine, (B, H, T, M)."""
        return self._share(self._project(x, 0, {})[2])

    def heads(self, x: Tensor) -> Tensor:
        """Head outputs before the output map, (B, T, H, M)."""
        q, k, v, _ = self._project(x, 0, {})
        return self._attend(q, k, v).transpose(1, 2)

    def cast(self, x: Tensor) -> Cast:
        """phi = exp and a state per source: rotary positions turn it, linear biases are a shear of two more states."""
        if not self.causal:
            raise ValueError("a bidirectional mixer is no dynamics in time; build it with causal true")
        q, k, v, _ = self._project(x, 0, {}, turn=False)
        q, k, v = (part.transpose(1, 2) for part in (q, self._share(k), self._share(v)))
        b, evolution = torch.full_like(q[..., 0], self.scale), Evolution()
        if self.rotary is not None:
            m = torch.arange(0, self.head_dim, 2, dtype=torch.float64, device=x.device)
            evolution = Evolution(angles=-(self.rotary.base ** (-m / self.head_dim)))
        if self.slopes is not None:
            zero, one = torch.zeros_like(q[..., :1]), torch.ones_like(q[..., :1])
            q, k = torch.cat([q, zero, one], dim=-1), torch.cat([k * self.scale, one, zero], dim=-1)
            b, evolution = torch.ones_like(b), Evolution(shear=-self.slopes.to(q.dtype).expand(b.shape))
        readout, normaliser = self._readout()
        return Cast(q=q, k=k, v=v, b=b, evolution=evolution, readout=readout, normaliser=normaliser)

    def _readout(self) -> tuple[Readout, Normaliser]:
        return Readout("exp"), Normaliser(kind="sum")

    def state_size(self, seq_len: int = 1) -> int:
        convs = sum(conv.state_size for conv in self.convs.values())
        return seq_len * self.num_kv_heads * (self.head_dim + self.value_head_dim) + convs

    def _convolve(self, qkv: Tensor, states: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Depthwise convolutions of the chosen projections; a missing state is zero."""
        parts, after = {part: qkv[..., channels] for part, channels in self.conv_channels.items()}, {}
        for part, conv in self.convs.items():
            ahead = conv.weight.shape[1] // 2 if self.conv_centred else 0
            y, after[part] = conv(F.pad(parts[part], (0, 0, 0, ahead)), states.get(part))
            parts[part] = F.silu(y[:, ahead:]) if self.conv_silu else y[:, ahead:]
        return torch.cat([parts["q"], parts["k"], parts["v"]], dim=-1), after

    def _project(self, x: Tensor, offset: int, conv_states: dict[str, Tensor], turn: bool = True):
        """q (B, H, T, N), k (B, G, T, N), v (B, G, T, M) of tokens from position `offset`, and convolution states.

        `turn` says whether rotary positions are applied.
        """
        qkv = self.qkv_proj(x)
        if self.convs:
            qkv, conv_states = self._convolve(qkv, conv_states)
        qk, v = qkv.split(self.split_sizes, dim=-1)
        qk = qk.unflatten(-1, (-1, self.head_dim))  # (B, T, H + G, N)
        if self.rotary is not None and turn:
            qk = self.rotary(qk, offset)
        q, k = qk.transpose(1, 2).split((self.num_heads, self.num_kv_heads), dim=1)
        return q, k, v.unflatten(-1, (-1, self.value_head_dim)).transpose(1, 2), conv_states

    def _weights(self, q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
        return attention_weights(q, k, bias, self.causal, self.scale)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        bias, dropout = self._bias(q, k), self.dropout if self.training else 0.0
        k, v = self._share(k), self._share(v)
        if self.kernel == "matmul":
            weights = self._weights(q, k, bias)
            return F.dropout(weights, dropout) @ v if dropout else weights @ v
        num_queries, num_keys = q.shape[2], k.shape[2]
        causal = self.causal and num_queries > 1
        if causal and (bias is not None or num_queries < num_keys):  # is_causal there would align the first positions
            future = future_mask(num_queries, num_keys, q.device)
            bias = ~future if bias is None else bias.masked_fill(future, float("-inf"))
            causal = False
        return F.scaled_dot_product_attention(q, k, v, bias, dropout, causal, scale=self.scale)

    def _merge(self, heads: Tensor) -> Tensor:
        return self.out_proj(heads.transpose(1, 2).flatten(2))

    def _share(self, heads: Tensor) -> Tensor:
        """(B, G, S, N) -> (B, H, S, N): each key or value head serves H / G query heads."""
        groups = self.num_heads // self.num_kv_heads
        return heads if groups == 1 else heads.repeat_interleave(groups, dim=1)

    def _bias(self, q: Tensor, k: Tensor) -> Tensor | None:
        return None if self.slopes is None else alibi_bias(self.slopes, q.shape[2], k.shape[2]).to(q.dtype)


@register(SigmoidAttentionConfig)
class SigmoidAttention(Attention):
    """sum_j sigmoid(q_i.k_j / sqrt(N) + b) v_j, b = -log(longest length).

    Source: Ramapuram et al. 2024 (arXiv 2409.04431), eq. 3, where b follows the length of the sequence at hand; a fixed
    b makes decoding equal the parallel form.
    """

    def __init__(self, config: SigmoidAttentionConfig, context: MixerContext) -> None:
        super().__init__(config, context)
        self.score_bias = -math.log(context.max_seq_len) if config.bias is None else config.bias

    def _readout(self) -> tuple[Readout, Normaliser]:
        return Readout("sigmoid", self.score_bias), Normaliser()

    def _weights(self, q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
        scores = (q * self.scale) @ k.transpose(-2, -1) + self.score_bias
        weights = torch.sigmoid(scores if bias is None else scores + bias)
        if self.causal and q.shape[-2] > 1:
            weights = weights.masked_fill(future_mask(q.shape[-2], k.shape[-2], q.device), 0.0)
        return weights

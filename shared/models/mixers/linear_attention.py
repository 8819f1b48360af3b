"""Linear attention and its decaying kin: norm attention, RetNet, GLA.

Shapes: B batch, T time, D model width, H heads, K key width of a head, V value width of a head.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.linear_attention import scalar_decay_attention, vector_decay_attention
from shared.models.config import MixerContext
from shared.models.initialisation import normal_linear_
from shared.models.mixers.config import (
    BasedConfig,
    GLAConfig,
    LinearAttentionConfig,
    MatrixStateConfig,
    NormAttentionConfig,
    RetNetConfig,
)
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.matrix_state import HeadInputs, MatrixStateMixer
from shared.models.mixers.parts import HeadNorm, init_projection_, kernel_backend, widen
from shared.models.mixers.readouts import Normaliser
from shared.models.mixers.registry import register
from shared.models.rotary import Rotary


def taylor_features(u: Tensor) -> Tensor:
    """[1, u / r^(1/4), vec(u u^T) / sqrt(2 r)], so that f(q).f(k) = 1 + s + s^2 / 2 with s = q.k / sqrt(r).

    u (..., r) -> (..., 1 + r + r^2). Source: Arora et al. 2024 (arXiv 2402.18668), section 4.
    """
    r = u.shape[-1]
    square = (u.unsqueeze(-1) * u.unsqueeze(-2)).flatten(-2) / (2 * r) ** 0.5
    return torch.cat([torch.ones_like(u[..., :1]), u / r**0.25, square], dim=-1)


class ScalarDecayMixer(MatrixStateMixer):
    """Projections of q, k, v and out; a recurrence with one decay per head, none where `log_decay` is None."""

    def __init__(self, config: MatrixStateConfig, context: MixerContext) -> None:
        super().__init__(config, context)
        self._build_qkv(config, context)
        self.out_proj = nn.Linear(self.num_values, context.d_model, bias=context.bias)
        normal_linear_(self.qkv_proj, context.init_std)
        normal_linear_(self.out_proj, context.init_std)

    def recur(self, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v, log_decay = inputs[:4]
        log_decay = torch.zeros_like(q[..., 0]) if log_decay is None else log_decay
        return scalar_decay_attention(q, k, v, log_decay, state, backend=kernel_backend(q.shape[1]))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(heads.flatten(2))


@register(BasedConfig)
@register(LinearAttentionConfig)
class LinearAttention(ScalarDecayMixer):
    """f(q_i).f(k_j) / sum_j f(q_i).f(k_j), f = elu + 1 or Taylor's (Katharopoulos et al. 2020, arXiv 2006.16236)."""

    sums_rows = True
    EPS = 1e-6  # added to the row sum, as in the publication's code

    def __init__(self, config: LinearAttentionConfig, context: MixerContext) -> None:
        super().__init__(config, context)
        self.feature_map = config.feature_map

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        q, k, v, extra = self._qkv(x, extra)
        return HeadInputs(self._features(q), self._features(k), v), extra

    def _features(self, u: Tensor) -> Tensor:
        return taylor_features(u) if self.feature_map == "taylor" else F.elu(u) + 1

    def _state_rows(self) -> int:
        return 1 + self.key_dim + self.key_dim**2 if self.feature_map == "taylor" else self.key_dim

    def divisor(self, x: Tensor, inputs: HeadInputs, row_sums: Tensor) -> Tensor:
        return row_sums + self.EPS

    def _normaliser(self, x: Tensor, inputs: HeadInputs) -> Normaliser:
        return Normaliser(kind="sum", eps=self.EPS)


@register(NormAttentionConfig)
class NormAttention(ScalarDecayMixer):
    """q_i.k_j / sqrt(K), divided by exp(softplus(w_h.x_i + c_h)) (Sieber et al. 2024, arXiv 2405.15731)."""

    def __init__(self, config: NormAttentionConfig, context: MixerContext) -> None:
        super().__init__(config, context)
        self.query_scale = self.key_dim**-0.5
        self.norm_proj = nn.Linear(context.d_model, self.num_heads)  # its bias is c_h
        normal_linear_(self.norm_proj, context.init_std)

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        q, k, v, extra = self._qkv(x, extra)
        return HeadInputs(q * self.query_scale, k, v), extra

    def divisor(self, x: Tensor, inputs: HeadInputs, row_sums: Tensor | None) -> Tensor:
        return F.softplus(widen(self.norm_proj(x))).exp()

    def _normaliser(self, x: Tensor, inputs: HeadInputs) -> Normaliser:
        return Normaliser(kind="given", values=self.divisor(x, inputs, None))


class GatedOutputMixer(ScalarDecayMixer):
    """Head outputs are normalised, multiplied by silu(W_g x) and mapped back."""

    def __init__(self, config: MatrixStateConfig, context: MixerContext, norm_scale: bool) -> None:
        super().__init__(config, context)
        self.gate_proj = nn.Linear(context.d_model, self.num_values, bias=context.bias)
        self.head_norm = HeadNorm(self.value_dim, scale=norm_scale)
        for linear in (self.qkv_proj, self.gate_proj, self.out_proj):
            init_projection_(linear, context.init_std)

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(self.head_norm(heads).flatten(2) * F.silu(self.gate_proj(x)))


@register(RetNetConfig)
class RetNet(GatedOutputMixer):
    """Retention with the decays 1 - 2^(-5-h) (Sun et al. 2023, arXiv 2307.08621, eqs. 5 to 8).

    The publication's normalisations of the score matrix cancel in the head norm and are left out.
    """

    def __init__(self, config: RetNetConfig, context: MixerContext) -> None:
        super().__init__(config, context, norm_scale=False)
        init_projection_(self.out_proj, context.init_std, gain=2**-1)
        self.query_scale = self.key_dim**-0.5
        decays = 1 - 2 ** (-5 - torch.arange(self.num_heads, dtype=torch.float64))
        self.register_buffer("log_decays", decays.log().to(torch.get_default_dtype()), persistent=False)
        self.rotary = Rotary(self.key_dim, context.rope_base, context.max_seq_len) if config.rotation else None

    def project(self, x: Tensor, extra: tuple | None, turn: bool = True) -> tuple[HeadInputs, tuple]:
        q, k, v, after = self._qkv(x, extra)
        seen = 0 if extra is None else extra[1]
        if self.rotary is not None and turn:
            q, k = self.rotary(q, seen), self.rotary(k, seen)
        log_decay = widen(self.log_decays).expand(q.shape[:3])
        return HeadInputs(q * self.query_scale, k, v, log_decay), (*after, seen + x.shape[1])

    def cast(self, x: Tensor) -> Cast:
        """A_t is the decay times a rotation of the unturned keys' planes."""
        inputs, cast = self.project(x, None, turn=False)[0], super().cast(x)
        if self.rotary is None:
            return cast
        m = torch.arange(0, self.key_dim, 2, dtype=torch.float64, device=x.device)
        turning = Evolution(log_decay=inputs.log_decay.unsqueeze(-1), angles=-(self.rotary.base ** (-m / self.key_dim)))
        return replace(cast, q=inputs.q / self.query_scale, k=inputs.k, evolution=turning)

    def _initial_extra(self, batch_size: int, like: dict) -> tuple:
        return (*super()._initial_extra(batch_size, like), 0)


@register(GLAConfig)
class GatedLinearAttention(GatedOutputMixer):
    """One decay per key channel, sigmoid(W_2 W_1 x + b)^(1/16) (Yang et al. 2023, arXiv 2312.06635, section 4.3)."""

    def __init__(self, config: GLAConfig, context: MixerContext) -> None:
        super().__init__(config, context, norm_scale=True)
        self.query_scale = self.key_dim**-0.5
        self.temperature = config.gate_temperature
        self.decay_down = nn.Linear(context.d_model, config.gate_rank, bias=False)
        self.decay_up = nn.Linear(config.gate_rank, self.num_keys)
        init_projection_(self.decay_down, context.init_std)
        init_projection_(self.decay_up, context.init_std)

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        q, k, v, extra = self._qkv(x, extra)
        gates = self.decay_up(self.decay_down(x)).unflatten(-1, (self.num_heads, -1))
        return HeadInputs(q * self.query_scale, k, v, F.logsigmoid(widen(gates)) / self.temperature), extra

    def recur(self, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        return vector_decay_attention(*inputs[:4], state, backend=kernel_backend(inputs.q.shape[1]))

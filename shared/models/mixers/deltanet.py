"""DeltaNet and gated DeltaNet.

Shapes: B batch, T time, D model width, H heads, K key width of a head, V value width of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.delta import delta_rule, gated_delta_rule
from shared.models.config import MixerContext
from shared.models.mixers.config import DeltaNetConfig, GatedDeltaNetConfig
from shared.models.mixers.matrix_state import HeadInputs, MatrixStateMixer
from shared.models.mixers.parts import (
    HeadNorm,
    init_projection_,
    inverse_softplus_of_log_uniform,
    kernel_backend,
    widen,
)
from shared.models.mixers.registry import register


@register(DeltaNetConfig)
class DeltaNet(MatrixStateMixer):
    """S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T, o_t = S_t^T q_t / sqrt(K), with |q| = |k| = 1.

    Source: Yang et al. 2024 (arXiv 2406.06484), section 3 and its layer: short convolutions with SiLU, head norm.
    """

    def __init__(self, config: DeltaNetConfig, context: MixerContext) -> None:
        super().__init__(config, context)
        self._build_qkv(config, context)
        self.query_scale = self.key_dim**-0.5
        self.beta_proj = nn.Linear(context.d_model, self.num_heads, bias=False)
        self.beta_scale = 2.0 if config.negative_eigenvalues else 1.0
        self.head_norm = HeadNorm(self.value_dim)
        self.out_proj = nn.Linear(self.num_values, context.d_model, bias=context.bias)
        for linear in (self.qkv_proj, self.beta_proj, self.out_proj):
            init_projection_(linear, context.init_std)

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        q, k, v, extra = self._qkv(x, extra)
        q = F.normalize(q, dim=-1, eps=1e-6) * self.query_scale
        beta = self.beta_scale * widen(self.beta_proj(x)).sigmoid()
        return HeadInputs(q, F.normalize(k, dim=-1, eps=1e-6), v, beta=beta), extra

    def recur(self, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        return delta_rule(*inputs[:3], inputs.beta, state, backend=kernel_backend(inputs.q.shape[1]))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(self.head_norm(heads).flatten(2))


@register(GatedDeltaNetConfig)
class GatedDeltaNet(DeltaNet):
    """DeltaNet with the decay exp(-exp(A_log) softplus(W_a x + b)) per head, and an output gate.

    Source: Yang, Kautz & Hatamizadeh 2024 (arXiv 2412.06464), section 3; exp(A_log) starts uniform in (0, 16).
    """

    no_weight_decay = ("A_log", "dt_bias")

    def __init__(self, config: GatedDeltaNetConfig, context: MixerContext) -> None:
        super().__init__(config, context)
        self.decay_proj = nn.Linear(context.d_model, self.num_heads, bias=False)
        self.gate_proj = nn.Linear(context.d_model, self.num_values, bias=context.bias)
        self.A_log = nn.Parameter(torch.empty(self.num_heads).uniform_(0, 16).clamp(min=1e-3).log())
        self.dt_bias = nn.Parameter(inverse_softplus_of_log_uniform(self.num_heads))
        for linear in (self.decay_proj, self.gate_proj):
            init_projection_(linear, context.init_std)

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        inputs, extra = super().project(x, extra)
        rate = widen(self.A_log).exp()
        return inputs._replace(log_decay=-rate * F.softplus(widen(self.decay_proj(x)) + self.dt_bias)), extra

    def recur(self, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        backend = kernel_backend(inputs.q.shape[1])
        return gated_delta_rule(*inputs[:3], inputs.beta, inputs.log_decay, state, backend=backend)

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(self.head_norm(heads).flatten(2) * F.silu(self.gate_proj(x)))

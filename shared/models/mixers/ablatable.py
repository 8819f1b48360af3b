"""The mixer that is nothing but its coefficient dynamics, each of the four objects set by hand.

Shapes: B batch, T time, D model width, H heads, K key width of a head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import MixerContext
from shared.models.initialisation import normal_linear_
from shared.models.mixers.base import Mixer
from shared.models.mixers.config import DynamicsConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.parts import ShortConvolution, widen
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register

REMEMBER = 4.0  # bias of a gate before its sigmoid: it starts at 0.98
FLOOR = 1e-6  # added to a sum of absolute values, which relu can make zero


@register(DynamicsConfig)
class Dynamics(Mixer):
    """alpha_ij = phi(q_i^T A_i ... A_{j+1} b k_j) / eta_i by closed forms; decoding keeps all inputs.

    With phi = exp, A = I, b = K^(-1/2) and eta the sum it is softmax attention; with phi the identity, A_t Householder
    and eta = 1 it is DeltaNet. Source: Sieber et al. 2025 (arXiv 2510.09389).
    """

    def __init__(self, config: DynamicsConfig, context: MixerContext) -> None:
        super().__init__()
        if not context.causal:
            raise ValueError("Dynamics runs forward in time only; set causal to true or use attention")
        self.config, self.num_heads = config, config.num_heads or context.num_heads
        if context.d_model % self.num_heads:
            raise ValueError(f"num_heads must divide d_model; got {self.num_heads} and {context.d_model}")
        self.key_dim = config.key_head_dim or context.d_model // self.num_heads
        if config.evolution == "rotation" and self.key_dim % 2:
            raise ValueError(f"a rotation turns pairs of coordinates; got the odd key width {self.key_dim}")
        self.num_keys, self.rope_base = self.num_heads * self.key_dim, context.rope_base
        channels = 2 * self.num_keys + context.d_model
        self.qkv_proj = nn.Linear(context.d_model, channels, bias=context.bias)
        self.conv = ShortConvolution(channels, config.conv_width) if config.conv_width else None
        num_gates = {"scalar": self.num_heads, "diagonal": self.num_keys, "householder": self.num_heads}
        num_gates["gated_householder"] = 2 * self.num_heads
        self.gate_proj = None
        if config.evolution in num_gates:
            self.gate_proj = nn.Linear(context.d_model, num_gates[config.evolution])
        self.out_proj = nn.Linear(context.d_model, context.d_model, bias=context.bias)
        for linear in (self.qkv_proj, self.out_proj, self.gate_proj):
            if linear is not None:
                normal_linear_(linear, context.init_std)
        if self.gate_proj is not None:  # after the initialiser, which would put it at 1/2
            with torch.no_grad():
                nn.init.zeros_(self.gate_proj.bias)
                if config.evolution != "householder":
                    self.gate_proj.bias[-self.num_keys if config.evolution == "diagonal" else -self.num_heads :] = (
                        REMEMBER
                    )

    def cast(self, x: Tensor) -> Cast:
        config, qkv = self.config, self.qkv_proj(x)
        if self.conv is not None:
            qkv = F.silu(self.conv(qkv, None)[0])
        q, k, v = qkv.split((self.num_keys, self.num_keys, x.shape[-1]), dim=-1)
        q, k, v = (widen(part).unflatten(-1, (self.num_heads, -1)) for part in (q, k, v))
        if config.features == "elu1":
            q, k = F.elu(q) + 1, F.elu(k) + 1
        evolution = self._evolution(x, q)
        b = torch.full_like(q[..., 0], self.key_dim**config.scaling)
        if evolution.erase is not None:
            k, b = F.normalize(k, dim=-1, eps=1e-6), b * evolution.erase
        return Cast(q=q, k=k, v=v, b=b, evolution=evolution, readout=Readout(config.readout), normaliser=self._eta(q))

    def _evolution(self, x: Tensor, q: Tensor) -> Evolution:
        kind = self.config.evolution
        if kind == "constant":
            return Evolution(log_decay=torch.full_like(q[..., :1], math.log(self.config.decay)))
        if kind == "rotation":
            m = torch.arange(0, self.key_dim, 2, dtype=torch.float64, device=x.device)
            return Evolution(angles=-(self.rope_base ** (-m / self.key_dim)))
        if self.gate_proj is None:
            return Evolution()
        gates = (
            widen(self.gate_proj(x)).unflatten(-1, (-1, self.num_heads)).transpose(-1, -2)
        )  # (B, T, H, gates of a head)
        if kind in ("scalar", "diagonal"):
            return Evolution(log_decay=F.logsigmoid(gates))
        log_decay = F.logsigmoid(gates[..., 1:]) if kind == "gated_householder" else None
        return Evolution(log_decay=log_decay, erase=gates[..., 0].sigmoid())

    def _eta(self, q: Tensor) -> Normaliser:
        kind = self.config.normaliser
        if kind == "floored":
            return Normaliser(kind=kind, values=torch.ones_like(q[..., 0]))
        return Normaliser(kind=kind, eps=FLOOR if kind == "abs_sum" and self.config.readout != "exp" else 0.0)

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self.out_proj(heads.flatten(2).to(x.dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.cast(x).heads(), x)

    def initial_cache(self, batch_size, device=None, dtype=None):
        return torch.zeros(batch_size, 0, self.out_proj.out_features, **self._device_dtype(device, dtype))

    def step(self, x_t: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        y, cache = self.prefill(x_t[:, None], cache)
        return y[:, 0], cache

    def prefill(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.cat([cache, x], dim=1)
        return self.forward(seen)[:, cache.shape[1] :], seen

    def state_size(self, seq_len: int = 1) -> int:
        return seq_len * self.out_proj.out_features

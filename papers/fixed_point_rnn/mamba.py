"""FP-Mamba-1 and -2: Mamba's matrix state, its contracted output passed from iteration to iteration.

    x~ = Q (x - y) + y;  H_t = lam_t H_{t-1} + b_t (Delta_t x~_t)^T;  y_t = norm(H_t^T c_t + D x~_t)

with b, c, Q (and lam, if asked for) depending on y_{t-1} of the iteration before. Without a mixer, such a dependence or
a norm, FP-Mamba is Mamba.

Shapes: B batch, T time, D inner width, N states, H heads. Source: Movahedi, Sarnthein et al. 2025 (arXiv 2503.10799),
section 4.3 and appendix C.2; there and in the released code lam depends on x alone, in section 4.3's text on y too.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.fixed_point_rnn.layer import ImplicitLayer, Prepared, shift
from papers.fixed_point_rnn.mixers import WeightNormLinear, build_channel_mixer, unit
from papers.fixed_point_rnn.settings import ModelSettings
from shared.kernels.linear_attention import scalar_decay_attention
from shared.kernels.selective import selective_scan
from shared.models.backbone import RMSNorm
from shared.models.config import MixerContext
from shared.models.mixers.base import Mixer
from shared.models.mixers.config import Mamba2Config, MambaConfig
from shared.models.mixers.mamba import Mamba, Mamba2


class _FPMamba(ImplicitLayer):
    """Base: which coefficients depend on the state, and the maps that make them."""

    num_steps_out = 0  # pre-activations of the step size

    def __init__(self, settings: ModelSettings, core: Mixer, width: int, d_state: int) -> None:
        super().__init__()
        self.settings, self.width, self.d_state = settings, width, d_state
        self.core = core.mark_parameters()
        self.mixer = build_channel_mixer(width, settings.mixer)
        hidden = set(settings.hidden)
        self.reads = {name: name in hidden for name in ("lam", "b", "c", "gate")}
        if ("Q" in hidden) != self.mixer.recurrent and settings.mixer.kind not in ("none", "constant"):
            raise ValueError(
                f"hidden {sorted(hidden)} and mixer argument '{settings.mixer.argument}' disagree on whether Q depends"
                " on the state; name Q in hidden exactly if the argument is not 'input'"
            )
        self.bc_map = WeightNormLinear(width, 2 * d_state) if self.reads["b"] or self.reads["c"] else None
        self.step_map = WeightNormLinear(width, self.num_steps_out) if self.reads["lam"] else None
        self.gate_map = WeightNormLinear(width, width) if self.reads["gate"] else None
        norm = RMSNorm if settings.layer == "fp_mamba2" else nn.LayerNorm
        self.norm = norm(width, eps=1e-5) if settings.norm_in_loop else nn.Identity()
        self.implicit = settings.mixer.kind != "none" or any(self.reads[name] for name in ("lam", "b", "c"))
        self.implicit = self.implicit or (settings.gate_in_loop and self.reads["gate"])

    def _fixed(self, state_map: Tensor | None) -> dict[str, Tensor | None]:
        maps = {"bc": self.bc_map, "step": self.step_map, "gate": self.gate_map}
        return {"state_map": state_map} | {k: None if m is None else m.weight() for k, m in maps.items()}

    def _coefficients(self, prepared: Prepared, previous: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple]:
        """Step size before its bias, b and c (B, T, N), mixer coefficients; `previous` is y_{t-1}, (B, T, D)."""
        timed, fixed = prepared
        pre, step, b, c = (timed[name] for name in ("pre", "dt", "b", "c"))
        if fixed["state_map"] is not None:
            pre = pre + F.linear(previous, fixed["state_map"])
        if fixed["step"] is not None:
            step = step + F.linear(previous, fixed["step"])
        if fixed["bc"] is not None:
            from_y = F.linear(previous, fixed["bc"]).chunk(2, dim=-1)
            b, c = (z + own if self.reads[name] else z for name, z, own in zip("bc", (b, c), from_y, strict=True))
        if self.settings.normalise_bc:
            b, c = unit(b), unit(c)
        return step, b, c, self.mixer.coefficients(pre)

    def _gate(self, prepared: Prepared, previous: Tensor) -> Tensor:
        z, weight = prepared.timed["z"], prepared.fixed["gate"]
        return F.silu(z if weight is None else z + F.linear(previous, weight))

    def iterate(self, prepared: Prepared, y: Tensor, carry: Any = None) -> tuple[Tensor, Any]:
        state, last = (None, None) if carry is None else carry
        previous = shift(y, last)
        step, b, c, q = self._coefficients(prepared, previous)
        mixed = self.mixer.apply(q, prepared.timed["u"] - y) + y
        out, state = self._scan(mixed, step, b, c, state)
        if self.settings.gate_in_loop:
            out = out * self._gate(prepared, previous)
        out = self.norm(out)
        return out, (state, out[:, -1])

    def _scan(self, x: Tensor, step: Tensor, b: Tensor, c: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, D) with the skip D x, and the last state."""
        raise NotImplementedError

    def read_out(self, prepared: Prepared, y: Tensor) -> Tensor:
        return self.core.out_proj(y if self.settings.gate_in_loop else y * self._gate(prepared, shift(y)))


class FPMamba(_FPMamba):
    """FP-Mamba-1: a step size per channel."""

    def __init__(self, settings: ModelSettings) -> None:
        width = settings.expand * settings.d_model
        self.num_steps_out = width
        config = MambaConfig(expand=settings.expand, d_state=settings.d_state, conv_width=settings.conv_width)
        core = Mamba(config, MixerContext(d_model=settings.d_model))
        super().__init__(settings, core, width, settings.d_state)

    def prepare(self, u: Tensor) -> Prepared:
        x, dt, b, c, z, _ = self.core._scan_inputs(u, None)
        pre, state_map = self.mixer.prepare(x)
        return Prepared({"u": x, "dt": dt, "b": b, "c": c, "z": z, "pre": pre}, self._fixed(state_map))

    def _scan(self, x: Tensor, step: Tensor, b: Tensor, c: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        core = self.core
        rates = -core.A_log.to(torch.promote_types(core.A_log.dtype, torch.float32)).exp()
        return selective_scan(x, step, rates, b, c, core.D, state, delta_bias=core.dt_proj.bias, delta_softplus=True)


class FPMamba2(_FPMamba):
    """FP-Mamba-2: a scalar decay per head; the gate and RMSNorm stand inside the iteration."""

    def __init__(self, settings: ModelSettings) -> None:
        width = settings.expand * settings.d_model
        self.num_steps_out = width // settings.head_dim
        config = Mamba2Config(
            expand=settings.expand,
            d_state=settings.d_state,
            head_dim=settings.head_dim,
            conv_width=settings.conv_width,
        )
        core = Mamba2(config, MixerContext(d_model=settings.d_model))
        core.norm_weight = None  # the loop's norm takes its place
        super().__init__(settings, core, width, settings.d_state)

    def prepare(self, u: Tensor) -> Prepared:
        core = self.core
        z, mixed, dt = core.in_proj(u).split((self.width, self.width + 2 * self.d_state, core.num_heads), dim=-1)
        if core.conv is not None:
            mixed, _ = core.conv(mixed, None)
        x, b, c = F.silu(mixed).split((self.width, self.d_state, self.d_state), dim=-1)
        pre, state_map = self.mixer.prepare(x)
        return Prepared({"u": x, "dt": dt, "b": b, "c": c, "z": z, "pre": pre}, self._fixed(state_map))

    def _scan(self, x: Tensor, step: Tensor, b: Tensor, c: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        core, heads = self.core, self.core.num_heads
        delta = F.softplus(step + core.dt_bias)  # (B, T, H)
        b, c = (z.unsqueeze(2).expand(-1, -1, heads, -1) for z in (b, c))
        x = x.unflatten(-1, (heads, -1))
        y, state = scalar_decay_attention(c, b, x * delta.unsqueeze(-1), -core.A_log.exp() * delta, state)
        return (y + core.D.unsqueeze(-1) * x).flatten(2), state

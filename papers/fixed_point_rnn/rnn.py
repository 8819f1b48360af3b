"""FP-RNN: a dense linear recurrence with a vector state as the fixed point of a diagonal one.

    h_t = lam_t h_{t-1} + (1 - lam_t) (Q_t (b_t x_t - h_t) + h_t)

Shapes: B batch, T time, D inner width. Source: Movahedi, Sarnthein et al. 2025 (arXiv 2503.10799), eq. 8, appendix C.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.fixed_point_rnn.layer import ImplicitLayer, Prepared, shift
from papers.fixed_point_rnn.mixers import WeightNormLinear, build_channel_mixer
from papers.fixed_point_rnn.settings import ModelSettings
from shared.kernels.diagonal import diagonal_recurrence
from shared.models.backbone import RMSNorm


class FPRNN(ImplicitLayer):
    """The block of the paper: gated input, fixed point, gated read-out.

    Only Q depends on the state, through `mixer.argument`; the read-out c_t reads x_t and h*_{t-1}.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width = self.width = settings.expand * settings.d_model
        self.in_proj = nn.Linear(settings.d_model, 2 * width, bias=False)
        self.b_proj = nn.Linear(width, width, bias=False)
        self.lam_proj = nn.Linear(width, width)
        self.mixer = build_channel_mixer(width, settings.mixer)
        self.c_proj = WeightNormLinear(2 * width, width)
        self.norm = RMSNorm(width, eps=1e-6)
        self.out_proj = nn.Linear(width, settings.d_model, bias=False)
        self.implicit = settings.mixer.kind != "none"

    def prepare(self, u: Tensor) -> Prepared:
        x, z = self.in_proj(u).chunk(2, dim=-1)
        pre, state_map = self.mixer.prepare(x)
        lam = self.lam_proj(x).sigmoid()
        timed = {"x": x, "z": z, "v": F.silu(self.b_proj(x)) * x, "lam": lam, "keep": 1 - lam, "pre": pre}
        return Prepared(timed, {"state_map": state_map})

    def iterate(self, prepared: Prepared, y: Tensor, carry: Tensor | None = None) -> tuple[Tensor, Tensor]:
        timed = prepared.timed
        pre, state_map = timed["pre"], prepared.fixed["state_map"]
        if state_map is not None:
            pre = pre + F.linear(shift(y, carry), state_map)
        mixed = self.mixer.apply(self.mixer.coefficients(pre), timed["v"] - y) + y
        return diagonal_recurrence(timed["lam"], timed["keep"] * mixed, carry)

    def read_out(self, prepared: Prepared, y: Tensor) -> Tensor:
        x, z = prepared.timed["x"], prepared.timed["z"]
        c = F.silu(self.c_proj(torch.cat([x, shift(y)], dim=-1)))
        return self.out_proj(self.norm(F.silu(z) * c * y))

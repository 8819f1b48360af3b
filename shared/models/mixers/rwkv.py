"""RWKV-4: per channel, a mean of past values under exponential weights.

Shapes: B batch, T time, D model width.
"""

import torch
from torch import Tensor, nn

from shared.kernels.diagonal import diagonal_recurrence
from shared.models.config import MixerContext
from shared.models.mixers.config import RWKV4Config
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.mlstm import stabilised_gates
from shared.models.mixers.parts import RecurrentMixer, init_projection_, kernel_backend, state_dtype, widen
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register

FORGOTTEN = -1e4  # log decay of a source that is wiped


@register(RWKV4Config)
class RWKV4(RecurrentMixer):
    """Time mixing of RWKV-4: W_o (sigmoid(r_t) * wkv_t), where r, k and v map a mix of the token and the one before.

    wkv_t = (sum_{j<t} exp(k_j - (t - 1 - j) w) v_j + exp(u + k_t) v_t) / (the same sum without v), w = exp(decay).

    Source: Peng et al. 2023 (arXiv 2305.13048), section 3.1. Init of decay, bonus u and mixes is that of the first of
    many layers in the released code, in every layer: a mixer does not know its depth.
    """

    no_weight_decay = ("decay", "bonus", "mix")

    def __init__(self, config: RWKV4Config, context: MixerContext) -> None:
        super().__init__(context.causal)
        d = self.d_model = context.d_model
        self.rkv_proj = nn.ModuleList(nn.Linear(d, d, bias=context.bias) for _ in range(3))
        self.out_proj = nn.Linear(d, d, bias=context.bias)
        for linear in (*self.rkv_proj, self.out_proj):
            init_projection_(linear, context.init_std)
        share = torch.arange(d) / max(d - 1, 1)
        self.decay = nn.Parameter(8 * share**0.7 - 5)
        self.bonus = nn.Parameter(torch.full((d,), 0.3).log() + 0.5 * ((torch.arange(d) + 1) % 3 - 1))
        now = torch.arange(d) / d  # share of the present token
        self.mix = nn.Parameter(torch.stack([now**0.5, now, now]))  # of r, k, v

    def _streams(self, x: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """r, k, v (B, T, D); `last` is the token before, (B, D), zeros if omitted."""
        last = torch.zeros_like(x[:, 0]) if last is None else last
        before = torch.cat([last.unsqueeze(1), x[:, :-1]], dim=1)
        return tuple(linear(torch.lerp(before, x, mix)) for linear, mix in zip(self.rkv_proj, self.mix, strict=True))

    def run(self, x: Tensor, cache):
        last, sums, carried = (None, None, None) if cache is None else cache
        r, k, v = self._streams(x, last)
        k, v = widen(k), widen(v)
        if sums is None:
            sums, carried = self._empty(k[:, 0])
        write, keep, top = stabilised_gates(k, -widen(self.decay).exp().expand_as(k), carried)
        ones = torch.stack([v, torch.ones_like(v)], dim=-1)  # of the numerator, of the denominator
        backend = kernel_backend(x.shape[1])
        states, final = diagonal_recurrence(
            keep.exp().unsqueeze(-1), write.exp().unsqueeze(-1) * ones, sums, backend=backend
        )
        past = torch.cat([sums.unsqueeze(1).to(states.dtype), states[:, :-1]], dim=1)
        past_top, now = torch.cat([carried.unsqueeze(1), top[:, :-1]], dim=1), k + self.bonus
        most = torch.maximum(past_top, now)
        both = (past_top - most).exp().unsqueeze(-1) * past + (now - most).exp().unsqueeze(-1) * ones
        return self._output(both[..., 0] / both[..., 1], r), (x[:, -1], final, top[:, -1])

    def _output(self, wkv: Tensor, r: Tensor) -> Tensor:
        return self.out_proj(r.sigmoid() * wkv.to(r.dtype))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._output(heads[:, 1::2].squeeze(-1), self._streams(x, None)[0])

    def cast(self, x: Tensor) -> Cast:
        """Every channel is a head with two states and two inner steps per token, 2 T sources; the output is the second.

        The first step forgets the token before's bonus and writes it into the decaying state; the second writes the
        token with its bonus. So A_t = diag(exp(-w), 0), then I.
        """
        _, k, v = self._streams(x, None)
        past_k, past_v = (torch.cat([torch.zeros_like(z[:, :1]), z[:, :-1]], dim=1) for z in (k, v))
        first = torch.zeros(x.shape[1], 1, dtype=torch.bool, device=x.device)
        first[0] = True  # nothing stands before it
        top = torch.maximum(k.amax(1, keepdim=True), (k + self.bonus).amax(1, keepdim=True))  # divides out
        b = torch.stack([(past_k - top).exp().masked_fill(first, 0), (k + self.bonus - top).exp()], dim=2).flatten(1, 2)
        rates = torch.stack([-self.decay.exp(), torch.full_like(self.decay, FORGOTTEN)], dim=-1)  # (D, 2)
        log_decay = torch.stack([rates, torch.zeros_like(rates)]).repeat(x.shape[1], 1, 1)
        keys = torch.eye(2, dtype=b.dtype, device=b.device)[:, None].expand(-1, self.d_model, -1)
        keys = keys.repeat(x.shape[1], 1, 1).expand(*b.shape, 2)
        return Cast(
            q=torch.ones_like(keys),
            k=keys,
            v=torch.stack([past_v, v], dim=2).flatten(1, 2).unsqueeze(-1),
            b=b,
            evolution=Evolution(log_decay=log_decay.expand(*b.shape, 2)),
            readout=Readout("identity"),
            normaliser=Normaliser(kind="floored", values=torch.full_like(b, torch.finfo(b.dtype).tiny)),
        )

    def coefficients(self, x: Tensor) -> Tensor:
        """alpha (B, D, T, 2 T): what a token reads of the values of both steps, `values(x)` (B, D, 2 T, 1)."""
        return super().coefficients(x)[:, :, 1::2]

    def _empty(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Sums (B, D, 2) and running maximum (B, D) before the first token."""
        return torch.zeros(*like.shape, 2, dtype=like.dtype, device=like.device), torch.full_like(like, -1e30)

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        last = torch.zeros(batch_size, self.d_model, **like)
        return last, *self._empty(last.to(state_dtype(last.dtype)))

    def state_size(self, seq_len: int = 1) -> int:
        return 4 * self.d_model

"""Nonlinear recurrent baselines: torch's LSTM and GRU, of the model's width.

Shapes: B batch, T time, D model width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import MixerContext
from shared.models.mixers.config import GRUConfig, LSTMConfig
from shared.models.mixers.dynamics import Cast, channel_cast
from shared.models.mixers.parts import RecurrentMixer
from shared.models.mixers.registry import register


@register(LSTMConfig)
class LSTM(RecurrentMixer):
    """Hochreiter & Schmidhuber 1997 with forget gates, torch's init."""

    def __init__(self, config: LSTMConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.d_model = context.d_model
        self.rnn = nn.LSTM(context.d_model, context.d_model, batch_first=True)

    def run(self, x: Tensor, cache):
        return self.rnn(x, cache)

    def _gates(self, x: Tensor) -> tuple[Tensor, ...]:
        """Arguments of input gate, forget gate, candidate and output gate along the trajectory of x, each (B, T, D)."""
        before = F.pad(self.rnn(x)[0][:, :-1], (0, 0, 1, 0))
        rnn = self.rnn
        gates = F.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0) + F.linear(before, rnn.weight_hh_l0, rnn.bias_hh_l0)
        return gates.chunk(4, dim=-1)

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return self._gates(x)[3].sigmoid() * heads.squeeze(-1).tanh()

    def cast(self, x: Tensor) -> Cast:
        """The cell: A_t is the forget gate, b the input gate, v the candidate; all three read the state before."""
        write, keep, candidate, _ = self._gates(x)
        return channel_cast(F.logsigmoid(keep), write.sigmoid(), candidate.tanh(), state_dependent=True)

    def initial_cache(self, batch_size, device=None, dtype=None):
        like = self._device_dtype(device, dtype)
        return torch.zeros(1, batch_size, self.d_model, **like), torch.zeros(1, batch_size, self.d_model, **like)

    def state_size(self, seq_len: int = 1) -> int:
        return 2 * self.d_model


@register(GRUConfig)
class GRU(RecurrentMixer):
    """Cho et al. 2014, torch's variant and init."""

    def __init__(self, config: GRUConfig, context: MixerContext) -> None:
        super().__init__(context.causal)
        self.d_model = context.d_model
        self.rnn = nn.GRU(context.d_model, context.d_model, batch_first=True)

    def run(self, x: Tensor, cache):
        return self.rnn(x, cache)

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        return heads.squeeze(-1)

    def cast(self, x: Tensor) -> Cast:
        """A_t is the update gate z, b = 1 - z, v the candidate; all three read the state before."""
        rnn, before = self.rnn, F.pad(self.rnn(x)[0][:, :-1], (0, 0, 1, 0))
        reset, keep, new = F.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0).chunk(3, dim=-1)
        reset_h, keep_h, new_h = F.linear(before, rnn.weight_hh_l0, rnn.bias_hh_l0).chunk(3, dim=-1)
        candidate = (new + (reset + reset_h).sigmoid() * new_h).tanh()
        log_keep, write = F.logsigmoid(keep + keep_h), (-keep - keep_h).sigmoid()
        return channel_cast(log_keep, write, candidate, state_dependent=True)

    def initial_cache(self, batch_size, device=None, dtype=None):
        return torch.zeros(1, batch_size, self.d_model, **self._device_dtype(device, dtype))

    def state_size(self, seq_len: int = 1) -> int:
        return self.d_model

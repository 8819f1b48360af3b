"""Nonlinear recurrent baselines: torch's LSTM and GRU, of the model's width.

Shapes: B batch, T time, D model width.
"""

import torch
from torch import Tensor, nn

from shared.models.config import MixerContext
from shared.models.mixers.config import GRUConfig, LSTMConfig
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

    def initial_cache(self, batch_size, device=None, dtype=None):
        return torch.zeros(1, batch_size, self.d_model, **self._device_dtype(device, dtype))

    def state_size(self, seq_len: int = 1) -> int:
        return self.d_model

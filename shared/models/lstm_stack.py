"""Layers of LSTMs as the backbone of a language model.

Shapes: B batch, T time, D model width, H width of a layer.

Source: Hochreiter and Schmidhuber 1997 with forget gates, torch's parameters and initialisation; dropout on the output
of every layer as in Zaremba et al. 2014 (arXiv 1409.2329).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import LSTMStackConfig
from shared.models.mixers.base import count_parameters

State = tuple[Tensor, Tensor]  # output h and cell c of a layer, each (1, B, H)


def unrolled(lstm: nn.LSTM, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """One layer of `lstm` as a loop over time: same arguments, same result, and torch.vmap can map it.

    Args:
        x: (B, T, D). state: before the first token; zeros if None.
    Returns:
        Outputs (B, T, H) and the state after the last token.
    """
    inputs = F.linear(x, lstm.weight_ih_l0, lstm.bias_ih_l0 + lstm.bias_hh_l0)  # (B, T, 4 H), gates in torch's order
    h, c = (torch.zeros_like(inputs[:, 0, : lstm.hidden_size]),) * 2 if state is None else (state[0][0], state[1][0])
    outputs = []
    for gates in inputs.unbind(1):
        write, keep, candidate, show = (gates + F.linear(h, lstm.weight_hh_l0)).chunk(4, dim=-1)
        c = keep.sigmoid() * c + write.sigmoid() * candidate.tanh()
        h = show.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1), (h[None], c[None])


class LSTMStack(nn.Module):
    """(B, T, D) -> (B, T, D); the methods are those of `Backbone`."""

    def __init__(self, config: LSTMStackConfig) -> None:
        super().__init__()
        self.config = config
        pairs = zip(config.widths[:-1], config.widths[1:], strict=True)
        self.layers = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in pairs)
        self.dropout = config.dropout

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, [None] * len(self.layers))[0]

    def initial_cache(self, batch_size: int, device=None, dtype=None) -> tuple[State, ...]:
        """Zeros for every layer."""
        like = {"device": device, "dtype": dtype}
        return tuple(tuple(torch.zeros(1, batch_size, b, **like) for _ in "hc") for b in self.config.widths[1:])

    def prefill(self, x: Tensor, cache: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        """x (B, T, D), tokens that follow those in `cache`: (y (B, T, D), cache after them)."""
        return self._run(x, cache)

    def step(self, x_t: Tensor, cache: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        """One token: x_t (B, D) -> (y_t (B, D), cache after it)."""
        x, cache = self._run(x_t[:, None], cache)
        return x[:, 0], cache

    def state_size(self, seq_len: int = 1) -> int:
        """Numbers that decoding keeps per sequence."""
        return 2 * sum(self.config.widths[1:])

    @property
    def num_params(self) -> int:
        return count_parameters(self)

    def _run(self, x: Tensor, states) -> tuple[Tensor, tuple[State, ...]]:
        after = []
        for layer, state in zip(self.layers, states, strict=True):
            x, state = layer(x, state) if self.config.fused else unrolled(layer, x, state)
            x = F.dropout(x, self.dropout, self.training)
            after.append(state)
        return x, tuple(after)

"""mLSTM: a matrix memory with exponential input gates.

Shapes: B batch, T time, D model width, E inner width, H heads, K key width of a head, V value width of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.kernels.linear_attention import scalar_decay_attention
from shared.models.config import MixerContext
from shared.models.mixers.config import MLSTMConfig
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.matrix_state import HeadInputs, MatrixStateMixer
from shared.models.mixers.parts import (
    BlockDiagonal,
    HeadNorm,
    ShortConvolution,
    kernel_backend,
    state_dtype,
    widen,
)
from shared.models.mixers.readouts import Normaliser, Readout
from shared.models.mixers.registry import register


def stabilised_gates(log_input: Tensor, log_forget: Tensor, carried: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Gates relative to a running maximum m of the exponents: m_t = max(log_forget_t + m_{t-1}, log_input_t), m_0 = 0.

    Dividing state and row sum by exp(m) leaves their quotient as it is and keeps every exponential at most 1.

    Args:
        log_input: exponent of the input gate, (B, T, H), any size. log_forget: log of the forget gate, at most 0.
        carried: m before the first step, (B, H); zeros if omitted.
    Returns:
        relative log input and log forget gates, both at most 0, and m, each (B, T, H).
    Source: Beck et al. 2024 (arXiv 2405.04517), eqs. 15 to 17.
    """
    if carried is None:
        carried = torch.zeros_like(log_input[:, 0])
    total = log_forget.cumsum(1)
    m = total + torch.maximum((log_input - total).cummax(1).values, carried.unsqueeze(1))
    before = torch.cat([carried.unsqueeze(1), m[:, :-1]], dim=1)
    return log_input - m, (log_forget + before - m).clamp(max=0), m


@register(MLSTMConfig)
class MLSTM(MatrixStateMixer):
    """The mLSTM block: up-projection, convolution, matrix memory, head norm, skip, silu gate, down-projection.

    Source: Beck et al. 2024 (arXiv 2405.04517), eqs. 19 to 27 and the block of its appendix; initialisation of the
    released code: input gate weights 0, biases N(0, 0.1^2); forget gate weights 0, biases 3 to 6 over the heads.
    """

    sums_rows = True

    def __init__(self, config: MLSTMConfig, context: MixerContext) -> None:
        d_model, d_inner = context.d_model, int(config.expand * context.d_model)
        super().__init__(config, context, d_inner)
        if self.num_keys != d_inner or self.num_values != d_inner:
            raise ValueError(f"mlstm keeps keys and values at the inner width {d_inner}; leave their widths unset")
        if d_inner % config.projection_block:
            raise ValueError(f"projection_block must divide the inner width; got {config.projection_block}, {d_inner}")
        small = (2 / (5 * d_inner)) ** 0.5
        self.up_proj = nn.Linear(d_model, 2 * d_inner, bias=context.bias)
        self.conv = ShortConvolution(d_inner, config.conv_width, bias=True) if config.conv_width else None
        blocks = d_inner // config.projection_block
        self.q_proj, self.k_proj, self.v_proj = (BlockDiagonal(d_inner, blocks, False, small) for _ in range(3))
        self.gate_proj = nn.Linear(3 * d_inner, 2 * self.num_heads)  # input gates, then forget gates
        self.head_norm = HeadNorm(self.value_dim, scale=False)
        self.norm_weight, self.skip = nn.Parameter(torch.ones(d_inner)), nn.Parameter(torch.ones(d_inner))
        self.out_proj = nn.Linear(d_inner, d_model, bias=context.bias)
        nn.init.normal_(self.up_proj.weight, std=(2 / (5 * d_model)) ** 0.5)
        nn.init.zeros_(self.gate_proj.weight)
        with torch.no_grad():
            self.gate_proj.bias[: self.num_heads].normal_(std=0.1)
            self.gate_proj.bias[self.num_heads :] = torch.linspace(3, 6, self.num_heads)

    def _streams(self, x: Tensor, conv_state: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Inner stream, its convolved form, the gate's stream, each (B, T, E), and the convolution state."""
        inner, z = self.up_proj(x).chunk(2, dim=-1)
        convolved = inner
        if self.conv is not None:
            convolved, conv_state = self.conv(inner, conv_state)
        return inner, F.silu(convolved), z, conv_state

    def _gated(self, inner: Tensor, convolved: Tensor, carried: Tensor | None):
        """q, k, v (B, T, H, K), relative log input and forget gates, and the running maximum m, each (B, T, H)."""
        q, k, v = self.q_proj(convolved), self.k_proj(convolved), self.v_proj(inner)
        log_input, forget = widen(self.gate_proj(torch.cat([q, k, v], dim=-1))).chunk(2, dim=-1)
        log_input, log_forget, m = stabilised_gates(log_input, F.logsigmoid(forget), carried)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in (q, k, v))
        return q, k, v, log_input, log_forget, m

    def _inputs(self, inner: Tensor, convolved: Tensor, carried: Tensor | None) -> tuple[HeadInputs, Tensor]:
        """What enters the recurrence, and the running maximum after it (B, H)."""
        q, k, v, log_input, log_forget, m = self._gated(inner, convolved, carried)
        k = k * (log_input.exp() * self.key_dim**-0.5).unsqueeze(-1)
        return HeadInputs(q, k, v, log_forget, floor=torch.exp(-m)), m[:, -1]

    def run(self, x: Tensor, cache):
        (conv_state, carried), state = ((None, None), None) if cache is None else cache
        inner, convolved, z, conv_state = self._streams(x, conv_state)
        inputs, carried = self._inputs(inner, convolved, carried)
        heads, state = self._heads(x, inputs, state)
        return self._output(heads, convolved, z), ((conv_state, carried), state)

    def _output(self, heads: Tensor, convolved: Tensor, z: Tensor) -> Tensor:
        normed = self.head_norm(heads).flatten(2) * self.norm_weight + self.skip * convolved
        return self.out_proj(normed * F.silu(z))

    def finish(self, heads: Tensor, x: Tensor) -> Tensor:
        _, convolved, z, _ = self._streams(x, None)
        return self._output(heads, convolved, z)

    def cast(self, x: Tensor) -> Cast:
        """A_t = f_t, b_j = i_j / sqrt(K), eta = max(|row sum|, 1), all of them relative to the running maximum."""
        inner, convolved, _, _ = self._streams(x, None)
        q, k, v, log_input, log_forget, m = self._gated(inner, convolved, None)
        return Cast(
            q=q,
            k=k,
            v=v,
            b=log_input.exp() * self.key_dim**-0.5,
            evolution=Evolution(log_decay=log_forget.unsqueeze(-1)),
            readout=Readout("identity"),
            normaliser=Normaliser(kind="floored", values=torch.exp(-m)),
        )

    def project(self, x: Tensor, extra: tuple | None) -> tuple[HeadInputs, tuple]:
        conv_state, carried = extra or (None, None)
        inner, convolved, _, conv_state = self._streams(x, conv_state)
        inputs, carried = self._inputs(inner, convolved, carried)
        return inputs, (conv_state, carried)

    def recur(self, inputs: HeadInputs, state: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v, log_decay = inputs[:4]
        return scalar_decay_attention(q, k, v, log_decay, state, backend=kernel_backend(q.shape[1]))

    def divisor(self, x: Tensor, inputs: HeadInputs, row_sums: Tensor) -> Tensor:
        return torch.maximum(row_sums.abs(), inputs.floor)

    def _initial_extra(self, batch_size: int, like: dict) -> tuple:
        wide = like | {"dtype": state_dtype(like["dtype"])}
        return (*super()._initial_extra(batch_size, like), torch.zeros(batch_size, self.num_heads, **wide))

    def state_size(self, seq_len: int = 1) -> int:
        return super().state_size(seq_len) + self.num_heads

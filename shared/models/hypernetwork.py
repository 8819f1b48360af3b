"""A hypernetwork: predicts the linear layers of a small network, for each of several conditions.

Shapes: N conditions, P of them in a call, L layers, O and I outputs and inputs of the largest layer, c width of an
embedding.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import HypernetworkConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters

Layers = list[tuple[Tensor, Tensor]]  # weight (P, O, I) and bias (P, O) of each layer


class Hypernetwork(nn.Module):
    """Condition n and layer l -> weight and bias: z = trunk(c_n + e_l), then a head of its own for each layer.

    The conditions may ask for layers of different sizes: each gets the first entries of the head's output that it
    needs, and zeros around them up to the largest size. The trunk ends in a unit root mean square and heads start as
    N(0, 1/width), so that entries start with variance one before they are scaled.

    Args:
        shapes: per condition, per layer: (outputs, inputs).
    Raises:
        ValueError: no conditions, or conditions with different numbers of layers.
    Source: Ha et al. 2017, arXiv:1609.09106; chunks: von Oswald et al. 2020, arXiv:1906.00695.
    """

    def __init__(
        self,
        config: HypernetworkConfig,
        shapes: Sequence[Sequence[tuple[int, int]]],
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not shapes or len({len(layers) for layers in shapes}) != 1:
            raise ValueError("a hypernetwork needs conditions, and each of them the same number of layers")
        self.config = config
        self.register_buffer("shapes", torch.tensor(shapes, dtype=torch.int64), persistent=False)  # (N, L, 2)
        self.largest = [tuple(size) for size in self.shapes.amax(0).tolist()]
        first = config.condition_dim * (2 if config.combine == "concat" else 1)
        with drawing_from(generator):
            self.conditions = nn.Embedding(len(shapes), config.condition_dim)
            self.layers = nn.Embedding(len(self.largest), config.condition_dim)
            pairs = zip((first, *config.widths[:-1]), config.widths, strict=True)
            self.trunk = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
            self.heads = nn.ModuleList(self._head(config.outputs(*size)) for size in self.largest)
            chunked = config.decoder == "chunked"
            self.bias_heads = nn.ModuleList(self._head(o) for o, _ in self.largest) if chunked else None
            calls = [config.calls(*size) for size in self.largest]
            self.chunks = nn.ModuleList(nn.Embedding(n, config.condition_dim) for n in calls) if chunked else None

    def _head(self, outputs: int) -> nn.Linear:
        head = nn.Linear(self.config.widths[-1], outputs)
        nn.init.normal_(head.weight, std=self.config.widths[-1] ** -0.5)
        nn.init.zeros_(head.bias)
        return head

    def forward(self, conditions: Tensor) -> Layers:
        """conditions (P,) int64 -> the layers of each."""
        if conditions.numel() and not 0 <= int(conditions.min()) <= int(conditions.max()) < len(self.shapes):
            raise ValueError(f"conditions are 0..{len(self.shapes) - 1}; got {conditions.tolist()}")
        return self.generate(self.conditions(conditions), self.shapes[conditions])

    def generate(self, codes: Tensor, shapes: Tensor) -> Layers:
        """The layers of conditions with embeddings `codes` (P, c) and sizes `shapes` (P, L, 2), which may be new.

        Raises:
            ValueError: a layer larger than the largest that the heads were made for.
        """
        if (shapes > torch.tensor(self.largest, device=shapes.device)).any():
            raise ValueError(f"layers of {shapes.amax(0).tolist()} are larger than {self.largest}, which is predicted")
        return [self._layer(index, codes, shapes[:, index]) for index in range(len(self.largest))]

    def _features(self, codes: Tensor, index: int) -> Tensor:
        """(..., c) -> (..., width)."""
        layer = self.layers.weight[index].expand_as(codes)
        x = codes + layer if self.config.combine == "sum" else torch.cat([codes, layer], dim=-1)
        for linear in self.trunk:
            x = F.gelu(linear(x))
        return F.rms_norm(x, x.shape[-1:])

    def _layer(self, index: int, codes: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        (rows, columns), kind = self.largest[index], self.config.decoder
        if kind == "chunked":
            weight, bias = self._chunked(index, codes)
        elif kind == "low_rank":
            flat, rank = self.heads[index](self._features(codes, index)), self.config.rank
            left, right, bias = flat.split([rows * rank, columns * rank, rows], dim=1)
            weight = left.view(-1, rows, rank) @ right.view(-1, columns, rank).mT / rank**0.5
        else:
            flat = self.heads[index](self._features(codes, index))
            weight, bias = unpacked(flat, sizes, rows, columns)
        inside_rows = torch.arange(rows, device=codes.device) < sizes[:, :1]  # (P, O)
        inside_columns = torch.arange(columns, device=codes.device) < sizes[:, 1:]
        weight = weight * self._scale(sizes, weight) * (inside_rows[:, :, None] & inside_columns[:, None, :])
        return weight, bias * self._bias_scale(sizes, bias) * inside_rows

    def _chunked(self, index: int, codes: Tensor) -> tuple[Tensor, Tensor]:
        (rows, columns), side = self.largest[index], self.config.chunk
        down, across = -(-rows // side), -(-columns // side)
        each = codes[:, None, :] + self.chunks[index].weight  # (P, down * across, c)
        blocks = self.heads[index](self._features(each, index)).view(-1, down, across, side, side)
        weight = blocks.transpose(2, 3).reshape(len(codes), down * side, across * side)[:, :rows, :columns]
        return weight, self.bias_heads[index](self._features(codes, index))

    def _scale(self, sizes: Tensor, like: Tensor) -> Tensor | float:
        """Factor of the weights, (P, 1, 1); fan_in gives the variance of torch's own Linear, 1 / (3 inputs)."""
        if self.config.scale == "none":
            return 1.0
        count = 3 * sizes[:, 1] if self.config.scale == "fan_in" else sizes.prod(1)
        return count.to(like.dtype).rsqrt()[:, None, None]

    def _bias_scale(self, sizes: Tensor, like: Tensor) -> Tensor | float:
        if self.config.scale == "none":
            return 1.0
        count = 300 * sizes[:, 1] if self.config.scale == "fan_in" else sizes[:, 0]  # fan_in: a tenth of the weights'
        return count.to(like.dtype).rsqrt()[:, None]

    @property
    def num_params(self) -> int:
        return count_parameters(self)


def unpacked(flat: Tensor, sizes: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """[vec(W); b] in the first o * i + o entries of `flat` -> W (P, rows, columns) and b (P, rows).

    Outside a condition's own o x i the entries are copies of the first one; the caller masks them.

    Args:
        flat: (P, rows * columns + rows). sizes: (P, 2), outputs o and inputs i.
    """
    outputs, inputs = sizes[:, :1, None], sizes[:, 1:, None]
    r = torch.arange(rows, device=flat.device)[None, :, None]
    k = torch.arange(columns, device=flat.device)[None, None, :]
    places = torch.where((r < outputs) & (k < inputs), r * inputs + k, 0).flatten(1)
    after = torch.where(r[..., 0] < sizes[:, :1], sizes.prod(1)[:, None] + r[..., 0], 0)
    return flat.gather(1, places).view(-1, rows, columns), flat.gather(1, after)

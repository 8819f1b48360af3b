"""Plain multi-layer perceptron."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import MLPConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh, "silu": F.silu, "identity": lambda x: x}


class MLP(nn.Module):
    """Linear, (norm,) activation, ..., Linear: (..., widths[0]) -> (..., widths[-1]); torch's Linear init."""

    def __init__(self, config: MLPConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        pairs = list(zip(config.widths[:-1], config.widths[1:], strict=True))
        with drawing_from(generator):
            self.layers = nn.ModuleList(nn.Linear(num_in, num_out, bias=config.bias) for num_in, num_out in pairs)
        normed = config.widths[1:-1] if config.norm == "layernorm" else ()
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=config.norm_affine) for width in normed)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.config.widths[0]:
            raise ValueError(f"the first layer takes width {self.config.widths[0]}; got x {tuple(x.shape)}")
        activation = ACTIVATIONS[self.config.activation]
        for index, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            x = activation(self.norms[index](x) if self.norms else x)
        return self.layers[-1](x)

    @property
    def num_params(self) -> int:
        return count_parameters(self)

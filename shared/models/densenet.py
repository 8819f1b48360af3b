"""Densely connected network: each layer sees the maps of all layers before it in its block.

Source: Huang et al. 2017 (arXiv 1608.06993), DenseNet-BC: bottlenecks of 4 k channels, transitions that halve channels
and sides. Blocks of 6, 12, 24 and 16 layers with k = 32 are DenseNet121 (the default configuration).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.image_config import DenseNetConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


class _Convolution(nn.Module):
    """conv(relu(norm(x))), without bias."""

    def __init__(self, num_in: int, num_out: int, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_in)
        self.conv = nn.Conv2d(num_in, num_out, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(self.norm(x)))


class DenseLayer(nn.Module):
    """x -> x with `growth` more channels: 1x1 to bottleneck * growth, then 3x3."""

    def __init__(self, num_in: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        self.narrow = _Convolution(num_in, bottleneck * growth, 1)
        self.grow = _Convolution(bottleneck * growth, growth, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.grow(self.narrow(x))], dim=1)


class DenseNet(nn.Module):
    """Images (N, C, H, W) -> logits (N, num_classes); initialised from `generator`, convolutions as He et al. 2015."""

    def __init__(self, config: DenseNetConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with drawing_from(generator):
            width, large = config.num_initial, config.stem == "large"
            size, stride = (7, 2) if large else (3, 1)
            self.stem = nn.Conv2d(config.in_channels, width, size, stride, padding=size // 2, bias=False)
            self.stem_norm = nn.BatchNorm2d(width) if large else nn.Identity()
            layers: list[nn.Module] = []
            for index, count in enumerate(config.blocks):
                if index:
                    layers += [_Convolution(width, width // 2, 1), nn.AvgPool2d(2)]
                    width //= 2
                for _ in range(count):
                    layers.append(DenseLayer(width, config.growth, config.bottleneck))
                    width += config.growth
            self.layers = nn.Sequential(*layers)
            self.last_norm, self.head = nn.BatchNorm2d(width), nn.Linear(width, config.num_classes)
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1] != self.config.in_channels:
            raise ValueError(f"images are (N, {self.config.in_channels}, H, W); got {tuple(images.shape)}")
        x = self.stem(images)
        if self.config.stem == "large":
            x = F.max_pool2d(F.relu(self.stem_norm(x)), 3, stride=2, padding=1)
        return self.head(F.relu(self.last_norm(self.layers(x))).mean((-2, -1)))

    @property
    def num_params(self) -> int:
        return count_parameters(self)

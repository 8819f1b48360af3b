"""Plain convolutional networks for small images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.image_config import CNNConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


def _norm(config: CNNConfig, channels: int) -> nn.Module:
    if config.norm == "none":
        return nn.Identity()
    return (
        nn.BatchNorm2d(channels) if config.norm == "batch" else nn.GroupNorm(min(config.num_groups, channels), channels)
    )


class CNN(nn.Module):
    """Images (N, C, H, W) -> logits (N, num_classes); torch's own initialisation, from `generator`."""

    def __init__(self, config: CNNConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        pairs = list(zip((config.in_channels, *config.widths[:-1]), config.widths, strict=True))
        with drawing_from(generator):
            self.convs = nn.ModuleList(
                nn.Conv2d(num_in, num_out, 3, stride=1 if index == 0 else 2, padding=1, bias=config.norm == "none")
                for index, (num_in, num_out) in enumerate(pairs)
            )
            self.norms = nn.ModuleList(_norm(config, width) for width in config.widths)
            self.head = nn.Linear(config.widths[-1], config.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1] != self.config.in_channels:
            raise ValueError(f"images are (N, {self.config.in_channels}, H, W); got {tuple(images.shape)}")
        x = images
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return self.head(x.mean((-2, -1)))

    @property
    def num_params(self) -> int:
        return count_parameters(self)

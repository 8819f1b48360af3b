"""Plain deep convolutional networks.

Source: Simonyan and Zisserman 2015 (arXiv 1409.1556), configuration D by default (VGG16); with hidden layers as wide as
the last stage, as is usual for 32x32 pixels, where five stages leave one pixel. Of larger images the mean over what is
left is taken.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.image_config import VGGConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


class VGG(nn.Module):
    """Images (N, C, H, W) -> logits (N, num_classes).

    Convolutions start from N(0, 2 / fan-out) with zero biases (He et al. 2015, arXiv 1502.01852, section 2.2, the
    backward form), linear layers from torch's own initialisation, both from `generator`.
    """

    def __init__(self, config: VGGConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        stages, width = [], config.in_channels
        with drawing_from(generator):
            for channels in config.stages:
                pairs = zip((width, *channels[:-1]), channels, strict=True)
                stages.append(nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs))
                width = channels[-1]
            self.stages = nn.ModuleList(stages)
            widths = (width, *config.hidden)
            self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
            self.head = nn.Linear(widths[-1], config.num_classes)
            for conv in (conv for stage in self.stages for conv in stage):
                nn.init.normal_(conv.weight, std=math.sqrt(2 / (9 * conv.out_channels)))
                nn.init.zeros_(conv.bias)
        self.dropout = config.dropout

    def forward(self, images: Tensor) -> Tensor:
        smallest = 2 ** len(self.config.stages)
        if images.dim() != 4 or images.shape[1] != self.config.in_channels or min(images.shape[-2:]) < smallest:
            raise ValueError(
                f"images are (N, {self.config.in_channels}, H, W) with at least {smallest} pixels along each side;"
                f" got {tuple(images.shape)}"
            )
        x = images
        for stage in self.stages:
            for conv in stage:
                x = F.relu(conv(x))
            x = F.max_pool2d(x, 2)
        x = x.mean((-2, -1))
        for layer in self.hidden:
            x = F.relu(layer(F.dropout(x, self.dropout, self.training)))
        return self.head(x)

    @property
    def num_params(self) -> int:
        return count_parameters(self)

"""Residual networks of basic blocks, with a 3x3 stem for 32x32 pixels or one that divides the sides by 4 for 224.

Source: He et al. 2016 (arXiv 1512.03385), basic blocks, shortcuts of options A and B; Wu and He 2018 (arXiv
1803.08494), group norm. ResNet-18 with the small stem is the default configuration; widths 16, 32, 64 with 3 or 18
blocks each, batch norm, zeros at the shortcuts and kaiming_normal are ResNet20 and ResNet110 of section 4.2. With group
norm the network is a pure function of its parameters and each image: gradients of single clients or samples may be
taken under torch.func.vmap, which batch norm's running statistics forbid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.image_config import ResNetConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


def _norm(config: ResNetConfig, channels: int) -> nn.Module:
    if config.norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(min(config.num_groups, channels), channels)


class ZeroShortcut(nn.Module):
    """Every `stride`-th pixel, with channels of zeros before and behind: option A, without parameters."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.before = stride, (num_out - num_in) // 2
        self.behind = num_out - num_in - self.before

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.behind))


def _conv(num_in: int, num_out: int, stride: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(num_in, num_out, size, stride=stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """relu(x' + norm(conv(relu(norm(conv(x)))))); x' is x, or its `shortcut` where the shape changes."""

    def __init__(self, config: ResNetConfig, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(num_in, num_out, stride), _norm(config, num_out)
        self.conv2, self.norm2 = _conv(num_out, num_out, 1), _norm(config, num_out)
        if stride == 1 and num_in == num_out:
            self.shortcut = nn.Identity()
        elif config.shortcut == "zeros":
            self.shortcut = ZeroShortcut(num_in, num_out, stride)
        else:
            self.shortcut = nn.Sequential(_conv(num_in, num_out, stride, 1), _norm(config, num_out))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Images (N, C, H, W) -> logits (N, num_classes); initialised from `generator`."""

    def __init__(self, config: ResNetConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with drawing_from(generator):
            side, stride = (3, 1) if config.stem == "small" else (7, 2)
            self.stem = _conv(config.in_channels, config.widths[0], stride, side)
            self.stem_norm = _norm(config, config.widths[0])
            blocks, width = [], config.widths[0]
            for stage, (channels, count) in enumerate(zip(config.widths, config.blocks, strict=True)):
                for index in range(count):
                    stride = 2 if stage > 0 and index == 0 else 1
                    blocks.append(BasicBlock(config, width, channels, stride))
                    width = channels
            self.blocks = nn.Sequential(*blocks)
            self.head = nn.Linear(width, config.num_classes)
            if config.init == "kaiming_normal":
                for module in self.modules():
                    if isinstance(module, nn.Conv2d | nn.Linear):
                        nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1] != self.config.in_channels:
            raise ValueError(f"images are (N, {self.config.in_channels}, H, W); got {tuple(images.shape)}")
        x = F.relu(self.stem_norm(self.stem(images)))
        if self.config.stem == "large":
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        return self.head(self.blocks(x).mean((-2, -1)))

    @property
    def num_params(self) -> int:
        return count_parameters(self)

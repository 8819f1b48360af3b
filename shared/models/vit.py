"""Vision transformer on the shared backbone.

Source: Dosovitskiy et al. 2021 (arXiv 2010.11929); the mean over positions in place of a class token as in Beyer et
al. 2022 (arXiv 2205.01580), and learned positions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.backbone import Backbone
from shared.models.image_config import ViTConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


class VisionTransformer(nn.Module):
    """Images (N, C, S, S) -> logits (N, num_classes)."""

    def __init__(self, config: ViTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with drawing_from(generator):
            patch = config.patch_size
            self.patches = nn.Linear(config.in_channels * patch * patch, config.d_model)
            self.backbone = Backbone(config.backbone)
            self.head = nn.Linear(config.d_model, config.num_classes)

    def cut(self, images: Tensor) -> Tensor:
        """Patches (N, num_patches, C p p), row by row from the top left."""
        p, n = self.config.patch_size, self.config.image_size // self.config.patch_size
        cut = images.unflatten(-1, (n, p)).unflatten(-3, (n, p))  # (N, C, n, p, n, p)
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        side = self.config.image_size
        if images.dim() != 4 or images.shape[1:] != (self.config.in_channels, side, side):
            raise ValueError(f"images are (N, {self.config.in_channels}, {side}, {side}); got {tuple(images.shape)}")
        x = F.dropout(self.patches(self.cut(images)), self.config.dropout, self.training)
        return self.head(self.backbone(x).mean(1))

    @property
    def num_params(self) -> int:
        return count_parameters(self)

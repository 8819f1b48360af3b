"""Bidirectional transformer over tokens with a time condition: the denoiser of discrete diffusion.

Shapes: B batch, L sequence length, V vocabulary, C conditioning width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.backbone import Backbone
from shared.models.config import DiffusionTransformerConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


def sinusoidal_features(t: Tensor, num_features: int, max_period: float) -> Tensor:
    """cos(t f_i), then sin(t f_i), with f_i = max_period^(-i / (F/2)) for i < F/2; t (B,) -> (B, F)."""
    half = num_features // 2
    exponent = torch.arange(half, device=t.device, dtype=t.dtype) / half
    angles = t[:, None] * torch.exp(-math.log(max_period) * exponent)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """t (B,) in [0, 1], unscaled -> (B, C): features, Linear, SiLU, Linear, SiLU."""

    def __init__(self, config: DiffusionTransformerConfig) -> None:
        super().__init__()
        cond_dim = config.backbone.cond_dim
        self.num_features, self.max_period = config.time_features, config.time_max_period
        self.in_proj = nn.Linear(config.time_features, cond_dim)
        self.out_proj = nn.Linear(cond_dim, cond_dim)

    def forward(self, t: Tensor) -> Tensor:
        # float32 at least: bfloat16 cannot tell apart neighbouring times
        features = sinusoidal_features(
            t.to(torch.promote_types(t.dtype, torch.float32)), self.num_features, self.max_period
        )
        return F.silu(self.out_proj(F.silu(self.in_proj(features.to(self.in_proj.weight.dtype)))))


class DiffusionTransformer(nn.Module):
    """DiT for tokens; the initial logits are zero, so that the initial prediction is uniform whatever the input.

    Source: Peebles & Xie 2022 (arXiv 2212.09748), adaLN-zero, on rotary pre-norm blocks over token embeddings.
    """

    def __init__(self, config: DiffusionTransformerConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with drawing_from(generator):
            self.embedding = nn.Embedding(config.vocab_size, config.backbone.d_model)
            nn.init.kaiming_uniform_(self.embedding.weight, a=math.sqrt(5))
            self.time_embedding = TimeEmbedding(config)
            self.backbone = Backbone(config.backbone)
            self.head = nn.Linear(config.backbone.d_model, config.vocab_size)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor, t: Tensor) -> Tensor:
        """Logits (B, L, V) of the clean token at every position.

        Args:
            tokens: noisy sequence, (B, L) int64 in [0, V).
            t: time of each sequence, (B,) in [0, 1], floating point.
        """
        if tokens.ndim != 2 or t.shape != tokens.shape[:1]:
            raise ValueError(
                f"needs tokens (batch, length) and t (batch,); got {tuple(tokens.shape)} and {tuple(t.shape)}"
            )
        return self.head(self.backbone(self.embedding(tokens), self.time_embedding(t)))

    @property
    def num_params(self) -> int:
        return count_parameters(self)

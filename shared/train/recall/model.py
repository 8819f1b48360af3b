"""A language model that answers at chosen positions alone.

Shapes: B rows, T tokens, Q answers of a row, V symbols.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.config import LanguageModelConfig
from shared.models.initialisation import drawing_from
from shared.models.language_model import LanguageModel


class RecallModel(nn.Module):
    """tokens (B, T), positions (B, Q) -> logits (B, Q, V): the head sees the states that are scored, no others.

    With `decodes_last` an answer at position p is decoded from the state at the last position and a code of p, by an
    MLP of one hidden layer (the auto-encoder of Poli et al. 2024, arXiv 2403.17844).
    """

    def __init__(self, config: LanguageModelConfig, generator: torch.Generator | None, decodes_last: bool = False):
        super().__init__()
        self.language_model = LanguageModel(config, generator)
        width = config.backbone.d_model
        self.decoder = None
        if decodes_last:
            with drawing_from(generator):
                self.decoder = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        hidden = self.language_model.hidden(tokens)
        if self.decoder is not None:
            chosen = self.decoder(hidden[:, -1:] + position_code(positions, hidden.shape[-1]).to(hidden.dtype))
        else:
            chosen = hidden.gather(1, positions.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        return self.language_model.head(chosen)


def position_code(positions: Tensor, width: int) -> Tensor:
    """Sines, then cosines of p / 10000^(2 i / D), (..., Q) -> (..., Q, D), float32 (Vaswani et al. 2017)."""
    half = (width + 1) // 2
    rate = torch.exp(torch.arange(half, device=positions.device) * (-2 * math.log(10000.0) / width))
    angle = positions.unsqueeze(-1) * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)[..., :width]


def answer_nll(logits: Tensor, labels: Tensor, ignored: int) -> Tensor:
    """-log p(label) in nats, 0 where the label is `ignored`; (B, Q, V) and (B, Q) -> (B, Q)."""
    found = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=ignored)
    return found.view(labels.shape)

"""Small causal transformers that are trained on text alone: an image's attribute words, then its caption.

So a frozen one knows how to use a preface; soft tokens from a connector can stand in its place.
Shapes: B captions, A preface tokens, T tokens, w width, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.hyma.encoders import descend, frozen
from papers.hyma.grammar import PADDING
from papers.hyma.settings import LanguageModelPlan, Pretraining
from shared.base.seeding import torch_generator
from shared.models.initialisation import drawing_from
from shared.models.language_model import IGNORED_TARGET, token_nll

HEAD_WIDTH = 16


class Block(nn.Module):
    """Pre-norm attention and a feed-forward network of four times the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, w); mask (B or 1, 1, T, T), 0 where a position is seen and -inf where not."""
        parts = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts  # (B, heads, T, w / heads)
        weights = (q @ k.mT / math.sqrt(q.shape[-1]) + mask).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class CaptionModel(nn.Module):
    """Token and position embedding, blocks, norm, head."""

    def __init__(self, width: int, num_layers: int, vocab_size: int, max_length: int) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(vocab_size, width), nn.Embedding(max_length, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(num_layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab_size)

    @property
    def width(self) -> int:
        return self.embedding.embedding_dim

    @property
    def num_layers(self) -> int:
        return len(self.blocks)

    @property
    def vocab_size(self) -> int:
        return self.head.out_features

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Input embeddings (B, T, w) -> logits (B, T, V).

        Args:
            seen: (B, T) of 0 and 1; positions with 0 are attended by none but themselves and take no place in the
                count of positions.
        """
        length = x.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()[None, None]
        if seen is None:
            places, allowed = torch.arange(length, device=x.device), causal
        else:
            places = (seen.cumsum(1) - 1).clamp(min=0)
            own = torch.eye(length, dtype=torch.bool, device=x.device)
            allowed = causal & (seen.bool()[:, None, None, :] | own)
        mask = torch.zeros(allowed.shape, dtype=x.dtype, device=x.device).masked_fill(~allowed, -torch.inf)
        x = x + self.places(places)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def caption_nll(
    model: CaptionModel, soft: Tensor | None, captions: Tensor, seen: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Negative log likelihood of captions after soft tokens, image first.

    Args:
        soft: (B, A, w) embeddings of the image slots, whose labels are ignored; None gives text alone, whose first
            token is then given and not predicted.
        captions: (B, T) tokens, padded.
        seen: (B, A) attention mask of the image slots; ones if omitted.
    Returns:
        Nats per token, 0 where ignored, (B, A + T - 1), and which of them count.
    """
    embedded, labels = model.embedding(captions), captions.masked_fill(captions == PADDING, IGNORED_TARGET)
    mask = None
    if soft is not None:
        slots = labels.new_full(soft.shape[:2], IGNORED_TARGET)
        embedded, labels = torch.cat([soft, embedded], dim=1), torch.cat([slots, labels], dim=1)
        if seen is not None:
            mask = torch.cat([seen, torch.ones_like(captions)], dim=1)
            labels[:, soft.shape[1]] = IGNORED_TARGET  # nothing that is seen stands before it
    logits = model(embedded[:, :-1], None if mask is None else mask[:, :-1])
    targets = labels[:, 1:].contiguous()
    return token_nll(logits, targets), targets != IGNORED_TARGET


def train_language_model(
    plan: LanguageModelPlan, prefaces: Tensor, captions: Tensor, vocab_size: int, training: Pretraining, seed: int
) -> CaptionModel:
    """Trained on texts "preface, caption" by the captions' likelihood, and frozen.

    Args:
        prefaces: (n, A) tokens. captions: (n, T) tokens.
    """
    generator = torch_generator(seed, "language model", plan.name)
    with drawing_from(generator):
        model = CaptionModel(plan.width, plan.num_layers, vocab_size, prefaces.shape[1] + captions.shape[1])

    def loss(rows: Tensor) -> Tensor:
        nll, counted = caption_nll(model, model.embedding(prefaces[rows]), captions[rows])
        return nll.sum() / counted.sum()

    descend(model, loss, len(captions), plan.num_steps, training.language_batch_size, training.language_lr, generator)
    return frozen(model)

"""The zoo's own frozen encoders: small convolutional networks, sums of random vectors, GRUs.

Shapes: n inputs, H x W pixels, T tokens, d width of an embedding.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.hyma.grammar import PADDING, Grammar
from papers.hyma.scenes import Pairs
from papers.hyma.settings import ImageEncoder, Pretraining, TextEncoder
from shared.base.seeding import torch_generator
from shared.models.initialisation import drawing_from
from shared.models.language_model import token_nll

CHANNELS = (16, 32)


class PictureNetwork(nn.Module):
    """Two strided convolutions and a linear map: (n, 3, H, W) -> (n, d)."""

    def __init__(self, dim: int, height: int, width: int) -> None:
        super().__init__()
        first, second = CHANNELS
        self.convs = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1), nn.ReLU(), nn.Conv2d(first, second, 3, 2, padding=1), nn.ReLU()
        )
        self.out = nn.Linear(second * -(-height // 2) * -(-width // 2), dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.convs(images).flatten(1))


class GRUModel(nn.Module):
    """A GRU language model; `forward` gives the mean hidden state of a caption, (n, T) -> (n, d)."""

    def __init__(self, dim: int, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        states, inside = self.gru(self.embedding(tokens))[0], (tokens != PADDING)[..., None]
        return (states * inside).sum(1) / inside.sum(1)

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean negative log likelihood of the tokens after the first, nats."""
        nll = token_nll(self.head(self.gru(self.embedding(tokens[:, :-1]))[0]), tokens[:, 1:])
        inside = tokens[:, 1:] != PADDING
        return (nll * inside).sum() / inside.sum()


class WordVectors(nn.Module):
    """A random vector for each word, or for each word and place, summed: (n, T) -> (n, d)."""

    def __init__(self, dim: int, vocab_size: int, num_places: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(num_places, vocab_size, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device) % len(self.vectors)
        return (self.vectors[places, tokens] * (tokens != PADDING)[..., None]).sum(1)


def image_network(plan: ImageEncoder, pairs: Pairs, grammar: Grammar, training: Pretraining, seed: int) -> nn.Module:
    """The encoder, trained on `pairs` without their captions as its plan says, and frozen."""
    height, width = pairs.images.shape[2:]
    generator = torch_generator(seed, "zoo", plan.name)
    with drawing_from(generator):
        model = PictureNetwork(plan.dim, height, width)
        sizes = [len(words) for name, words in grammar.attributes.items() if name in plan.supervised]
        heads = nn.ModuleList(nn.Linear(plan.dim, size) for size in sizes)
        decoder = nn.Linear(plan.dim, 3 * height * width) if plan.autoencoder else None
    places = [i for i, name in enumerate(grammar.attributes) if name in plan.supervised]
    if not (sizes or plan.autoencoder):
        return frozen(model)
    images, values = torch.from_numpy(pairs.images), torch.from_numpy(pairs.attributes)
    trained = nn.ModuleList([model, heads, *([decoder] if decoder else [])])

    def loss(rows: Tensor) -> Tensor:
        found = model(images[rows])
        targets = values[rows]
        total = sum(F.cross_entropy(h(F.relu(found)), targets[:, p]) for h, p in zip(heads, places, strict=True))
        if decoder is not None:
            total = total + 10 * F.mse_loss(decoder(F.relu(found)), images[rows].flatten(1))
        return total

    descend(trained, loss, len(images), training.num_steps, training.batch_size, training.lr, generator)
    return frozen(model)


def text_network(plan: TextEncoder, pairs: Pairs, grammar: Grammar, training: Pretraining, seed: int) -> nn.Module:
    """The encoder, trained on the captions without their images where its plan says so, and frozen."""
    generator, size = torch_generator(seed, "zoo", plan.name), len(grammar.vocabulary) + 1
    with drawing_from(generator):
        if plan.kind == "gru":
            model: nn.Module = GRUModel(plan.dim, size)
        else:
            model = WordVectors(plan.dim, size, 1 if plan.kind == "words" else grammar.length)
    if plan.trained:
        tokens = torch.from_numpy(pairs.captions)
        steps, batch = training.num_steps, training.batch_size
        descend(model, lambda rows: model.loss(tokens[rows]), len(tokens), steps, batch, training.lr, generator)
    return frozen(model)


def frozen(model: nn.Module) -> nn.Module:
    """The model, in evaluation mode, its parameters without gradients."""
    return model.eval().requires_grad_(False)


def descend(
    model: nn.Module, loss, num_rows: int, num_steps: int, batch_size: int, lr: float, generator: torch.Generator
) -> float:
    """AdamW without decay, cosine to zero; `loss(rows)` of random rows. Returns the last loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    value = torch.zeros(())
    for _ in range(num_steps):
        value = loss(torch.randint(num_rows, (min(batch_size, num_rows),), generator=generator))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return float(value.detach())


@torch.no_grad()
def embedded(model: nn.Module, inputs: np.ndarray, batch_size: int = 2000) -> Tensor:
    """Embeddings of `inputs`, (n, d), in batches."""
    return torch.cat([model(part) for part in _parts(inputs, batch_size)])


def _parts(inputs: np.ndarray, size: int) -> Iterator[Tensor]:
    for start in range(0, len(inputs), size):
        yield torch.from_numpy(inputs[start : start + size])

"""The captioning problem: connectors map an image's embedding to soft tokens of a frozen language model.

Shapes: P pairs, B samples, A soft tokens, T tokens of a caption, w width of a language model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from papers.hyma.connectors import Layers, apply_connectors, chosen
from papers.hyma.deck import SampleOrder
from papers.hyma.flops import linear_flops
from papers.hyma.language import CaptionModel, caption_nll
from papers.hyma.shapes import Shape, connector_shapes


class CaptionProblem:
    """Every image encoder with every language model.

    Args:
        images: encoder -> split -> (n, d).
        models: name -> frozen language model; has `width`, `embedding(tokens)` and logits for input embeddings.
        captions: name of a language model -> split -> (n, T) tokens.
        num_soft: A.
    """

    def __init__(
        self,
        images: dict[str, dict[str, Tensor]],
        models: dict[str, CaptionModel],
        captions: dict[str, dict[str, Tensor]],
        num_soft: int,
        depth: int,
        hidden: int,
        device: str = "cpu",
    ) -> None:
        self.device, self.num_soft = torch.device(device), num_soft
        self.images = {k: {s: v.to(device) for s, v in parts.items()} for k, parts in images.items()}
        self.captions = {k: {s: v.to(device) for s, v in parts.items()} for k, parts in captions.items()}
        self.models = {name: model.to(device) for name, model in models.items()}
        self.pairs = [(image, model) for image in images for model in models]
        self.shapes: list[list[Shape]] = [
            connector_shapes(depth, images[i]["train"].shape[1], num_soft * models[m].width, hidden)
            for i, m in self.pairs
        ]

    def order(self, batch_size: int, generator: torch.Generator):
        """See `Problem`."""
        return SampleOrder(self.num_rows("train"), batch_size, generator).draw

    def num_rows(self, split: str) -> int:
        """Samples of a split."""
        return len(next(iter(self.captions.values()))[split])

    def losses(self, pairs: Sequence[int], layers: Layers, rows: Tensor) -> Tensor:
        """See `Problem`: nats per token."""
        totals, counts = self.totals(pairs, layers, rows.to(self.device), "train")
        return totals / counts

    def totals(self, pairs: Sequence[int], layers: Layers, rows: Tensor, split: str) -> tuple[Tensor, Tensor]:
        """Summed nats and number of tokens of each pair, (P,) each; pairs of one language model share a call."""
        totals: list[Tensor | None] = [None] * len(pairs)
        counts: list[Tensor | None] = [None] * len(pairs)
        width = layers[0][0].shape[2]
        for name, model in self.models.items():
            own = [k for k, p in enumerate(pairs) if self.pairs[p][1] == name]
            if not own:
                continue
            features = [self.images[self.pairs[pairs[k]][0]][split][rows] for k in own]
            x = torch.stack([torch.nn.functional.pad(f, (0, width - f.shape[1])) for f in features])
            soft = apply_connectors(chosen(layers, own), x)[..., : self.num_soft * model.width]
            soft = soft.reshape(len(own) * len(rows), self.num_soft, model.width)
            nll, counted = caption_nll(model, soft, self.captions[name][split][rows].repeat(len(own), 1))
            for place, k in enumerate(own):
                part = slice(place * len(rows), (place + 1) * len(rows))
                totals[k], counts[k] = nll[part].sum(), counted[part].sum()
        return torch.stack(totals), torch.stack(counts)

    @torch.no_grad()
    def perplexities(
        self, pairs: Sequence[int], layers: Layers, split: str = "test", batch_size: int = 256
    ) -> list[float]:
        """exp of the mean over all tokens, for each pair; a mean of batches' perplexities would be another number."""
        totals, counts = 0.0, 0.0
        number_of_rows = self.num_rows(split)
        for start in range(0, number_of_rows, batch_size):
            rows = torch.arange(start, min(start + batch_size, number_of_rows), device=self.device)
            part, number = self.totals(pairs, layers, rows, split)
            totals, counts = totals + part.double(), counts + number
        return torch.exp(totals / counts).tolist()


def caption_flops(batch: int, shapes: Sequence[Shape], length: int, width: int, num_layers: int, vocab: int) -> float:
    """One step of one connector through a frozen language model that sees `length` positions.

    Forward and the gradient of the inputs: 4 for each multiply-add with frozen weights, 6 in attention's products,
    whose two factors both have gradients; the first layer of the connector needs no gradient of its inputs.
    """
    positions = batch * length
    frozen = positions * (num_layers * 12 * width**2 + width * vocab)
    attention = positions * num_layers * 2 * length * width
    return linear_flops(batch, shapes) + 4.0 * frozen + 6.0 * attention

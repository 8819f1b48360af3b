"""Benchmarks of connected pairs: retrieval in both directions and zero-shot classification.

Shapes: P pairs, n samples, D width, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from papers.hyma.connectors import Layers, apply_connectors, chosen
from papers.hyma.contrastive import fast_info_nce, unit
from papers.hyma.deck import SampleOrder
from papers.hyma.embeddings import Embeddings

DEPTHS = (1, 5, 10)  # of R@k


def ranks(similarity: Tensor, same: Tensor) -> Tensor:
    """Per row, how many of the other meanings are at least as near as the nearest of the own meaning, (..., n).

    A tie counts against the row, so a connector that maps everything to one point is at chance.

    Args:
        similarity: (..., n, m). same: (n, m), which columns mean the same as the row.
    """
    own = similarity.masked_fill(~same, -torch.inf).amax(-1, keepdim=True)
    return ((similarity >= own) & ~same).sum(-1)


def recall_at(k: int, similarity: Tensor, meanings: Tensor) -> Tensor:
    """R@k, mean of both directions, (...): the share of queries with a right answer among the first k."""
    same = meanings[:, None] == meanings
    return sum((ranks(s, same) < k).double().mean(-1) for s in (similarity, similarity.mT)) / 2


def zero_shot(images: Tensor, prompts: Tensor, labels: Tensor) -> float:
    """Accuracy of the nearest class, a class being the mean of its normalised prompts.

    Args:
        images: (n, D), normalised. prompts: (K, P, D), normalised. labels: (n,).
    """
    classes = unit(prompts.mean(1))
    return float(((images @ classes.T).argmax(1) == labels).double().mean())


class Alignment:
    """The contrastive problem of a zoo: texts are mapped into the space of images.

    Args:
        pairs: (image encoder, text encoder) by position in the zoo.
    """

    def __init__(
        self, zoo: Embeddings, pairs: Sequence[tuple[int, int]], shapes: Sequence, scale: float, device: str = "cpu"
    ) -> None:
        self.zoo, self.pairs, self.shapes, self.scale = zoo, list(pairs), list(shapes), scale
        self.device = torch.device(device)
        self._images, self._texts = {}, {}
        for split in ("train", "validation", "test"):
            self._images[split] = zoo.stacked("images", split).to(device)
            self._texts[split] = zoo.stacked("texts", split).to(device)

    def order(self, batch_size: int, generator: torch.Generator):
        """See `Problem`."""
        return SampleOrder(self._images["train"].shape[1], batch_size, generator).draw

    def losses(self, pairs: Sequence[int], layers: Layers, rows: Tensor) -> Tensor:
        """See `Problem`."""
        images, texts = self._rows(pairs, rows, "train")
        mapped = unit(apply_connectors(layers, texts[..., : layers[0][0].shape[2]]))
        return fast_info_nce(images[..., : mapped.shape[-1]], mapped, self.scale)

    def _rows(self, pairs: Sequence[int], rows: Tensor, split: str) -> tuple[Tensor, Tensor]:
        image, text = zip(*(self.pairs[p] for p in pairs), strict=True)
        rows = rows.to(self.device)
        return self._images[split][list(image)][:, rows], self._texts[split][list(text)][:, rows]

    @torch.no_grad()
    def benchmarks(self, pairs: Sequence[int], layers: Layers, split: str = "test") -> list[dict[str, float]]:
        """R@1, R@5, R@10 and zero-shot accuracies of each pair; nan for a connector that is not finite."""
        meanings, found = self.zoo.meanings[split], []
        for k, pair in enumerate(pairs):
            image, text = self.pairs[pair]
            one = chosen(layers, [k])
            width = one[-1][0].shape[1]
            y = self._images[split][image][:, :width]
            s = y @ self._mapped(one, self._texts[split][text]).T
            finite = bool(torch.isfinite(s).all())
            row = {f"r{d}": float(recall_at(d, s, meanings)) if finite else float("nan") for d in DEPTHS}
            for name, truth in self.zoo.attributes.items():
                prompts = list(self.zoo.texts.values())[text].prompts.get(name)
                if prompts is None:
                    continue
                mapped = self._mapped(one, prompts.flatten(0, 1)).view(*prompts.shape[:2], -1)
                pictures, labels = y, truth.get(split)
                if labels is None:  # a data set of its own, not a property of the retrieved images
                    pictures, labels = list(self.zoo.images.values())[image].splits[name], truth[name]
                row[f"zero_shot_{name}"] = zero_shot(pictures, mapped, labels) if finite else float("nan")
            found.append(row)
        return found

    @torch.no_grad()
    def similarity(self, pair: int, layers: Layers, split: str = "test") -> Tensor:
        """Cosines of one pair under its connector of a stack over all pairs, (n images, n texts)."""
        image, text = self.pairs[pair]
        one = chosen(layers, [pair])
        return self._images[split][image][:, : one[-1][0].shape[1]] @ self._mapped(one, self._texts[split][text]).T

    def _mapped(self, one: Layers, texts: Tensor) -> Tensor:
        """Texts (n, <= I) through a single connector, normalised, (n, D)."""
        width = one[0][0].shape[2]
        x = torch.nn.functional.pad(texts, (0, max(0, width - texts.shape[1])))[None, :, :width]
        return unit(apply_connectors(one, x))[0]

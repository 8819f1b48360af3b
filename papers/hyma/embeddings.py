"""The cache of embeddings that every method reads: centred, normalised, with a manifest, and refused where it is wrong.

Shapes: N image encoders, M text encoders, n samples, D the widest embedding.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.base.errors import nearest_or_all
from shared.train.checkpoint import load_tree, save_tree


@dataclass(frozen=True, eq=False)
class Cached:
    """One encoder's embeddings.

    Args:
        splits: split -> (n, d), rows of length one.
        ids: split -> digest of the samples in their order.
        prompts: attribute -> (K, P, d), of text encoders.
        score: uni-modal score. digest: of the encoder's weights.
    """

    splits: dict[str, Tensor]
    ids: dict[str, str]
    score: float
    digest: str
    prompts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        return self.splits["train"].shape[1]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """All encoders of a zoo on one set of pairs.

    Args:
        attributes: name -> split -> (n,) int64, the truth of the zero-shot classifiers; where images of their own are
            classified, name -> name -> labels, and image encoders have a split of that name.
        meanings: split -> (n,) int64; samples of one number mean the same.
        pixels: (n, 3, H, W) of some test images, captions: their texts; for pictures.
    """

    images: dict[str, Cached]
    texts: dict[str, Cached]
    attributes: dict[str, dict[str, Tensor]]
    meanings: dict[str, Tensor]
    pixels: Tensor
    captions: list[str]

    def __post_init__(self) -> None:
        first = next(iter(self.images.values()))
        for kind, encoders in (("image", self.images), ("text", self.texts)):
            for name, cached in encoders.items():
                for split, values in cached.splits.items():
                    _check(values, f"{split} embeddings of {kind} encoder {name}")
                    if cached.ids[split] != first.ids[split]:
                        raise ValueError(
                            f"{kind} encoder {name} was run on other {split} samples, or in another order, than"
                            f" {next(iter(self.images))}; embed them all again"
                        )

    def pair(self, image: str, text: str) -> tuple[int, int]:
        """Positions of a pair's encoders. Raises: ValueError, the zoo has no such encoder."""
        for kind, name, known in (("image", image, self.images), ("text", text, self.texts)):
            if name not in known:
                raise ValueError(f"the zoo has no {kind} encoder '{name}'; {nearest_or_all(name, known)}")
        return list(self.images).index(image), list(self.texts).index(text)

    def stacked(self, kind: str, split: str, width: int | None = None) -> Tensor:
        """Embeddings of all encoders of a kind, zero beyond their own width, (N or M, n, D)."""
        encoders = getattr(self, kind)
        width = width or max(cached.dim for cached in encoders.values())
        return torch.stack([F.pad(c.splits[split], (0, width - c.dim)) for c in encoders.values()])

    def save(self, path: Path) -> None:
        """Write all of it as one safetensors file."""
        tree = {kind: {name: vars(c) for name, c in getattr(self, kind).items()} for kind in ("images", "texts")}
        rest = {name: getattr(self, name) for name in ("attributes", "meanings", "pixels", "captions")}
        save_tree(tree | rest, path)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "Embeddings":
        """What `save` wrote, on a device.

        Raises:
            ValueError: the file is damaged, or its embeddings are not what they have to be.
        """
        tree = _moved(load_tree(path), device)
        encoders = {kind: {n: Cached(**c) for n, c in tree.pop(kind).items()} for kind in ("images", "texts")}
        return cls(**encoders, **tree)

    def check_manifest(self, dims: dict[str, int]) -> None:
        """ValueError unless the named encoders have the widths that a checkpoint was made for."""
        known = {**self.images, **self.texts}
        for name, dim in dims.items():
            if name not in known:
                raise ValueError(f"the checkpoint needs encoder '{name}'; {nearest_or_all(name, known)}")
            if known[name].dim != dim:
                raise ValueError(
                    f"the checkpoint was made for {name} of width {dim}, and the zoo's {name} has"
                    f" {known[name].dim}; take the encoder that it was trained with"
                )


def centred(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Split -> embeddings less the training mean, rows normalised; other entries (prompts) are treated the same."""
    mean = values["train"].mean(0)
    return {name: F.normalize(part - mean, dim=-1) for name, part in values.items()}


def sample_digest(*arrays) -> str:
    """Digest of what identifies samples, in their order."""
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def weights_digest(model: torch.nn.Module) -> str:
    """Digest of a model's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _check(values: Tensor, what: str) -> None:
    if not torch.isfinite(values).all():
        raise ValueError(f"the {what} are not all finite; embed them again")
    lengths = values.norm(dim=-1)
    if (lengths - 1).abs().max() > 1e-3:
        raise ValueError(f"the {what} are not normalised (lengths {lengths.min():.3g} to {lengths.max():.3g})")


def _moved(tree: object, device: str) -> object:
    if isinstance(tree, dict):
        return {name: _moved(value, device) for name, value in tree.items()}
    return tree.to(device) if isinstance(tree, Tensor) else tree

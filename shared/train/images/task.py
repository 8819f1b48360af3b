"""Classification of small images.

Shapes: B images, C channels, S pixels along each side.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn

from shared.base.seeding import torch_generator
from shared.data.augmentation import crop_draws, shifted
from shared.data.images import LabelledImages, load_images
from shared.models.cnn import CNN
from shared.models.densenet import DenseNet
from shared.models.mlp import MLP
from shared.models.pretrained import PretrainedClassifier
from shared.models.resnet import ResNet
from shared.models.vgg import VGG
from shared.models.vit import VisionTransformer
from shared.train.images.config import ImageSettings, ImageShard
from shared.train.rows import shuffled_indices
from shared.train.task import Task

_MODELS = {
    "mlp": MLP, "cnn": CNN, "densenet": DenseNet, "pretrained": PretrainedClassifier, "resnet": ResNet, "vgg": VGG,
    "vit": VisionTransformer,
}  # fmt: skip


class ImageTask(Task):
    """Cross-entropy in nats; batches are epochs in random order, every test image is evaluated.

    The loss reads `label_smoothing` where a run has it: the share of the target spread evenly over all classes.

    Args:
        settings: of the sweep. overrides: `model.<name>` values of this shard's runs. batch_size: rows of an update.
    """

    def __init__(self, settings: ImageSettings, overrides: dict[str, Any], batch_size: int):
        self.settings, self.batch_size = settings, batch_size
        self.config = settings.model_config_for(overrides)

    @classmethod
    def of_shard(cls, shard: ImageShard) -> Self:
        """The task of a job, whose runs share model and batch size."""
        return cls(shard, dict(shard.runs[0].model), shard.runs[0].batch_size)

    @functools.cached_property
    def data(self) -> LabelledImages:
        return load_images(self.settings.dataset, self.settings.normalisation)

    def build(self, seed: int) -> nn.Module:
        model = _MODELS[self.settings.kind](self.config, torch_generator(seed, "init"))
        return nn.Sequential(nn.Flatten(), model) if self.settings.kind == "mlp" else model

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """images (B, C, S, S) and labels (B,)."""
        images, labels = self.data.train_images, self.data.train_labels
        chosen = shuffled_indices(seed, step, rows, batch_size=self.batch_size, num_items=len(labels))
        if self.settings.augmentation == "resized_crop":
            drawn = images.random_crops(chosen, crop_draws(seed, step, rows))
        else:
            drawn = images[chosen]
        if self.settings.augmentation == "crop_flip":
            drawn = shifted(drawn, 4, seed, step, rows, self.batch_size)
        return {"images": drawn, "labels": labels[chosen]}

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], values: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        logits = model(batch["images"])
        loss, share = F.cross_entropy(logits, batch["labels"]), values.get("label_smoothing")
        if share is not None:
            loss = (1 - share) * loss - share * F.log_softmax(logits, dim=-1).mean()
        return loss, {"accuracy": accuracy(logits, batch["labels"])}

    def evaluation(self) -> Iterable[dict[str, Tensor]]:
        rows = self.settings.validation_rows
        passes = zip(self.data.test_images.split(rows), self.data.test_labels.split(rows), strict=True)
        return ({"images": images, "labels": labels} for images, labels in passes)

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = model(batch["images"])
        return {
            "val_loss": F.cross_entropy(logits, batch["labels"]),
            "val_accuracy": accuracy(logits, batch["labels"]),
        }


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of rows whose largest logit is that of the label, 0-d."""
    return (logits.argmax(-1) == labels).to(logits.dtype).mean()

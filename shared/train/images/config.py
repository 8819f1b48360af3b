"""Image classifiers of a sweep as they stand in a config.yaml; imports without torch."""

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.base.settings import StrictModel
from shared.models.config import MLPConfig
from shared.models.image_config import CNNConfig, DenseNetConfig, PretrainedConfig, ResNetConfig, VGGConfig, ViTConfig
from shared.train.sweep.shard import SweepSettings, SweepShard

_SHAPED = {
    "cnn": CNNConfig, "densenet": DenseNetConfig, "pretrained": PretrainedConfig, "resnet": ResNetConfig,
    "vgg": VGGConfig, "vit": ViTConfig,
}  # fmt: skip


class ImageShape(StrictModel):
    """What a model has to know of the data."""

    num_channels: int = Field(ge=1)
    size: int = Field(ge=1)  # pixels along each side
    num_classes: int = Field(ge=2)


SHAPES = {
    "digits": ImageShape(num_channels=1, size=8, num_classes=10),
    "cifar10": ImageShape(num_channels=3, size=32, num_classes=10),
    "cifar100": ImageShape(num_channels=3, size=32, num_classes=100),
    "svhn": ImageShape(num_channels=3, size=32, num_classes=10),
    "tiny-imagenet": ImageShape(num_channels=3, size=64, num_classes=200),
    "mnist": ImageShape(num_channels=1, size=28, num_classes=10),
    "imagenet32": ImageShape(num_channels=3, size=32, num_classes=1000),
    "imagenet-1k": ImageShape(num_channels=3, size=224, num_classes=1000),
    "resisc45": ImageShape(num_channels=3, size=224, num_classes=45),
    "fmow": ImageShape(num_channels=3, size=224, num_classes=62),
}


class ImageSettings(SweepSettings):
    """What all classifiers of a sweep have in common.

    `model` holds the settings of the kind's own config (`shared.models.config`) without what the data says: channels,
    image size and classes. Of an mlp, `widths` are the hidden ones.
    """

    dataset: Literal[
        "digits", "mnist", "cifar10", "cifar100", "svhn", "tiny-imagenet", "imagenet32", "imagenet-1k", "resisc45",
        "fmow",
    ] = "digits"  # fmt: skip
    normalisation: Literal["unit", "standard"] = (
        "standard"  # pixels in [0, 1]; or shifted and scaled by their mean, std
    )
    # of training images. crop_flip: shifts by up to 4 pixels and mirror images. resized_crop: parts of random area and
    # shape, and mirror images; for files of any size (imagenet-1k), of which evaluation takes the middle
    augmentation: Literal["none", "crop_flip", "resized_crop"] = "none"
    kind: Literal["mlp", "cnn", "densenet", "pretrained", "resnet", "vgg", "vit"] = "mlp"
    model: dict[str, Any] = {}
    validation_rows: int = Field(default=256, ge=1)  # images of one forward pass; the whole test set is evaluated

    @model_validator(mode="after")
    def _model_fits(self) -> Self:
        self.model_config_for({})
        if self.augmentation == "resized_crop" and self.dataset != "imagenet-1k":
            raise ValueError(f"resized_crop is for imagenet-1k; use crop_flip for {self.dataset}")
        if self.kind == "pretrained" and self.normalisation != "unit":
            raise ValueError("a pretrained encoder scales pixels by moments of its own; set normalisation: unit")
        return self

    def model_config_for(self, overrides: dict[str, Any]) -> StrictModel:
        """The model of a run; `overrides` are its `model.<name>` values.

        Raises:
            ValueError: an unknown setting, or a model that does not fit the images.
        """
        shape, settings = SHAPES[self.dataset], self.model | overrides
        if self.kind == "mlp":
            num_inputs = math.prod((shape.num_channels, shape.size, shape.size))
            hidden = settings.get("widths", ())
            if not isinstance(hidden, list | tuple):
                raise ValueError(f"'widths' of an mlp has to be a list of hidden widths (given: {hidden!r})")
            return MLPConfig.model_validate(settings | {"widths": (num_inputs, *hidden, shape.num_classes)})
        own = {"num_classes": shape.num_classes, "in_channels": shape.num_channels}
        own |= {"image_size": shape.size} if self.kind == "vit" else {}
        return _SHAPED[self.kind].model_validate(settings | own)


class ImageShard(SweepShard, ImageSettings):
    """One job of a sweep of image classifiers."""

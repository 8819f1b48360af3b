"""Published image encoders of `transformers`, such as CLIP's and ConvNeXt, as classifiers to fine-tune.

Shapes: N images, S pixels along each side, D width of the encoder's pooled output.

Source: Radford et al. 2021 (arXiv 2103.00020), CLIP; Liu et al. 2022 (arXiv 2201.03545), ConvNeXt.
"""

import torch
from torch import Tensor, nn

from shared.models.image_config import PretrainedConfig
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters


class PretrainedClassifier(nn.Module):
    """Images (N, 3, S, S) in [0, 1] -> logits (N, num_classes); every parameter trains.

    The head reads the encoder's pooled output (N, D): of CLIP's tower of images the class token after the last norm,
    without the projection to texts; of ConvNeXt the mean over positions after a norm. Pixels are shifted and scaled
    by the mean and standard deviation of each channel that are published with the weights.

    Args:
        generator: of the head's initial weights; the encoder is the published one whatever the generator.
    Raises:
        ValueError: no package `transformers`, no such model within reach, or one without these moments.
    """

    def __init__(self, config: PretrainedConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with drawing_from(generator):
            self.encoder, moments = _load(config)
            sizes = self.encoder.config
            width = sizes.hidden_sizes[-1] if hasattr(sizes, "hidden_sizes") else sizes.hidden_size
            self.head = nn.Linear(width, config.num_classes)
        for name, values in zip(("mean", "std"), moments, strict=True):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"images are (N, 3, S, S); got {tuple(images.shape)}")
        return self.head(self.encoder(pixel_values=(images - self.mean) / self.std).pooler_output)

    @property
    def num_params(self) -> int:
        return count_parameters(self)


def _load(config: PretrainedConfig) -> tuple[nn.Module, tuple[list[float], list[float]]]:
    """The encoder of images, and mean and standard deviation of its pixels."""
    try:
        from transformers import AutoModel, ImageProcessingMixin
    except ImportError as error:
        raise ValueError("published encoders need the package transformers: pip install transformers") from error
    try:
        model = AutoModel.from_pretrained(config.name, revision=config.revision, dtype=torch.float32)
        processor, _ = ImageProcessingMixin.get_image_processor_dict(config.name, revision=config.revision)
    except OSError as error:
        at = f" at {config.revision}" if config.revision else ""
        raise ValueError(
            f"{config.name}{at} cannot be read ({type(error).__name__}); connect to the network, point HF_HOME to a"
            " cache that holds it, or name a folder that save_pretrained wrote"
        ) from error
    missing = [key for key in ("image_mean", "image_std") if key not in processor]
    if missing:
        raise ValueError(f"preprocessor_config.json of {config.name} has no {missing[0]}; name an encoder of images")
    return getattr(model, "vision_model", model), (processor["image_mean"], processor["image_std"])

"""The networks that are aligned, as tasks: images with the paper's augmentation, or text; normal initialisation.

Shapes: B images, C channels, S pixels along each side.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from papers.symmetry_lmc.settings import Parents
from shared.base.seeding import torch_generator
from shared.data.counter import row_uniforms
from shared.train.images.task import ImageTask
from shared.train.language.task import LanguageTask
from shared.train.task import Task


class AugmentedImages(ImageTask):
    """Images with noise, crops, flips and colour changes that depend on (seed, step, row) alone."""

    def __init__(self, parents: Parents, batch_size: int) -> None:
        super().__init__(parents.images, {}, batch_size)
        self.parents = parents

    def build(self, seed: int) -> nn.Module:
        return normal_init(super().build(seed), self.parents.init_std, seed)

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """images (B, C, S, S) and labels (B,)."""
        found, own = super().batch(step, rows, seed), self.parents
        images = found["images"]
        if own.crop:
            images = crop_and_flip(images, torch.from_numpy(row_uniforms(seed, "crops", step, rows, 3)), own.crop)
        if own.jitter:
            images = jitter(images, torch.from_numpy(row_uniforms(seed, "colours", step, rows, 3)), own.jitter)
        if own.noise:
            shape = (self.batch_size, *images.shape[1:])
            noise = torch.randn(shape, generator=torch_generator(seed, "pixel noise", step))
            images = images + own.noise * noise[rows.start : rows.stop]
        return found | {"images": images}


class Language(LanguageTask):
    """Text with a given width in place of the settings' own."""

    def __init__(self, parents: Parents, width: int | None, batch_size: int) -> None:
        super().__init__(parents.language, {} if width is None else {"d_model": width}, batch_size)

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = model(batch["tokens"][:, :-1])
        right = (logits.argmax(-1) == batch["tokens"][:, 1:]).to(logits.dtype).mean()
        return super().metrics(lambda tokens: logits, batch) | {"val_accuracy": right}


def task_of(parents: Parents, *, width: int | None = None, batch_size: int | None = None) -> Task:
    """The task of these parents; `batch_size` of another user of their batches."""
    size = batch_size or parents.batch_size
    return AugmentedImages(parents, size) if parents.language is None else Language(parents, width, size)


def mean_loss(model: nn.Module, batch: Mapping[str, Tensor], task: Task) -> Tensor:
    """Training loss of a batch, without what is logged beside it."""
    found = task.loss(model, dict(batch), {})
    return found[0] if isinstance(found, tuple) else found


def normal_init(model: nn.Module, std: float, seed: int) -> nn.Module:
    """N(0, std^2) weight matrices and zero biases: torch's default init would drown small networks' training."""
    generator = torch_generator(seed, "normal init")
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(0, std, generator=generator)
            module.bias.data.zero_()
    return model


def crop_and_flip(images: Tensor, draws: Tensor, padding: int) -> Tensor:
    """A crop of the padded image at a random place, mirrored with probability 1/2; draws (B, 3) in [0, 1)."""
    size = images.shape[-1]
    places = (draws[:, :2] * (2 * padding + 1)).long()  # (B, 2) of y, x
    padded = nn.functional.pad(images, (padding,) * 4)
    steps = torch.arange(size)
    columns = torch.where(draws[:, 2:] < 0.5, steps, steps.flip(0)) + places[:, 1:]  # (B, S)
    rows = steps + places[:, :1]
    index = torch.arange(len(images))[:, None, None]
    return padded.movedim(1, -1)[index, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def jitter(images: Tensor, draws: Tensor, most: float) -> Tensor:
    """Brightness, contrast and saturation times 1 + U(-most, most), in this order; draws (B, 3) in [0, 1).

    On normalised pixels, where black is not 0: brightness is a shift by as much of a standard deviation.
    """
    change = (most * (2 * draws - 1)).to(images)[..., None, None, None]  # (B, 3, 1, 1, 1)
    images = images + change[:, 0]
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (1 + change[:, 1]) * (images - mean)
    grey = images.mean(1, keepdim=True)
    return grey + (1 + change[:, 2]) * (images - grey)

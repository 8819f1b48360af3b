"""Image classification with label noise, augmentation, rotated or fewer classes, and a start of one's own.

Shapes: B rows, C channels, S pixels along each side.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from papers.merging_noise.settings import Images
from shared.base.seeding import torch_generator
from shared.data.augmentation import shifted
from shared.data.images import LabelledImages, StoredImages
from shared.train.ensemble.training import train_ensemble
from shared.train.images.config import SHAPES
from shared.train.images.task import ImageTask
from shared.train.rows import random_indices
from shared.train.run import Run


class MergeTask(ImageTask):
    """`ImageTask` whose batches are drawn with replacement, so that gradient noise is exactly Sigma / B.

    Args:
        starts: seed -> state that its runs start from; a random initialisation where there is none.
        device: where the images lie.
    """

    def __init__(
        self,
        settings: Images,
        overrides: dict[str, Any],
        batch_size: int,
        starts: Mapping[int, Mapping[str, Tensor]] | None = None,
        device: str = "cpu",
    ):
        super().__init__(settings, overrides, batch_size)
        self.starts, self.device = starts or {}, device

    @functools.cached_property
    def data(self) -> LabelledImages:
        found = prepared(super().data, self.settings)
        return LabelledImages(*(getattr(found, f.name).to(self.device) for f in dataclasses.fields(found)))

    def build(self, seed: int) -> nn.Module:
        model = super().build(seed)
        head = head_of(model)
        if self.settings.freeze_head:
            head.load_state_dict(head_of(super().build(0)).state_dict())
            head.requires_grad_(False)
        if not self.settings.decay_head:
            for parameter in head.parameters():
                parameter.no_weight_decay = True
        if seed in self.starts:
            missing = model.load_state_dict(self.starts[seed], strict=False).missing_keys
            frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
            assert set(missing) <= frozen, missing
        return model

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """images (B, C, S, S) and labels (B,)."""
        images, labels = self.data.train_images, self.data.train_labels
        chosen = random_indices(seed, step, rows, batch_size=self.batch_size, num_items=len(labels)).to(self.device)
        drawn = images[chosen]
        if self.settings.augmentation != "none":
            drawn = augmented(drawn, self.settings, seed, step, rows, self.batch_size)
        return {"images": drawn, "labels": labels[chosen]}


def head_of(model: nn.Module) -> nn.Linear:
    """The last linear map of a model."""
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1]


def without_head(model: nn.Module) -> dict[str, Tensor]:
    """Parameters but for those of the head: where published weights start, and what tasks of other classes share."""
    own = set(head_of(model).parameters())
    return {name: p.detach().clone() for name, p in model.named_parameters() if p not in own}


def prepared(data: LabelledImages, settings: Images) -> LabelledImages:
    """The split, label noise, rotation and classes of the settings; the draws are the same for every run."""
    train, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    if isinstance(data.train_images, StoredImages) and (settings.num_train or settings.quarter_turns):
        raise ValueError(f"images of {settings.dataset} stay bytes in memory: set num_train and quarter_turns to 0")
    if settings.num_train:
        images, labels = torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]])
        if settings.num_train >= len(labels):
            raise ValueError(f"num_train {settings.num_train} leaves none of {len(labels)} images for testing")
        order = torch.randperm(len(labels), generator=torch_generator(0, "split"))
        cut = settings.num_train
        train, test = ((images[part], labels[part]) for part in (order[:cut], order[cut:]))
    classes = SHAPES[settings.dataset].num_classes
    draw = torch_generator(0, "label noise")
    noisy = torch.rand(len(train[1]), generator=draw) < settings.label_noise
    train = (train[0], torch.where(noisy, torch.randint(classes, train[1].shape, generator=draw), train[1]))
    if settings.classes:
        wanted = torch.tensor(settings.classes)
        train, test = ((_part(x, torch.isin(y, wanted)), y[torch.isin(y, wanted)]) for x, y in (train, test))
    if settings.num_test:
        few = torch.randperm(len(test[1]), generator=torch_generator(0, "test images"))[: settings.num_test]
        test = (_part(test[0], few), test[1][few])
    turns = settings.quarter_turns
    turned = [torch.rot90(x, turns, (-2, -1)).contiguous() if turns else x for x, _ in (train, test)]
    return LabelledImages(turned[0], train[1], turned[1], test[1])


def _part(images: Tensor | StoredImages, index: Tensor) -> Tensor | StoredImages:
    """Images at positions or under a mask."""
    return images.subset(index) if isinstance(images, StoredImages) else images[index]


def augmented(images: Tensor, settings: Images, seed: int, step: int, rows: range, batch_size: int) -> Tensor:
    """Rows of an augmented batch; a row's draw depends on (seed, step, row) alone."""
    scale, flip = settings.augmentation_scale, settings.augmentation == "crop_flip"
    if settings.augmentation != "gaussian":
        return shifted(images, int(scale), seed, step, rows, batch_size, flip=flip)
    draw, part = torch_generator(seed, "augmentation", step), slice(rows.start, rows.stop)
    return images + scale * torch.randn((batch_size, *images.shape[1:]), generator=draw)[part].to(images.device)


def pretrained_starts(
    settings: Images, overrides: dict[str, Any], seeds: list[int], device: str
) -> dict[int, dict[str, Tensor]]:
    """Seed -> base trained by SGD with a cosine schedule on the rotated images."""
    plan = settings.pretraining
    own = settings.model_copy(update={"quarter_turns": plan.quarter_turns, "pretraining": None})
    how = {"optimizer": "sgd", "settings": {"lr": plan.lr}, "batch_size": plan.batch_size, "num_steps": plan.num_steps}
    runs = [Run(name=f"base seed={seed}", seed=seed, model=overrides, **how) for seed in seeds]
    task = MergeTask(own, overrides, plan.batch_size, device=device)
    result = train_ensemble(task, runs, own.training_for(runs[0]), device=device, title="base")
    return {seed: state for seed, state in zip(seeds, result.states, strict=True)}

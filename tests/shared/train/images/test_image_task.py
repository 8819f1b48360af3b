"""The image task and its settings."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from shared.train.images.config import ImageSettings
from shared.train.images.task import ImageTask


def test_smoothing_is_torch_s_own():
    task = ImageTask(ImageSettings(), {"widths": (8,)}, 16)
    model, batch = task.build(0), task.batch(0, range(16), 0)
    loss, metrics = task.loss(model, batch, {"label_smoothing": torch.tensor(0.2)})
    logits = model(batch["images"])
    torch.testing.assert_close(loss, F.cross_entropy(logits, batch["labels"], label_smoothing=0.2))
    assert metrics["accuracy"] == (logits.argmax(1) == batch["labels"]).float().mean()


def test_evaluation_covers_the_test_images_once_whatever_the_passes():
    found = []
    for rows in (100, 359, 1000):
        task = ImageTask(ImageSettings(validation_rows=rows), {}, 16)
        found.append(task.evaluate(task.build(0).eval(), 0))
    labels = torch.cat([batch["labels"] for batch in task.evaluation()])
    assert torch.equal(labels, task.data.test_labels)
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-6)
    assert found[0]["val_loss"] == pytest.approx(math.log(10), abs=0.3)


def test_shifted_batches_hold_the_same_images_and_evaluation_is_left_alone():
    plain, shifted = (ImageTask(ImageSettings(augmentation=how), {"widths": (8,)}, 16) for how in ("none", "crop_flip"))
    found = [task.batch(3, range(16), 0) for task in (plain, shifted)]
    assert found[0]["labels"].equal(found[1]["labels"]) and not found[0]["images"].equal(found[1]["images"])
    for before, after in zip(found[0]["images"], found[1]["images"], strict=True):
        kept = [value for value in after.flatten().tolist() if value > before.min()]
        assert set(kept) <= set(before.flatten().tolist())
    assert next(iter(plain.evaluation()))["images"].equal(next(iter(shifted.evaluation()))["images"])


def test_an_epoch_shows_every_image_once():
    task = ImageTask(ImageSettings(), {}, 100)
    num = len(task.data.train_labels)
    drawn = torch.cat([task.batch(step, range(100), 0)["images"] for step in range(num // 100)])
    shown, there = (Counter(image.numpy().tobytes() for image in images) for images in (drawn, task.data.train_images))
    assert len(drawn) > 1000 and shown <= there


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "vit", "model": {"patch_size": 3}}, "has to divide image_size 8"),
        ({"kind": "cnn", "model": {"width": (4,)}}, "unknown CNNConfig key 'width'; did you mean 'widths'"),
        ({"kind": "lenet"}, "kind"),
        ({"kind": "mlp", "model": {"widths": 32.0}}, "'widths' of an mlp has to be a list"),
        ({"kind": "mlp", "model": {"widths": None}}, "'widths' of an mlp has to be a list"),
    ],
)
def test_models_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ImageSettings(**settings)


@pytest.mark.parametrize(("dataset", "num_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_has_the_shape_of_its_models_and_standard_channels(monkeypatch, dataset, num_classes):
    draw = np.random.default_rng(0)
    splits = {"train": (draw.integers(0, 256, (40, 32, 32, 3), np.uint8), np.arange(40) % 10)}
    splits["test"] = (splits["train"][0][:8] // 2, np.arange(8))
    monkeypatch.setattr(f"shared.data.images.load_{dataset}", lambda split: splits[split])
    task = ImageTask(ImageSettings(dataset=dataset, kind="resnet", model={"widths": [8], "blocks": [1]}), {}, 4)
    images = task.data.train_images
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)
    first = splits["train"][0][5, 3, 7, 1] / 255  # row 3, column 7, green
    whole = splits["train"][0][..., 1] / 255
    assert images[5, 1, 3, 7].item() == pytest.approx((first - whole.mean()) / whole.std(), rel=1e-4)
    assert task.build(0)(task.batch(0, range(4), 0)["images"]).shape == (4, num_classes)
    assert set(task.evaluate(task.build(0).eval(), 0)) == {"val_loss", "val_accuracy"}

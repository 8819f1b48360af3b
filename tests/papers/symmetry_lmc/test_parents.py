"""Augmentation as plain loops have it, batches that depend on (seed, step, row) alone, and runs of parents."""

import torch

from papers.symmetry_lmc.parents import crop_and_flip, jitter, task_of
from papers.symmetry_lmc.settings import Parents

IMAGES = {"kind": "vit", "model": {"patch_size": 4, "d_model": 8, "num_layers": 1, "num_heads": 2}}


def parents(**settings) -> Parents:
    common = {"images": IMAGES, "batch_size": 12, "num_steps": 5, "num_models": 4}
    return Parents(**(common | {"optimizers": [{"optimizer": "adamw", "settings": {"lr": 1e-3}}]} | settings))


def test_crops_and_flips_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(0)
    images, draws = torch.randn(6, 2, 5, 5, generator=generator), torch.rand(6, 3, generator=generator)
    found = crop_and_flip(images, draws, 2)
    for image, (u, v, w), own in zip(images, draws, found, strict=True):
        padded = torch.nn.functional.pad(image, (2, 2, 2, 2))
        y, x = int(u * 5), int(v * 5)
        crop = padded[:, y : y + 5, x : x + 5]
        assert torch.equal(own, crop if w < 0.5 else crop.flip(-1))


def test_draws_in_the_middle_change_no_colour_and_contrast_keeps_the_mean():
    images = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(jitter(images, torch.full((3, 3), 0.5), 0.4), images, atol=1e-6)
    contrast = jitter(images, torch.tensor([[0.5, 0.9, 0.5]]).expand(3, -1), 0.4)
    assert torch.allclose(contrast.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-6)
    assert torch.allclose(contrast.std((1, 2, 3)), 1.32 * images.std((1, 2, 3)), rtol=1e-5)


def test_a_batch_is_a_function_of_seed_step_and_row():
    task = task_of(parents(noise=0.3, crop=1, jitter=0.2))
    whole, part = task.batch(3, range(12), 7)["images"], task.batch(3, range(4, 9), 7)["images"]
    assert torch.equal(whole[4:9], part)
    assert not torch.equal(whole, task.batch(4, range(12), 7)["images"])
    plain = task_of(parents()).batch(3, range(12), 7)["images"]
    noisy = task_of(parents(noise=0.3)).batch(3, range(12), 7)["images"]
    assert 0.25 < float((noisy - plain).std()) < 0.35


def test_parents_have_their_own_seeds_and_optimizers_in_turn():
    """Merging networks of different optimisers is what users of the method asked for."""
    two = [{"optimizer": "adamw", "settings": {"lr": 1e-3}}, {"optimizer": "sgd", "settings": {"lr": 0.1}}]
    runs = parents(optimizers=two).runs()
    assert [run.optimizer for run in runs] == ["adamw", "sgd", "adamw", "sgd"] and [r.seed for r in runs] == [
        0,
        1,
        2,
        3,
    ]


def test_weights_begin_normal_and_biases_zero():
    model = task_of(parents(init_std=0.02)).build(0)
    assert 0.01 < float(model.head.weight.detach().std()) < 0.03 and not model.patches.bias.any()
    other = task_of(parents(init_std=0.02)).build(1)
    assert not torch.equal(model.patches.weight, other.patches.weight)

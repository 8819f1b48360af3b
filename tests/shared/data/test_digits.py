"""The digits are split once, by class, and normalised with training statistics."""

import numpy as np
import pytest
import torch

from shared.data.digits import load_digits, split_indices


def test_each_class_has_a_fifth_of_its_images_held_out():
    digits = load_digits()
    train, test = (np.bincount(labels.numpy()) for labels in (digits.train_labels, digits.test_labels))
    assert (test == np.round(0.2 * (train + test))).all()
    assert train.sum() + test.sum() == 1797
    assert digits.train_images.shape[1:] == (1, 8, 8)
    assert digits.train_images.dtype == torch.float32


def test_no_image_is_on_both_sides_and_the_split_never_changes():
    labels = np.repeat(np.arange(10), 30)
    train, test = split_indices(labels)
    assert not set(train) & set(test)
    assert sorted([*train, *test]) == list(range(300))
    assert test.tolist()[:6] == [3, 4, 6, 8, 18, 19]  # frozen: a change moves every result on digits
    assert test.tolist()[-3:] == [279, 287, 291]


def test_normalisations_are_what_they_say():
    unit, standard = load_digits("unit"), load_digits("standard")
    assert unit.train_images.min() == 0.0
    assert unit.train_images.max() == 1.0
    assert standard.train_images.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert standard.train_images.std(correction=0).item() == pytest.approx(1.0, abs=1e-6)
    mean, std = unit.train_images.double().mean(), unit.train_images.double().std(correction=0)
    assert torch.allclose(standard.test_images, ((unit.test_images - mean) / std).float(), atol=1e-6)
    with pytest.raises(ValueError, match="unit or standard"):
        load_digits("none")

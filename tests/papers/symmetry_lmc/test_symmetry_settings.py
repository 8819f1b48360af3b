"""Settings that cannot be run are refused before anything is trained."""

import pytest
import torch

from shared.artifacts.config import config_module, load_config
from shared.models.vit import VisionTransformer


@pytest.fixture(scope="module")
def values() -> dict:
    return load_config("symmetry_lmc", "cpu").model_dump()


def put(values: dict, path: str, value: object) -> dict:
    """A copy with one value changed; keys of `path` are parted by dots."""
    first, _, rest = path.partition(".")
    return values | {first: put(values[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("studies.vit.parents.num_models", 8, "7 disjoint pairs"),
        ("merging.vit.num_triples", 5, "5 disjoint triples"),
        ("widths.gpt.num_pairs", 9, "9 pairs"),
        ("widths.gpt.sampler.high", 1.5, r"interval \[0\.2, 1\.5\]"),
        ("studies.gpt.alignment.shown_sweeps", (0, 20), "shown_sweeps go to 20"),
        ("studies.gpt.alignment.watch_steps", (0, 61), "watch_steps go to 61"),
    ],
)
def test_impossible_values_are_refused(values, path, value, message):
    config = config_module("symmetry_lmc").Config
    config(**values)
    with pytest.raises(ValueError, match=message):
        config(**put(values, path, value))


@pytest.mark.parametrize(("study", "size"), [("vit", 3_194_634), ("cifar100", 3_217_764), ("tiny", 9_647_432)])
def test_vision_transformers_at_paper_have_the_sizes_of_table_3(study, size):
    """By hand: d (patch + 1) + d positions, L (4 d^2 + 2 d h + 9 d + h), last norm, head."""
    images = load_config("symmetry_lmc", "paper").studies[study].parents.images
    with torch.device("meta"):
        model = VisionTransformer(images.model_config_for({}))
    d, h, layers, patch, positions, classes = {
        "vit": (256, 512, 6, 48, 64, 10), "cifar100": (256, 512, 6, 48, 64, 100), "tiny": (384, 768, 8, 192, 64, 200),
    }[study]  # fmt: skip
    by_hand = d * (patch + 1 + positions) + layers * (4 * d * d + 2 * d * h + 9 * d + h) + 2 * d + (d + 1) * classes
    assert model.num_params == by_hand == size

"""Settings that cannot be run are refused before anything is trained."""

import pytest

from shared.artifacts.config import config_module, load_config


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

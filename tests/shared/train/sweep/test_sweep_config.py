"""A sweep's description in YAML and its runs."""

import pytest
import yaml
from pydantic import ValidationError

from shared.train.sweep.config import SweepConfig, expand

TEN_LINES = """
batch_size: 16
seq_len: 32
num_tokens: 262144
seeds: 2
fixed: {clip_norm: 1.0}
blocks:
  - {optimizer: adam, grid: {lr: [3.0e-3, 1.0e-2], beta2: [0.95, 0.999]}}
  - {optimizer: sgd_ema, grid: {lr: [0.3, 1.0, 3.0], momentum: [0.0, 0.9]}}
"""


def sweep(**changed):
    return SweepConfig(**yaml.safe_load(TEN_LINES) | changed)


def test_runs_are_the_grid_times_the_seeds():
    runs = list(expand(sweep()))
    assert len(runs) == sweep().num_runs == (2 * 2 + 3 * 2) * 2
    assert runs[0].name == "adam lr=0.003 beta2=0.95 seed=0" and runs[1].name == "adam lr=0.003 beta2=0.95 seed=1"
    assert runs[0].settings == {"lr": 3e-3, "beta2": 0.95} and runs[0].clip_norm == 1.0
    assert {run.num_steps for run in runs} == {512}


def test_values_side_by_side_and_names_for_loss_and_model():
    block = {"optimizer": "adam", "together": {"beta1": [0.9, 0.95], "beta2": [0.9, 0.95]}, "grid": {"lr": [1e-2]}}
    block["fixed"] = {"loss.label_smoothing": 0.1, "model.d_model": 64, "clip_norm": 2.0}
    runs = list(expand(sweep(blocks=[block], seeds=[5])))
    assert [(r.settings["beta1"], r.settings["beta2"], r.seed) for r in runs] == [(0.9, 0.9, 5), (0.95, 0.95, 5)]
    assert runs[0].values == {"label_smoothing": 0.1} and runs[0].model == {"d_model": 64}
    assert runs[0].clip_norm == 2.0  # the block's goes before the sweep's


def test_equal_tokens_whatever_the_batch():
    block = {"optimizer": "adam", "grid": {"batch_size": [2, 16, 128], "lr": [1e-2]}}
    runs = list(expand(sweep(blocks=[block], seeds=1)))
    assert [(run.batch_size, run.num_steps) for run in runs] == [(2, 4096), (16, 512), (128, 64)]
    assert {run.num_tokens for run in runs} == {262144}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_steps": 5}, "exactly one of num_steps and num_tokens"),
        ({"num_tokens": None}, "exactly one of num_steps and num_tokens"),
        ({"epochs": 3}, "epochs"),
        ({"blocks": [{"optimizer": "adam", "grid": {"lr": []}}]}, "'lr' of the adam block has no values"),
        ({"blocks": [{"optimizer": "adam", "grid": {"lr": [0.1, 0.1]}}]}, "lists a value twice"),
        ({"blocks": [{"optimizer": "adam", "together": {"lr": [0.1], "eps": [1, 2]}}]}, "equally long"),
        ({"blocks": [{"optimizer": "adam", "grid": {"lr": [0.1]}, "fixed": {"lr": 1}}]}, "given in two places"),
        ({"blocks": []}, "'blocks' is an empty list"),
        ({"seeds": 0}, "a sweep needs a seed; got 0"),
        ({"blocks": [{"optimizer": "adam", "seeds": []}]}, "a sweep needs a seed"),
    ],
)
def test_bad_descriptions_are_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        sweep(**changed)


def test_overlapping_blocks_and_too_few_tokens_are_refused():
    block = {"optimizer": "adam", "grid": {"lr": [0.1]}}
    with pytest.raises(ValueError, match=r"two runs of the sweep are called 'adam lr=0.1 seed=0'"):
        list(expand(sweep(blocks=[block, block])))
    with pytest.raises(ValueError, match="fewer than one batch of 16 x 32"):
        list(expand(sweep(num_tokens=100)))
    with pytest.raises(ValueError, match=r"'adam lr=0.1 batch_size=0 seed=0' has batch size 0"):
        list(expand(sweep(blocks=[{"optimizer": "adam", "grid": {"lr": [0.1], "batch_size": [0]}}])))


def test_a_clip_norm_of_zero_is_none_and_what_a_block_says_goes_first():
    block = {"optimizer": "adam", "grid": {"lr": [0.1]}, "fixed": {"clip_norm": 0, "noise_scale": 0.5, "data_seed": 4}}
    (run,) = expand(sweep(blocks=[block], seeds=1))
    assert (run.clip_norm, run.noise_scale, run.data_seed, run.stream_seed) == (None, 0.5, 4, 4)

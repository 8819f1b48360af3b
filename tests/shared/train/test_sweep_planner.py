"""A sweep's runs, their packing into shards, the cost, and the command that prints it."""

import sys
import types

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from shared.optim.registry import RULES
from shared.train.sweep.__main__ import app, sweeps_of
from shared.train.sweep.config import SweepConfig, expand
from shared.train.sweep.planner import _BUFFERS, ModelCost, plan_sweep

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
COST = ModelCost(num_params=1000, flops_per_token=6000.0)


def sweep(**changed):
    return SweepConfig(**yaml.safe_load(TEN_LINES) | changed)


def test_runs_are_the_grid_times_the_seeds():
    runs = list(expand(sweep()))
    assert len(runs) == sweep().num_runs == (2 * 2 + 3 * 2) * 2
    assert runs[0].name == "adam lr=0.003 beta2=0.95 seed=0" and runs[1].name == "adam lr=0.003 beta2=0.95 seed=1"
    assert runs[0].settings == {"lr": 3e-3, "beta2": 0.95} and runs[0].member == {"clip_norm": 1.0}
    assert {run.num_steps for run in runs} == {512}


def test_values_side_by_side_and_names_for_loss_and_model():
    block = {"optimizer": "adam", "together": {"beta1": [0.9, 0.95], "beta2": [0.9, 0.95]}, "grid": {"lr": [1e-2]}}
    block["fixed"] = {"loss.label_smoothing": 0.1, "model.d_model": 64, "clip_norm": 2.0}
    runs = list(expand(sweep(blocks=[block], seeds=[5])))
    assert [(r.settings["beta1"], r.settings["beta2"], r.seed) for r in runs] == [(0.9, 0.9, 5), (0.95, 0.95, 5)]
    assert runs[0].values == {"label_smoothing": 0.1} and runs[0].model == {"d_model": 64}
    assert runs[0].member == {"clip_norm": 2.0}  # the block's goes before the sweep's


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
        ({"blocks": []}, "at least 1"),
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


def test_shards_hold_every_run_once_and_one_shape_each():
    grid = {"lr": [1e-3, 1e-2], "batch_size": [2, 16], "model.d_model": [32, 64]}
    plan = plan_sweep(sweep(blocks=[{"optimizer": "adam", "grid": grid}]), COST)
    assert len(plan.shards) == 4 and [shard.index for shard in plan.shards] == [0, 1, 2, 3]
    names = [run.name for shard in plan.shards for run in shard.runs]
    assert len(names) == len(set(names)) == plan.num_runs == 16
    assert all(len({run.shape for run in shard.runs}) == 1 for shard in plan.shards)


def test_members_of_one_optimiser_are_neighbours():
    plan = plan_sweep(sweep(), COST)
    order = [run.optimizer for run in plan.shards[0].runs]
    assert order == sorted(order) and len(plan.shards) == 1


def test_bounds_on_memory_members_and_workers():
    by_memory = plan_sweep(sweep(), COST, memory_bytes=6 * 4000 * 4)
    assert max(shard.memory_bytes for shard in by_memory.shards) <= 6 * 4000 * 4
    lengths = [len(shard.runs) for shard in by_memory.shards]
    assert len(lengths) == 4 and max(lengths) - min(lengths) <= 1
    assert all(len(shard.runs) <= 3 for shard in plan_sweep(sweep(), COST, max_members=3).shards)
    assert len(plan_sweep(sweep(), COST, min_shards=8).shards) == 8
    with pytest.raises(ValueError, match=r"alone needs 0.00 GB .* raise the bound"):
        plan_sweep(sweep(), COST, memory_bytes=100.0)


def test_cost_is_flops_per_token_times_tokens():
    plan = plan_sweep(sweep(), COST)
    assert plan.num_tokens == 20 * 262144
    assert plan.flops == pytest.approx(20 * 262144 * 6000.0)
    assert plan.hours(1e12) == pytest.approx(plan.flops / 3.6e15)


def test_longest_shards_come_first():
    grid = {"lr": [1e-3], "num_tokens": [1024, 262144, 65536]}
    plan = plan_sweep(sweep(blocks=[{"optimizer": "adam", "grid": grid}]), COST)
    assert [shard.runs[0].num_tokens for shard in plan.shards] == [262144, 65536, 1024]


def test_buffers_assumed_for_the_memory_are_those_of_the_rules():
    """The planner imports no torch, so it cannot ask the rules."""
    assert {name: _BUFFERS[name] for name in RULES if _BUFFERS[name] < len(RULES[name].vectors)} == {}


@pytest.fixture
def paper(monkeypatch):
    """A paper with one sweep, as modules that the command finds by name."""
    config = types.ModuleType("papers.toy_sweep.config")
    config.sweeps = lambda settings: {"lm": (sweep(), ModelCost(160_000_000, 1e9))}
    artifacts = types.ModuleType("shared.artifacts.config")
    artifacts.load_config = lambda slug, scale: {"slug": slug, "scale": scale}
    monkeypatch.setitem(sys.modules, "papers.toy_sweep.config", config)
    monkeypatch.setitem(sys.modules, "shared.artifacts.config", artifacts)
    return config


def test_command_prints_runs_shards_tokens_and_hours(paper):
    result = CliRunner().invoke(app, ["plan", "toy_sweep", "--scale", "paper", "--memory-gb", "100"])
    assert result.exit_code == 0, result.output
    row = next(line for line in result.output.splitlines() if line.split() and "lm" in line.split())
    assert "20" in row and "5.24e+06" in row and f"{20 * 262144 * 1e9 / 150e12 / 3600:.3g}" in row


def test_command_refuses_papers_without_sweeps(paper):
    del paper.sweeps
    result = CliRunner().invoke(app, ["plan", "toy_sweep"])
    assert result.exit_code == 1 and "has no function sweeps(config)" in result.output
    with pytest.raises(ValueError, match=r"there is no papers/nowhere/config.py"):
        sweeps_of("nowhere", "cpu")

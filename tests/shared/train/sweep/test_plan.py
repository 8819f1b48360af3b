"""What a sweep costs, and the command that prints it: the very jobs of the workflow."""

import sys
import types

import pytest
from typer.testing import CliRunner

from shared.artifacts.config import PaperConfig
from shared.optim.registry import RULES
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.sweep.__main__ import app, sweeps_of
from shared.train.sweep.config import SweepConfig
from shared.train.sweep.cost import _BUFFERS, ModelCost, job_bytes, job_flops
from shared.train.sweep.packing import sweep_shards

SWEEP = SweepConfig(
    batch_size=16, seq_len=32, num_tokens=262144, seeds=2, blocks=[{"optimizer": "adam", "grid": {"lr": [1e-3, 1e-2]}}]
)
SETTINGS = LanguageSettings(
    seq_len=32, backbone={"d_model": 8, "num_layers": 1, "num_heads": 2}, validation_windows=128
)


def test_cost_is_flops_per_token_times_tokens_and_memory_that_of_all_members():
    (shard,) = sweep_shards(LanguageShard, SETTINGS, SWEEP, name="main").values()
    cost = ModelCost(num_params=1000, flops_per_token=6000.0, activation_bytes_per_row=10.0)
    assert job_flops(shard.runs, cost) == 4 * 262144 * 6000.0
    assert job_bytes(shard.runs, cost) == 4 * (1000 * 4 * 4 + 160)  # parameters, gradients, two buffers of Adam


def test_buffers_assumed_for_the_memory_are_those_of_the_rules():
    """The plan imports no torch, so it cannot ask the rules."""
    assert {name: _BUFFERS[name] for name in RULES if _BUFFERS[name] < len(RULES[name].vectors)} == {}


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """A paper whose step `train` has one sweep in jobs of two runs."""
    config = types.ModuleType("papers.toy_sweep.config")
    config.Config, config.STEPS = PaperConfig, {}
    config.shards = lambda settings: {
        "train": sweep_shards(LanguageShard, SETTINGS, SWEEP, name="main", max_members=4),
        "watch": sweep_shards(LanguageShard, SETTINGS, SWEEP, name="main", max_members=1),
        "other": {"data": SETTINGS},
    }
    monkeypatch.setattr("shared.artifacts.config.load_config", lambda slug, scale, root=None: None)
    monkeypatch.setitem(sys.modules, "papers.toy_sweep.config", config)
    return config


def test_the_plan_counts_the_jobs_of_the_workflow(paper):
    found = sweeps_of("toy_sweep", "cpu")
    assert {key: [len(shard.runs) for shard in shards] for key, shards in found.items()} == {
        ("train", "main"): [4],
        ("watch", "main"): [1, 1, 1, 1],
    }
    assert found["train", "main"] == list(paper.shards(None)["train"].values())


def test_command_prints_runs_jobs_tokens_and_hours(paper):
    result = CliRunner().invoke(app, ["plan", "toy_sweep", "--scale", "paper", "--tflops", "0.001"])
    assert result.exit_code == 0, result.output
    (row,) = (line.split() for line in result.output.splitlines() if "watch" in line)
    cells = [cell for cell in row if cell != "│"]
    hours = 4 * 262144 * SETTINGS.model_cost({}).flops_per_token / 1e9 / 3600
    assert cells[:4] == ["watch", "main", "4", "4"] and cells[-1] == f"{hours:.3g}"


def test_command_refuses_papers_without_sweeps_in_a_sentence(paper):
    paper.shards = lambda settings: {"other": {"data": SETTINGS}}
    result = CliRunner().invoke(app, ["plan", "toy_sweep"])
    assert result.exit_code == 1 and "cuts no sweep into shards" in result.output


def test_an_unknown_paper_is_refused_with_the_nearest_name():
    result = CliRunner().invoke(app, ["plan", "optimiser_gap"])
    assert result.exit_code == 1 and "did you mean 'optimizer_gap'?" in result.output


def test_a_paper_s_plan_names_every_sweep():
    found = sweeps_of("optimizer_gap", "paper")
    assert [sweep for _, sweep in found] == ["main", "no_clip", "interventions", "steps", "probe"]
    assert found["train", "main"][0].model_cost({}).num_params == pytest.approx(160e6, rel=0.05)

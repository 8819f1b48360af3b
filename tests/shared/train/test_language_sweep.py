"""Sweeps of language models: shards, widened grids, and that a member of a job is a run of its own."""

import math

import pandas as pd
import pytest
import torch

from shared.data.config import TextConfig, TokenizerConfig
from shared.train.language.config import LanguageSettings, LanguageShard, language_shards, model_cost, widened
from shared.train.language.running import beyond_the_edges, columns_of, train_alone, train_language_shard
from shared.train.language.task import LanguageTask
from shared.train.sweep.config import SweepConfig, expand

BACKBONE = {"d_model": 8, "num_layers": 1, "num_heads": 2, "mlp": "swiglu", "mlp_ratio": 2, "init_std": 0.02}
BYTES = TextConfig(tokenizer=TokenizerConfig(kind="byte", num_ordinary=256))


def settings(**changes) -> LanguageSettings:
    base = {
        "text": BYTES,
        "seq_len": 8,
        "backbone": BACKBONE,
        "validation_windows": 8,
        "validation_rows": 4,
        "stack": 2,
    }
    return LanguageSettings(**base | changes)


def sweep(**changes) -> SweepConfig:
    base = {
        "batch_size": 2,
        "seq_len": 8,
        "num_steps": 6,
        "seeds": 2,
        "fixed": {"clip_norm": 1.0},
        "blocks": [
            {"optimizer": "adam", "grid": {"beta2": [0.9, 0.99], "lr": [1e-3, 4e-3]}, "fixed": {"weight_decay": 0.1}}
        ],
    }
    return SweepConfig(**base | changes)


def test_learning_rates_and_seeds_of_a_cell_stay_in_one_job():
    shards = language_shards(settings(), sweep(), max_members=4)
    assert [len(shard.runs) for shard in shards.values()] == [4, 4]
    for shard in shards.values():
        assert len({run.settings["beta2"] for run in shard.runs}) == 1
    assert sum(len(s.runs) for s in language_shards(settings(), sweep(), max_members=1).values()) == 8


def test_a_cell_larger_than_a_job_is_refused():
    with pytest.raises(ValueError, match="4 learning rates and seeds"):
        language_shards(settings(), sweep(), max_members=3)


def test_extensions_need_the_whole_cell_in_one_job():
    with pytest.raises(ValueError, match="extensions need all learning rates"):
        language_shards(settings(extensions=1), sweep(), max_members=1)


def test_batch_sizes_have_jobs_of_their_own_with_equal_tokens():
    many = sweep(
        num_steps=None, num_tokens=64, blocks=[{"optimizer": "sgd", "grid": {"lr": [0.1, 1.0], "batch_size": [1, 4]}}]
    )
    shards = language_shards(settings(), many)
    assert sorted(shards) == ["sweep-b1-00", "sweep-b4-00"]
    assert {run.num_tokens for shard in shards.values() for run in shard.runs} == {64}


def test_shards_survive_the_way_through_json():
    for shard in language_shards(settings(), sweep()).values():
        assert LanguageShard.model_validate_json(shard.model_dump_json()) == shard


def test_a_grid_is_widened_at_its_own_ratio_for_every_seed():
    runs = [run for run in expand(sweep()) if run.settings["beta2"] == 0.9]
    up, down = widened(runs, low=False), widened(runs, low=True)
    assert [(r.settings["lr"], r.seed) for r in up] == [(0.016, 0), (0.016, 1)]
    assert [r.settings["lr"] for r in down] == [0.00025, 0.00025]
    assert up[0].name == "adam beta2=0.9 lr=0.016 seed=0"


def test_only_cells_whose_best_is_at_an_edge_are_widened():
    runs = list(expand(sweep(blocks=[{"optimizer": "sgd", "grid": {"momentum": [0.0, 0.9], "lr": [0.1, 1.0, 10.0]}}])))
    losses = {0.0: {0.1: 3.0, 1.0: 2.0, 10.0: 4.0}, 0.9: {0.1: 3.0, 1.0: 2.0, 10.0: 1.0}}
    rows = [
        {
            "run": r.name,
            "phase": "eval",
            "diverged": False,
            "val_loss": losses[r.settings["momentum"]][r.settings["lr"]],
        }
        for r in runs
    ]
    added = beyond_the_edges(runs, pd.DataFrame(rows))
    assert {(r.settings["momentum"], r.settings["lr"]) for r in added} == {(0.9, 100.0)}
    diverging = pd.DataFrame(rows)
    diverging.loc[[r["run"].startswith("sgd momentum=0.9 lr=10 ") for r in rows], "diverged"] = True
    assert beyond_the_edges(runs, diverging) == []


@pytest.mark.parametrize("min_lr", [None, 9e-4])
def test_a_member_of_a_job_is_a_run_of_the_training_loop(min_lr):
    shard = language_shards(settings(min_lr=min_lr), sweep())["sweep-00"]
    table = train_language_shard(shard, progress=False).table
    run = shard.runs[7]  # its peak is not the training block's default
    task = LanguageTask(shard, {}, run.batch_size)
    alone = train_alone(task, shard, run, None, "alone", False, device="cpu").table
    ours = table[table.run == run.name]
    assert len(alone) == len(ours) and set(columns_of(run)) <= set(table)
    for phase, metric in (("train", "loss"), ("eval", "val_loss")):
        pair = [t[t.phase == phase][metric].to_numpy() for t in (alone, ours)]
        assert pair[0] == pytest.approx(pair[1], abs=2e-5)  # float32 in another order of sums


def test_a_job_with_an_edge_trains_more_runs_and_says_which(tmp_path):
    low = sweep(blocks=[{"optimizer": "adam", "grid": {"lr": [1e-5, 1e-4]}}], seeds=1)
    shard = language_shards(settings(extensions=2), low)["sweep-00"]
    first = train_language_shard(shard, checkpoint_dir=tmp_path, progress=False).table
    final = first[first.phase == "eval"]
    assert final.lr.tolist() == [1e-5, 1e-4, 1e-3, 1e-2] and final.extension.tolist() == [0, 0, 1, 2]
    again = train_language_shard(shard, checkpoint_dir=tmp_path, progress=False).table
    pd.testing.assert_frame_equal(first, again)


def test_the_cost_counts_the_parameters_of_the_model():
    task = LanguageTask(settings(), {}, 2)
    assert model_cost(settings()).num_params == sum(p.numel() for p in task.build(0).parameters())


def test_the_first_loss_is_that_of_a_uniform_guess():
    task = LanguageTask(settings(), {}, 2)
    loss = task.loss(task.build(0), task.batch(0, range(2), 0), {})
    assert torch.isclose(loss, torch.tensor(math.log(256)), atol=0.05)  # logits are of the order of the init, 0.02


def test_unequal_validation_passes_are_refused():
    with pytest.raises(ValueError, match="not a multiple"):
        settings(validation_windows=6)

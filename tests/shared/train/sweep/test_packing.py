"""Sweeps cut into jobs: whole cells, one shape each, names that tell them apart."""

import pytest

from shared.train.images.config import ImageSettings, ImageShard
from shared.train.sweep.config import SweepConfig, expand
from shared.train.sweep.packing import cells_of, sweep_shards


def sweep(**changes) -> SweepConfig:
    blocks = [{"optimizer": "adam", "grid": {"beta2": [0.9, 0.99], "lr": [1e-3, 4e-3]}}]
    return SweepConfig(**{"batch_size": 2, "num_steps": 6, "seeds": 2, "blocks": blocks, **changes})


def cut(changes=None, *, max_members=64, **settings) -> dict[str, ImageShard]:
    return sweep_shards(
        ImageShard, ImageSettings(**settings), sweep(**(changes or {})), name="sweep", max_members=max_members
    )


def test_learning_rates_and_seeds_of_a_cell_stay_in_one_job():
    shards = cut(max_members=4)
    assert {name: len(shard.runs) for name, shard in shards.items()} == {"sweep-00": 4, "sweep-01": 4}
    assert all(len({run.settings["beta2"] for run in shard.runs}) == 1 for shard in shards.values())
    assert sum(len(shard.runs) for shard in cut(max_members=1).values()) == 8


def test_every_hyperparameter_that_may_be_widened_stays_whole():
    (shard,) = cut(widen=("lr", "beta2"), max_members=8).values()
    assert len(shard.runs) == 8 and len(cells_of(shard.runs, shard.widen)) == 1
    with pytest.raises(ValueError, match="one cell has 8 runs"):
        cut(widen=("lr", "beta2"), max_members=4)


def test_a_cell_larger_than_a_job_is_refused():
    with pytest.raises(ValueError, match=r"one cell has 4 runs .* a job may have 3; raise max_members"):
        cut(max_members=3)


def test_extensions_need_the_whole_cell_in_one_job():
    with pytest.raises(ValueError, match="extensions need all values of a grid"):
        cut(extensions=1, max_members=1)


def test_a_hyperparameter_to_widen_that_no_run_has_is_refused():
    with pytest.raises(ValueError, match="hyperparameter 'beta_2' to widen; did you mean 'beta2'"):
        cut(extensions=1, widen=("lr", "beta_2"))


def test_batch_sizes_have_jobs_of_their_own():
    shards = cut({"blocks": [{"optimizer": "sgd", "grid": {"lr": [0.1, 1.0], "batch_size": [1, 4]}}]})
    assert {name: shard.runs[0].batch_size for name, shard in shards.items()} == {"sweep-b1-00": 1, "sweep-b4-00": 4}


def test_shapes_of_one_batch_size_do_not_take_each_others_names():
    blocks = [
        {"optimizer": "sgd", "grid": {"lr": [0.1, 1.0], "num_steps": [3, 6], "model.activation": ["relu", "tanh"]}}
    ]
    shards = cut({"blocks": blocks})
    assert list(shards) == [f"sweep-b2-{i:02d}" for i in range(4)]
    names = [run.name for shard in shards.values() for run in shard.runs]
    assert sorted(names) == sorted(run.name for run in expand(sweep(blocks=blocks)))
    assert all(len({run.shape for run in shard.runs}) == 1 for shard in shards.values())


def test_shards_survive_the_way_through_json():
    for shard in cut({"fixed": {"clip_norm": 0}}, max_members=4).values():
        assert ImageShard.model_validate_json(shard.model_dump_json()) == shard

"""Sweeps cut into jobs: whole cells, one shape each, names that tell them apart."""

import pytest

from shared.optim.ranges import known_ranges
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


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"optimizer": "adaam", "grid": {"lr": [1.0]}}, "unknown optimiser 'adaam'; did you mean 'adam'"),
        ({"optimizer": "adam", "grid": {"lr": [1.0], "beta_2": [0.9]}}, "unknown hyperparameter 'beta_2' .* 'beta2'"),
        ({"optimizer": "adam", "grid": {"beta2": [0.9]}}, "needs a value for 'lr' in"),
        ({"optimizer": "adam", "grid": {"lr": [-1.0]}}, r"lr of optimiser 'adam' must be a number in \(0, inf\)"),
        ({"optimizer": "adam", "grid": {"lr": [float("nan")]}}, "lr"),
        ({"optimizer": "adam", "grid": {"lr": [True]}}, "lr of optimiser 'adam' must be a number in .*; got True"),
        ({"optimizer": "adam", "grid": {"lr": ["small"]}}, "lr of optimiser 'adam' must be a number in .*'small'"),
        ({"optimizer": "adam", "grid": {"lr": [1e-3], "beta1": [1.0]}}, r"beta1 .* in \[0, 1\); got 1.0"),
    ],
)
def test_what_no_job_could_start_with_is_refused_when_the_sweep_is_cut(block, sentence):
    with pytest.raises(ValueError, match=sentence):
        cut({"blocks": [block]})


def test_a_floor_above_a_learning_rate_is_refused_when_the_sweep_is_cut():
    with pytest.raises(ValueError, match=r"run 'adam beta2=0.9 .*' of sweep 'sweep': min_lr 0.002 is above"):
        cut(min_lr=2e-3)


def test_the_ranges_that_planning_knows_are_those_of_the_rules():
    from shared.optim.registry import RULES

    assert known_ranges() == {name: dict(rule.hyper) for name, rule in RULES.items()}


def test_a_rule_of_the_papers_own_is_left_to_its_job():
    class Own(ImageShard):
        own_rules = ("my_rule",)

    block = {"optimizer": "my_rule", "grid": {"lr": [1.0], "anything": [2.0]}}
    assert len(sweep_shards(Own, ImageSettings(), sweep(blocks=[block]), name="sweep")) == 1
    with pytest.raises(ValueError, match="unknown optimiser 'my_rule'"):
        cut({"blocks": [block]})

"""Equal tokens, one job per batch size, known names, costs that can be planned."""

import pytest

from papers.optimizer_gap.config import Config, shards
from shared.artifacts.config import load_config
from shared.artifacts.paths import SCALES
from shared.base.paths import repo_root
from shared.base.settings import load_yaml, merge
from shared.train.sweep.config import expand


@pytest.mark.parametrize("scale", SCALES)
def test_runs_of_a_sweep_see_equal_tokens_whatever_the_batch(scale):
    """Up to one step, where the batch does not divide the tokens."""
    config = load_config("optimizer_gap", scale)
    for name in ("main", "no_clip", "interventions"):
        sweep = getattr(config.language.sweeps, name)
        for run in expand(sweep):
            assert 0 <= sweep.num_tokens - run.num_tokens < run.batch_size * run.seq_len, run.name


def test_tokens_are_equal_exactly_at_cpu():
    config = load_config("optimizer_gap", "cpu")
    assert {run.num_tokens for run in expand(config.language.sweeps.main)} == {262144}
    assert {run.batch_size: run.num_steps for run in expand(config.language.sweeps.main)} == {2: 4096, 16: 512, 128: 64}


def test_all_jobs_are_evaluated_on_the_same_windows():
    jobs = shards(load_config("optimizer_gap", "cpu"))["train"].values()
    assert len({(job.validation_windows, job.train_windows, job.num_groups, job.seq_len) for job in jobs}) == 1


def test_interventions_and_steps_are_at_the_batch_sizes_of_the_main_sweep():
    for scale in SCALES:
        found = load_config("optimizer_gap", scale).language.sweeps
        main = {run.batch_size for run in expand(found.main)}
        assert {run.batch_size for run in expand(found.interventions)} == {max(main)}
        assert {run.batch_size for run in expand(found.steps)} <= main
        for sweep, norm in ((found.main, 1.0), (found.no_clip, None)):
            assert {run.clip_norm for run in expand(sweep)} == {norm}


def test_every_rule_that_a_run_names_exists():
    from papers.optimizer_gap import task  # noqa: F401  (registers the paper's own)
    from shared.train.rules import hyperparameters

    for scale in SCALES:
        for _, sweep in load_config("optimizer_gap", scale).language.sweeps:
            for run in expand(sweep):
                hyperparameters(run)  # raises on an unknown rule, hyperparameter or value


def test_small_batches_are_stacked_and_large_ones_are_not():
    jobs = shards(load_config("optimizer_gap", "cpu"))["train"]
    assert jobs["main-b2-00"].stack > len(jobs["main-b2-00"].runs) > 12
    assert jobs["main-b128-00"].stack == 1


def test_windows_that_do_not_fill_their_passes_are_refused():
    path = repo_root() / "papers" / "optimizer_gap" / "config.yaml"
    values = merge(load_yaml(path)["base"], {"language": {"settings": {"train_windows": 100}}})
    with pytest.raises(ValueError, match="train_windows 100"):
        Config.model_validate(values)


def test_a_run_of_fewer_tokens_than_a_batch_is_refused():
    sweep = load_config("optimizer_gap", "cpu").language.sweeps.main
    with pytest.raises(ValueError, match="fewer than one batch"):
        list(expand(sweep.model_copy(update={"num_tokens": 100})))

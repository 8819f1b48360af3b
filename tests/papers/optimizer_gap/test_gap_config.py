"""Equal tokens, one job per batch size, known names, costs that can be planned."""

import re
from collections import Counter

import pandas as pd
import pytest

from papers.optimizer_gap.comparing import METHODS, of_method
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
    main = load_config("optimizer_gap", "cpu").language.sweeps.main
    assert {run.num_tokens for run in expand(main)} == {65536} and {run.seed for run in expand(main)} == {0, 1, 2}
    steps = {2: 1024, 4: 512, 8: 256, 16: 128, 32: 64, 64: 32}
    assert {run.batch_size: run.num_steps for run in expand(main)} == steps


@pytest.mark.parametrize("scale", SCALES)
def test_every_method_gets_the_same_number_of_settings(scale):
    """At each batch size; `Adam, beta2 tuned` shares the line beta2 = 0.95 with Adam."""
    sweeps = load_config("optimizer_gap", scale).language.sweeps
    settings = {(run.batch_size, run.optimizer, *sorted(run.settings.items())) for run in expand(sweeps.main)}
    main = pd.DataFrame([{"batch_size": b, "optimizer": o, **dict(found)} for b, o, *found in settings])
    sizes = {method: len(own) for method in METHODS for _, own in of_method(filled(main), method).groupby("batch_size")}
    tried = {
        (run.optimizer, run.settings.get("clip_share"), run.name.rpartition(" ")[0])
        for run in expand(sweeps.interventions)
    }
    counts = set(Counter(key[:2] for key in tried).values()) | set(sizes.values())
    no_clip = Counter(run.batch_size for run in expand(sweeps.no_clip) if run.seed == 0)
    if scale != "smoke":
        assert len(counts | set(no_clip.values())) == 1
    else:
        assert counts == {4}


def filled(main):
    """With Adam's defaults where a block does not name them."""
    adam = main.optimizer == "adam"
    for name, value in (("beta1", 0.9), ("beta2", 0.95)):
        main = main.assign(**{name: main[name].mask(adam & main[name].isna(), value)})
    return main


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


def test_a_call_holds_as_many_rows_whatever_the_batch():
    jobs = shards(load_config("optimizer_gap", "cpu"))["train"]
    assert {name: jobs[name].stack for name in ("main-b2-00", "main-b64-00")} == {"main-b2-00": 256, "main-b64-00": 8}


def test_settings_of_the_problems_are_refused_in_a_sentence():
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    for change, said in (
        ({"quadratics": {"landscapes": ["hot"]}}, "unknown landscape 'hot'; did you mean 'hom'"),
        ({"quadratics": {"batch_sizes": [0]}}, "greater than or equal to 1"),
        ({"quadratics": {"num_samples": [100]}}, "100 samples are no whole number of batches of 16"),
        ({"sde": {"weak": {"etas": [0.0]}}}, "greater than 0"),
        ({"sde": {"weak": {"etas": [0.3]}}}, "eta 0.3 does not divide the time 1; the last update would end at 0.9"),
        ({"sde": {"decay": {"noise_eta": 0.3}}}, "eta 0.3 does not divide the time 4"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            Config.model_validate(merge(base, change))


def test_optimisers_with_unequal_grids_on_the_quadratics_are_refused():
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    grids = [dict(grid) for grid in base["quadratics"]["grids"]]
    grids[1]["momentum"] = [0.9]
    with pytest.raises(ValueError, match="same number of settings"):
        Config.model_validate(merge(base, {"quadratics": {"grids": grids}}))


def test_windows_that_do_not_fill_their_passes_are_refused():
    path = repo_root() / "papers" / "optimizer_gap" / "config.yaml"
    values = merge(load_yaml(path)["base"], {"language": {"settings": {"train_windows": 100}}})
    with pytest.raises(ValueError, match="train_windows 100"):
        Config.model_validate(values)


def test_a_run_of_fewer_tokens_than_a_batch_is_refused():
    sweep = load_config("optimizer_gap", "cpu").language.sweeps.main
    with pytest.raises(ValueError, match="fewer than one batch"):
        list(expand(sweep.model_copy(update={"num_tokens": 100})))

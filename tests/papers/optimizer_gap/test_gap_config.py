"""Equal tokens, one job per batch size, known names, costs that can be planned."""

import re
from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest

from papers.optimizer_gap.comparing import METHODS, PAIR, at_best, of_method
from papers.optimizer_gap.config import Config, shards
from shared.artifacts.config import load_config
from shared.artifacts.paths import SCALES
from shared.artifacts.workflow import StepRule
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


def test_momentum_and_both_betas_are_tuned_by_one_rule_at_cpu():
    """Six values each (five at equal updates), three rates each, a factor of 2 apart, and only the rate goes on."""
    config, momenta = load_config("optimizer_gap", "cpu"), (0.0, 0.5, 0.75, 0.9, 0.95)
    sweeps = config.language.sweeps
    for sweep, methods, shared in ((sweeps.main, METHODS, (*momenta, 0.98)), (sweeps.steps, PAIR, momenta)):
        found = filled(pd.DataFrame([{**run.settings, **vars(run)} for run in expand(sweep)]))
        for method, (_, _, second) in methods.items():
            for (size, value), own in of_method(found, method).groupby(["batch_size", second]):
                lrs = sorted(own.lr.unique())
                assert len(lrs) == 3 and lrs[1] / lrs[0] == lrs[2] / lrs[1] == 2, (method, size, value)
            values = of_method(found, method).groupby("batch_size")[second].unique()
            assert set(values.map(len)) == {len(shared)}
            if method in PAIR:  # one list, at every batch size
                assert {tuple(sorted(own)) for own in values} == {shared}
    assert {job.widen for job in shards(config)["train"].values()} == {("lr",)}


@pytest.mark.parametrize("scale", SCALES)
def test_at_equal_updates_momentum_and_beta1_are_tuned_with_one_budget(scale):
    runs = expand(load_config("optimizer_gap", scale).language.sweeps.steps)
    tried = pd.DataFrame([{**run.settings, **vars(run)} for run in runs])
    tried = tried.assign(second=tried.momentum.fillna(tried.beta1))
    counts = tried.groupby(["batch_size", "optimizer"])[["second", "seed"]].nunique()
    assert len(counts.drop_duplicates()) == 1 and counts.second.min() > 1
    assert tried.groupby(["batch_size", "optimizer"]).size().nunique() == 1
    assert scale == "paper" or counts.seed.min() >= (2 if scale == "smoke" else 3)


def filled(main):
    """With Adam's defaults where a block does not name them."""
    adam = main.optimizer == "adam"
    for name, value in (("beta1", 0.9), ("beta2", 0.95)):
        main = main.assign(**{name: main[name].mask(adam & main[name].isna(), value)})
    return main


def test_what_is_judged_is_of_twelve_seeds_that_did_not_choose():
    jobs = shards(load_config("optimizer_gap", "cpu"))
    for name, job in jobs["train"].items():
        assert len(job.fresh_seeds) == (0 if job.sweep == "no_clip" else 12), name
        assert not set(job.fresh_seeds) & {run.seed for run in job.runs}, name
    assert all(not job.fresh_seeds for job in jobs["probe"].values())


def test_fresh_seeds_need_all_runs_of_a_batch_size_in_one_job():
    config = load_config("optimizer_gap", "cpu")
    split = config.model_copy(update={"language": config.language.model_copy(update={"max_members": 30})})
    with pytest.raises(ValueError, match="one job; raise max_members"):
        shards(split)


def logged(job):
    """Rows of the runs of a job as if trained: the loss falls with the learning rate and with momentum or beta."""
    from shared.train.rules import columns_of

    rows = [columns_of(run) | {"step": 1, "phase": "eval", "diverged": False} for run in job.runs]
    table = pd.DataFrame(rows)
    averaging = sum(table[name].fillna(0) for name in ("momentum", "beta1", "beta2", "beta") if name in table)
    return table.assign(val_loss=9 - table.lr / 100 - averaging)


def test_the_best_settings_are_trained_on_fresh_seeds_under_their_own_names():
    from papers.optimizer_gap.train import on_fresh_seeds

    jobs = shards(load_config("optimizer_gap", "cpu"))["train"]
    for name, number in (("main-b8-00", 5), ("steps-b4-00", 2), ("interventions-00", 4)):
        job = jobs[name]
        runs = on_fresh_seeds(job, logged(job).assign(fresh=False))
        assert len(runs) == 12 * number and {run.seed for run in runs} == set(range(3, 15)), name
        known = {run.name.rpartition(" ")[0]: run.settings for run in job.runs}
        for run in runs:
            assert known[run.name.rpartition(" ")[0]] == run.settings and run.name.endswith(f"seed={run.seed}")
            assert (run.num_steps, run.clip_norm) == (job.runs[0].num_steps, 1.0)
    with pytest.raises(ValueError, match="seed 2 chooses"):
        on_fresh_seeds(job.model_copy(update={"fresh_seeds": (2,), "runs": jobs["main-b8-00"].runs}), logged(job))


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_watched_is_chosen_by_the_main_sweep_where_one_job_tries_all_settings(scale):
    jobs = shards(load_config("optimizer_gap", scale))
    for job in jobs["probe"].values():
        sizes, main = {run.batch_size for run in job.runs}, jobs["train"].get(job.main_shard)
        assert len(sizes) == 1 and sorted({run.optimizer for run in job.runs}) == ["adam", "sgd_ema"]
        assert all("lr" in run.settings for run in job.runs) == (main is None) == (scale == "paper")
        if main is not None:
            assert main.sweep == "main" and {run.batch_size for run in main.runs} == sizes
            assert not {run.seed for run in job.runs} & {run.seed for run in main.runs}
            assert {(run.num_steps, run.clip_norm) for run in job.runs} == {(main.runs[0].num_steps, 1.0)}
            record = f"results/{scale}/runs/train/{job.main_shard}.parquet"
            rule = StepRule("optimizer_gap", "probe", scale)
            assert record in rule.inputs(SimpleNamespace(shard=f"probe-b{sizes.pop()}"))["main"]


def test_a_probe_is_at_the_best_setting_of_the_seeds_that_choose():
    jobs = shards(load_config("optimizer_gap", "cpu"))
    job = jobs["probe"]["probe-b16"]
    table = logged(jobs["train"][job.main_shard]).assign(fresh=False)
    worth = {"sgd_ema": (8.0, 0.75, "momentum"), "adam": (3.2e-2, 0.5, "beta1")}
    for rule, (lr, value, second) in worth.items():
        at = (table.optimizer == rule) & (table.lr == lr) & (table[second] == value)
        table.loc[at & (table.beta2.isna() | (table.beta2 == 0.95)), "val_loss"] = 1.0
    table.loc[table.beta2 == 0.999, "val_loss"] = 0.0  # of the other column of Adam
    lucky = table[table.lr == 4.0].assign(val_loss=-1.0, fresh=True, seed=3)  # of seeds that do not choose
    runs = at_best(job.runs, pd.concat([table, lucky.assign(run="lucky " + lucky.run)]))
    assert [(run.name, run.seed, run.batch_size) for run in runs] == [
        (run.name, run.seed, run.batch_size) for run in job.runs
    ]
    for run in runs:
        lr, value, second = worth[run.optimizer]
        assert run.settings == {"lr": lr, second: value} | ({"beta2": 0.95} if second == "beta1" else {})


def test_a_learning_rate_of_a_probe_that_nothing_reads_or_that_is_missing_is_refused():
    for scale, change, said in (
        ("cpu", {"lr": 1.0}, "among the probes is read from 'main-b2-00'; leave it out"),
        ("paper", {}, "among the probes is chosen by no one job; give it"),
    ):
        config = load_config("optimizer_gap", scale)
        block = config.probes.sweep.blocks[0].model_copy(update={"fixed": change})
        sweep = config.probes.sweep.model_copy(update={"blocks": (block,)})
        probes = config.probes.model_copy(update={"sweep": sweep})
        with pytest.raises(ValueError, match=said):
            shards(config.model_copy(update={"probes": probes}))


@pytest.mark.parametrize("scale", ["smoke", "cpu"])
def test_the_reference_has_its_probes_at_the_settings_of_its_best_table(scale):
    tables = repo_root() / "papers" / "optimizer_gap" / "reference" / scale / "tables"
    keys = ["batch_size", "optimizer"]
    best = pd.read_csv(tables / "tab_best.csv").rename(columns={"method": "optimizer"})
    probed = pd.read_csv(tables / "tab_taylor.csv")
    both = probed.merge(best, on=keys, suffixes=("", "_best"))
    assert len(both) == len(probed) > 0
    for name in ("lr", "momentum", "beta1"):
        pd.testing.assert_series_equal(both[name], both[f"{name}_best"], check_names=False)


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
    assert {name: jobs[name].stack for name in ("main-b2-00", "main-b64-00")} == {"main-b2-00": 64, "main-b64-00": 2}


QUADRATIC = {"label": "sgd", "optimizer": "sgd_ema", "lrs": [0.1], "momentum": [0.9]}


def test_settings_of_the_problems_are_refused_in_a_sentence():
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    for change, said in (
        ({"quadratics": {"landscapes": ["hot"]}}, "unknown landscape 'hot'; did you mean 'hom'"),
        ({"quadratics": {"batch_sizes": [0]}}, "greater than or equal to 1"),
        ({"quadratics": {"num_samples": [100]}}, "100 samples are no whole number of batches of 16"),
        ({"sde": {"weak": {"etas": [0.0]}}}, "greater than 0"),
        ({"sde": {"weak": {"etas": [0.3]}}}, "eta 0.3 does not divide the time 1; the last update would end at 0.9"),
        ({"sde": {"decay": {"noise_eta": 0.3}}}, "eta 0.3 does not divide the time 4"),
        ({"sde": {"weak": {"etas": [0.2, 0.1]}}}, "over learning rates up to 0.05; give two or more"),
        ({"sde": {"stationary": {"batch_sizes": [4]}}}, "at least 2 items"),
        ({"sde": {"stationary": {"eta": 2.5}}}, "less than 2"),
        ({"quadratics": {"row_batch_sizes": [10]}}, "less than or equal to 9"),
        ({"quadratics": {"draws": [1, 1]}}, "1 is listed twice"),
        ({"quadratics": {"sigmas": [10.0]}}, "sigmas lacks 100.0, which the claims look at"),
        ({"quadratics": {"batch_sizes": [16, 32]}}, "batch_sizes lacks 256, which the claims look at"),
        ({"quadratics": {"grids": [QUADRATIC | {"optimizer": "rmsprop"}]}}, "got sgd: rmsprop"),
        ({"quadratics": {"grids": [QUADRATIC]}}, "SGD is compared with Adam"),
        ({"quadratics": {"grids": [QUADRATIC | {"lrs": [0.1, 0.1]}]}}, "0.1 is listed twice"),
        ({"probes": {"plan": {"taylor_scales": [1.0]}}}, "at least 2 items"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            Config.model_validate(merge(base, change))


def test_optimisers_with_unequal_grids_on_the_quadratics_are_refused():
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    grids = [dict(grid) for grid in base["quadratics"]["grids"]]
    grids[1]["momentum"] = [0.9]
    with pytest.raises(ValueError, match="same number of settings"):
        Config.model_validate(merge(base, {"quadratics": {"grids": grids}}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": {"fresh_seeds": [1, 5]}}, "seed 1 chooses the settings and cannot measure them"),
        ({"sweeps": {"main": {"seeds": 0}}}, "a sweep needs a seed; got 0"),
        ({"sweeps": {"interventions": {"batch_size": 16}}}, "largest batch size of the main sweep, 64; got [16]"),
        (
            {"sweeps": {"no_clip": {"blocks": [{"optimizer": "sgd_ema", "grid": {"batch_size": [48], "lr": [1.0]}}]}}},
            "no_clip has batch size 48, which the main sweep lacks",
        ),
    ],
)
def test_studies_that_could_not_be_compared_are_refused_before_anything_trains(change, said):
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    with pytest.raises(ValueError, match=re.escape(said)):
        Config.model_validate(merge(base, {"language": change}))


@pytest.mark.parametrize(("kept", "said"), [(0.9, "sgd_ema with momentum 0 at"), (0.0, None)])
def test_gains_need_the_setting_that_they_are_over(kept, said):
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    blocks = [dict(block) for block in base["language"]["sweeps"]["main"]["blocks"]]
    blocks[0] = blocks[0] | {"grid": blocks[0]["grid"] | {"momentum": [kept, 0.95, 0.98]}}  # SGD at batch size 2
    blocks[1] = blocks[1] | {"grid": blocks[1]["grid"] | {"momentum": [0.5, 0.75]}}
    changed = merge(base, {"language": {"sweeps": {"main": {"blocks": blocks}}}})
    if said is None:
        Config.model_validate(changed)
        return
    with pytest.raises(ValueError, match=f"{said} batch size 2"):
        Config.model_validate(changed)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"seeds": [0]}, "seed 0 of the probes chooses their settings"), ({"num_tokens": 4096}, "has 64 updates")],
)
def test_probes_are_of_runs_like_those_that_chose_their_settings_and_of_other_seeds(change, said):
    base = load_yaml(repo_root() / "papers" / "optimizer_gap" / "config.yaml")["base"]
    config = Config.model_validate(merge(base, {"probes": {"sweep": change}}))
    with pytest.raises(ValueError, match=said):
        shards(config)


def test_windows_that_do_not_fill_their_passes_are_refused():
    path = repo_root() / "papers" / "optimizer_gap" / "config.yaml"
    values = merge(load_yaml(path)["base"], {"language": {"settings": {"train_windows": 100}}})
    with pytest.raises(ValueError, match="train_windows 100"):
        Config.model_validate(values)


def test_a_run_of_fewer_tokens_than_a_batch_is_refused():
    sweep = load_config("optimizer_gap", "cpu").language.sweeps.main
    with pytest.raises(ValueError, match="fewer than one batch"):
        list(expand(sweep.model_copy(update={"num_tokens": 100})))

"""GIDD's settings refuse what cannot be run, and cut the grid into shards that read only what they use."""

import pytest
import yaml

from papers.gidd.config import Config, shards
from papers.gidd.names import Weighting
from shared.artifacts.config import load_config
from shared.base.paths import repo_root
from shared.base.settings import load_yaml, merge, validate


def settings(change: dict) -> Config:
    content = load_yaml(repo_root() / "papers/gidd/config.yaml")
    return validate(Config, merge(merge(content["base"], content["scales"]["smoke"]), change), "config.yaml")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("markov: {runs: [{p_u: [1.0], size: [m]}]}", r"'markov.runs.0.p_u.0': Input should be less than 1"),
        ("markov: {runs: [{p_u: [0.1], size: [xl]}]}", "names size 'xl'; known sizes: xxs, xs, s, m, l"),
        ("markov: {runs: [{size: [m]}, {size: [m]}]}", "two runs are the same"),
        ("markov: {runs: [{objective: ar, p_u: [0.1], size: [m]}]}", "has no uniform noise"),
        ("markov: {training: {beta_2: 0.9}}", "unknown key 'beta_2' in 'markov.training'"),
        ("markov: {noise: {gama: 1.0}}", "did you mean 'gamma'"),
        ("markov: {noise: {gamma: 0.0}}", "greater than 0"),
        ("text: {sampling: {scorer: oracle}}", "oracle needs a markov corpus"),
        ("text: {sampling: {correct_at: [5]}}", "correct_at names 5 steps"),
        ("text: {corpus: {text: {tokenizer: {special_tokens: []}}}}", "must be '.MASK.'"),
        ("text: {corpus: {markov: {seed: 1}}}", "give one of them"),
        ("markov: {corpus: {common_words: {num_words: 9, shortest: 2}}}", "tokenizer of kind letters"),
        ("markov: {sizes: {m: {num_heads: 5}}}", "choose d_model a multiple of 10"),
        ("markov: {sampling: {taus: [0.0]}}", r"'markov.sampling.taus.0': Input should be greater than 0"),
        ("markov: {sampling: {num_steps: [8, 0]}}", r"'markov.sampling.num_steps.1': Input should be greater than or"),
        ("text: {sampling: {scorer: orakle}}", "neither 'oracle' nor 'ar' nor a model of the hub"),
        ("markov: {likelihood: {recovery_counts: [0]}}", "greater than or equal to 1"),
        ("markov: {likelihood: {recovery_counts: [17]}}", "names 17 tokens, and a sequence has 16"),
        ("markov: {likelihood: {recovery_t0: 0.00005}}", "5e-05 is not above 0.0001"),
        ("text: {noise: {gamma: 0.5}}", "defined at gamma 1, not 0.5; use dynamic_exact"),
        ("markov: {runs: [{size: [m], seeds: []}]}", "should have at least 1 item"),
        ("exact: {gammas: [3.0]}", r"'exact.gammas.0': Input should be less than or equal to 2"),
        ("exact: {discretisation_steps: [0]}", "greater than or equal to 1"),
        ("exact: {truncation_vocab: [1]}", "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        settings(yaml.safe_load(change))


def test_every_run_of_the_grid_is_in_one_shard_of_train_and_evaluate():
    config = settings({})
    for study in ("markov", "text"):
        wanted = [run.id for run in getattr(config, study).all_runs()]
        for step in ("train", "evaluate"):
            found = [r.id for name, s in shards(config)[step].items() if s.study == study for r in s.runs]
            assert found == wanted


def test_a_shard_of_one_study_does_not_read_the_other():
    before, after = (shards(settings(change))["train"] for change in ({}, {"text": {"training": {"lr": 1e-4}}}))
    for name in before:
        assert (before[name] == after[name]) == name.startswith("markov")


def test_evaluation_does_not_read_the_training_settings():
    before, after = (shards(settings(change))["evaluate"] for change in ({}, {"text": {"training": {"lr": 1e-4}}}))
    assert before == after


def test_samples_of_text_are_scored_by_the_autoregressive_run():
    config = settings({})
    for shard in shards(config)["sample"].values():
        if shard.study == "text":
            assert shard.scorer_run.objective == "ar"
            assert shard.scorer_run in shards(config)["train"][shard.scorer_shard].runs


def test_paper_scale_has_the_paper_s_settings():
    text = load_config("gidd", "paper").text
    training = text.training
    assert (training.batch_size, training.num_steps, training.warmup_steps, training.lr) == (512, 500_000, 10_000, 5e-4)
    assert (training.betas, training.eps, training.clip_grad_norm) == ((0.9, 0.99), 1e-9, 1.0)
    assert (text.corpus.text.source, text.corpus.seq_len, text.sampling.t0) == ("openwebtext", 512, 0.01)
    assert (text.sampling.budget, text.sampling.patience, text.sampling.scorer) == (128, 32, "google/gemma-2-9b")
    assert {r.num_steps for r in text.all_runs()} == {500_000, 1_000_000}


DYNAMIC = {"markov": "dynamic_exact", "text": "dynamic"}  # the exact form where there are fewer than 100 tokens


@pytest.mark.parametrize("study", ["markov", "text"])
def test_cpu_trains_the_whole_ablation_with_three_seeds_or_five(study):
    runs = [r for r in getattr(load_config("gidd", "cpu"), study).all_runs() if r.objective == "gidd"]
    losses = [("none", 0.0), ("clamp", 0.0), (DYNAMIC[study], 0.0), (DYNAMIC[study], 0.02)]
    found = sorted((r.size, r.weighting, r.weight_decay, r.p_u, r.seed) for r in runs)
    seeds = {loss: range(5 if loss[1] else 3) for loss in losses}  # what is sampled has five
    wanted = [("m", *loss, p_u, seed) for loss in losses for p_u in (0.0, 0.1, 0.2) for seed in seeds[loss]]
    assert found == sorted(wanted)


@pytest.mark.parametrize("study", ["markov", "text"])
def test_cpu_samples_from_one_recipe_at_every_share_of_noise_with_five_seeds(study):
    runs = [r for r in getattr(load_config("gidd", "cpu"), study).all_runs() if r.sample]
    assert {(r.objective, r.weighting, r.weight_decay, r.size) for r in runs} == {("gidd", DYNAMIC[study], 0.02, "m")}
    assert sorted((r.p_u, r.seed) for r in runs) == [(p_u, seed) for p_u in (0.0, 0.1, 0.2) for seed in range(5)]


def test_the_names_of_the_weightings_are_those_that_are_implemented():
    from papers.gidd.weighting import WEIGHTINGS
    from papers.gidd.weighting import Weighting as Implemented

    assert Implemented is Weighting and "dynamic" in WEIGHTINGS


@pytest.mark.parametrize("scale", ["smoke", "cpu"])
def test_words_are_as_many_as_the_paper_s_own_weights_ask_for_and_as_many_are_corrected(scale):
    text, paper = load_config("gidd", scale).text, load_config("gidd", "paper").text
    assert text.corpus.common_words.num_words + 1 >= 100 and "dynamic_exact" not in {
        r.weighting for r in text.all_runs()
    }
    assert text.sampling.budget * paper.corpus.seq_len == paper.sampling.budget * text.corpus.seq_len

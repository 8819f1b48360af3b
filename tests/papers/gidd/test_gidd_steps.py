"""The steps' own pieces: batches, marks of changes, the truncation column, claims on made-up tables."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from papers.gidd.claims import (
    dynamic_beats_clamp_beats_none,
    gidd_beats_mdm,
    hybrid_better_few_steps,
    mask_reduces_to_mdm,
    nll_identity,
    pu_costs_ppl,
    rescaling_matters_more_with_pu,
    selfacc_rises,
    selfcorr_helps_hybrid,
    selfcorr_not_mask,
)
from papers.gidd.exact import truncation_rows
from papers.gidd.likelihood import validation_elbo
from papers.gidd.loss import reference_terms
from papers.gidd.measures import repair_rows
from papers.gidd.recovery import recovery_rows
from papers.gidd.sampler import Sampler, marked_changes
from papers.gidd.study import CorpusData, build_network, build_process, build_scorer
from papers.gidd.task import AutoregressiveTask, DiffusionTask, next_token_nats
from papers.gidd.truncation import truncation_loss
from papers.gidd.weighting import elbo_weight
from shared.artifacts.checks import FAILS, HOLDS, NOISE, verdict_of
from shared.artifacts.config import load_shard
from shared.base.seeding import torch_generator

SHARD = load_shard("gidd", "train", "smoke", "markov-00")


def task(p_u: float, batch_size: int = 8) -> DiffusionTask:
    run = next(r for r in SHARD.runs if r.p_u == p_u)
    training = SHARD.training.model_copy(update={"batch_size": batch_size})
    return DiffusionTask(CorpusData(SHARD.corpus), SHARD.model_copy(update={"training": training}), run)


@pytest.mark.parametrize("p_u", [0.0, 0.2])
def test_a_row_of_a_batch_does_not_depend_on_which_rows_are_asked_for(p_u):
    whole = task(p_u).batch(7, range(8), 0)
    part = task(p_u).batch(7, range(3, 6), 0)
    for name, tensor in part.items():
        assert torch.equal(tensor, whole[name][3:6]), name


def test_batches_of_two_steps_and_of_two_seeds_differ():
    one = task(0.2)
    assert not torch.equal(one.batch(1, range(8), 0)["x"], one.batch(2, range(8), 0)["x"])
    for name in ("x", "z", "t"):
        assert not torch.equal(one.batch(1, range(8), 0)[name], one.batch(1, range(8), 5)[name]), name


def test_runs_of_one_seed_share_weights_batches_times_and_the_draws_of_their_noise():
    """Claims compare them seed by seed."""
    mask_only, hybrid = task(0.0), task(0.2)
    one, other = (t.build(3).state_dict() for t in (mask_only, hybrid))
    assert all(torch.equal(one[name], other[name]) for name in one)
    batches = [t.batch(7, range(8), 3) for t in (mask_only, hybrid)]
    for name in ("x", "t"):
        assert torch.equal(batches[0][name], batches[1][name]), name
    # less of a token is left with uniform noise, from the same uniform numbers
    assert (batches[0]["z"] == batches[0]["x"])[batches[1]["z"] == batches[1]["x"]].float().mean() > 0.9


def test_samples_and_corrections_of_one_seed_start_from_the_same_randomness(monkeypatch):
    shard, seeds = load_shard("gidd", "sample", "smoke", "markov-00"), []
    data = CorpusData(shard.corpus)
    stop = lambda *args, **how: seeds.append(args[5].initial_seed()) or 1 / 0  # noqa: E731
    monkeypatch.setattr("papers.gidd.sampler.ancestral_sample", stop)
    for run in shard.runs:
        sampler = Sampler(shard, run, None, data, build_scorer(shard, data, None, "cpu"), "cpu")
        with pytest.raises(ZeroDivisionError):
            list(sampler.rows())
    assert len(seeds) == 2 and len(set(seeds)) == 1


def test_mask_noise_alone_leaves_data_or_mask():
    mask_only = task(0.0)
    batch, mask_id = mask_only.batch(0, range(8), 0), mask_only.data.vocab_size - 1
    assert ((batch["z"] == batch["x"]) | (batch["z"] == mask_id)).all()
    assert (batch["z"] == mask_id).any() and (batch["x"] != mask_id).all()


def test_a_point_of_the_learning_curve_is_of_all_held_out_sequences_and_the_run_s_own_noise():
    hybrid = task(0.2)
    x = hybrid.data.validation()
    assert len(x) == SHARD.corpus.num_validation
    network = hybrid.build(0).eval()
    torch.nn.init.normal_(network.head.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    wanted = validation_elbo(network, x, hybrid.process, torch_generator(0, "learning curve"), num_draws=2)
    found = hybrid.evaluate(network, 0)["val_nats_per_token"]
    assert found == pytest.approx(wanted.elbo_nats_per_token, rel=1e-9)


@pytest.mark.parametrize("weighting", ["none", "clamp", "dynamic_exact"])
def test_a_run_trains_under_the_weights_that_its_settings_name(weighting):
    hybrid = task(0.2)
    hybrid.run = hybrid.run.model_copy(update={"weighting": weighting})
    batch, network = hybrid.batch(0, range(8), 0), hybrid.build(0)
    x, z, t = batch["x"], batch["z"], batch["t"]
    terms = reference_terms(uniform_over_tokens(x, hybrid.process), x, z, t, hybrid.process)  # of the initial network
    true = elbo_weight(hybrid.process, t, z, x)
    weight = {"none": true, "clamp": true.clamp_max(1), "dynamic_exact": 2 * (t * (1 - t))[:, None] * true}[weighting]
    loss, metrics = hybrid.loss(network, batch, {})
    assert loss.item() == pytest.approx((weight * (terms.kl + terms.is_)).mean().item(), rel=1e-5)
    assert metrics["elbo"].item() == pytest.approx((true * (terms.kl + terms.is_)).mean().item(), rel=1e-5)


def uniform_over_tokens(x: torch.Tensor, process) -> torch.Tensor:
    x_hat = torch.full((*x.shape, process.vocab_size), 1 / process.num_ordinary, dtype=torch.float64)
    x_hat[..., process.mask_id] = 0
    return x_hat


def test_single_tokens_cost_the_cross_entropy_under_their_frequencies():
    data = CorpusData(SHARD.corpus)
    law = data.unigram_log_probs().exp()
    matrix = torch.from_numpy(data.chain.transition_matrix)
    torch.testing.assert_close(law[:-1] @ matrix, law[:-1], rtol=1e-9, atol=1e-12)  # stationary
    facts, x = data.facts(), data.validation()
    assert facts["unigram_nats_per_token"] == pytest.approx(-law.log()[x].mean().item(), rel=1e-12)
    assert facts["floor_nats_per_token"] < facts["unigram_nats_per_token"] < math.log(data.vocab_size)


def test_frequencies_of_a_text_are_those_of_its_training_part():
    data = CorpusData(load_shard("gidd", "train", "smoke", "text-00").corpus)
    part = lambda *tokens: SimpleNamespace(tokens=np.array(tokens))  # noqa: E731
    text = {"train": part(0, 0, 1), "validation": part(1, 1, 1), "tokenizer": SimpleNamespace(vocab_size=3)}
    vars(data)["text"] = SimpleNamespace(**text)
    assert data.unigram_log_probs().exp().tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])  # counts and one


def test_repairs_assume_the_noise_level_of_the_settings():
    shard = load_shard("gidd", "evaluate", "smoke", "markov-00")
    run, data = next(r for r in shard.runs if r.p_u > 0), CorpusData(shard.corpus)
    network = lambda z, t: 4.0 * torch.nn.functional.one_hot(torch.full_like(z, 3), data.vocab_size)  # noqa: E731
    x, process = data.validation(shard.likelihood.recovery_sequences), build_process(shard, run, data.vocab_size)
    counts, t0 = tuple(shard.likelihood.recovery_counts), shard.likelihood.recovery_t0
    wanted = recovery_rows(network, x, process, torch_generator(0, "recovery"), counts=counts, t0=t0)
    found = [row["value"] for row in repair_rows(network, data, shard, run, "cpu")]
    assert found == [row[metric] for row in wanted for metric in ("touched", "recovered", "damaged")]


def test_autoregressive_nats_of_a_uniform_model_are_log_v():
    data = CorpusData(SHARD.corpus)
    run = SHARD.runs[0].model_copy(update={"objective": "ar"})
    network = build_network(SHARD, run, data.vocab_size)
    torch.nn.init.zeros_(network.head.weight)
    x = data.validation(32)
    nats, error, counted = next_token_nats(network, x, data.is_token(x))
    assert nats == pytest.approx(np.log(data.vocab_size), abs=1e-6)
    assert error == pytest.approx(0, abs=1e-6) and counted == 32 * (SHARD.corpus.seq_len - 1)
    loss = AutoregressiveTask(data, SHARD, run).loss(network, {"x": x}, {})
    assert loss.item() == pytest.approx(nats, abs=1e-5)


def test_what_is_measured_after_a_correction_is_the_corrected_tokens():
    shard = load_shard("gidd", "sample", "smoke", "markov-00")
    run, data = next(r for r in shard.runs if r.p_u > 0), CorpusData(shard.corpus)
    few = shard.sampling.model_copy(update={"num_samples": 16, "budget": 16, "patience": 16, "taus": [0.1]})
    shard = shard.model_copy(update={"sampling": few})

    def always_three(z, t):
        return 4.0 * torch.nn.functional.one_hot(torch.full_like(z, 3), data.vocab_size)

    rows = list(Sampler(shard, run, always_three, data, build_scorer(shard, data, None, "cpu"), "cpu").rows())
    held_out, corrected = rows[0], rows[-1]
    sampled = next(r for r in rows if r["stage"] == "sampled" and r["num_steps"] == corrected["num_steps"])
    assert [r["stage"] for r in (held_out, corrected)] == ["held out", "corrected"]
    assert corrected["unigram_entropy"] == pytest.approx(0, abs=1e-9) and corrected["duplicate_share"] == 15 / 16
    assert sampled["unigram_entropy"] > 0.5
    assert corrected["final_self_accuracy"] == 1 > corrected["initial_self_accuracy"]
    clean = -data.chain.sequence_log_likelihood(data.validation(16)).mean() / shard.corpus.seq_len
    assert held_out["mean_nll"] == pytest.approx(clean, abs=0.3)  # without the first token, smoothed
    assert held_out["num_steps"] is None and held_out["num_samples"] == 16 and held_out["valid"] == 1
    # threes follow each other in no sequence of the chain, so that such pairs are neither valid nor variety
    assert data.chain.transition_matrix[3, 3] == 0 and corrected["valid"] == corrected["distinct_2"] == 0
    possible = (data.chain.transition_matrix > 0).sum()
    assert sampled["distinct_2"] <= possible / (16 * (shard.corpus.seq_len - 1))


def test_changes_are_marked_as_wdiff_does():
    before, after = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 4, 5, 3])
    assert marked_changes(before, after, lambda ids: "".join("abcdef"[i] for i in ids)) == "a[-bc-]{+ef+}d"
    assert marked_changes(before, before, lambda ids: "x" * len(ids)) == "xxxx"


def test_the_blank_behind_a_word_stands_behind_the_marks():
    before, after = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 4, 5, 3])
    words = ["the ", "a ", "is ", "end ", "cat ", "sat "]
    assert marked_changes(before, after, lambda ids: "".join(words[i] for i in ids)) == "the [-a is-]{+cat sat+} end "


def test_the_truncation_column_agrees_with_the_oracle_s_quadrature():
    for row in truncation_rows((4, 32, 999), (0.0, 0.1, 0.2)):
        assert truncation_loss(row["p_u"], row["num_ordinary"]) == pytest.approx(row["missing"], abs=2e-5)


DECAY = "dynamic + weight decay"
PAPER = {"none": (24.36, 26.88, 28.22), "clamp": (23.23, 25.09, 26.40), "dynamic": (23.24, 23.90, 24.64)}
PAPER |= {DECAY: (23.05, 23.67, 24.38)}
REVERSE = {"none": (28.0, 26.0, 24.0), "clamp": (26.0, 25.0, 24.5), "dynamic": (25.0, 24.8, 24.6)}
REVERSE |= {DECAY: (25.0, 24.8, 24.6)}


SETTINGS = SimpleNamespace(
    **dict.fromkeys(("markov", "text"), SimpleNamespace(likelihood=SimpleNamespace(num_draws=8)))
)


def verdict(claim, table: pd.DataFrame) -> str:
    """Of a claim on made-up tables; learning curves end where the ablation's `runs` do, and were higher before."""
    given = {claim.claim.parameters[0]: table, "settings": SETTINGS}
    if "fig_training" in claim.claim.parameters:
        ends = table.explode(["seed", "runs"]).rename(columns={"runs": "nats"})[
            ["study", "loss", "p_u", "seed", "nats"]
        ]
        ends = ends.rename(columns={"nats": "nats_per_token"}).astype({"nats_per_token": float})
        before = ends.assign(nats_per_token=9.0 - ends.nats_per_token)  # in the reverse order
        given |= {"fig_training": pd.concat([before.assign(step=300), ends.assign(step=600)]), "tab_ablation": table}
    return verdict_of(claim.claim.findings(**{name: given[name] for name in claim.claim.parameters}))


def ablation(ppl: dict[str, tuple], study: str = "markov", apart: float = 1e-3, together: float = 0.0, **changes):
    """Three seeds for each cell: `apart` moves them in a different way in each, `together` in the same way in all."""
    rows = []
    for index, (loss, numbers) in enumerate(ppl.items()):
        for turn, (p_u, nats) in enumerate(zip((0.0, 0.1, 0.2), np.log(numbers), strict=True)):
            runs = [nats + apart * (-1, 0, 1)[(k + index + turn) % 3] + together * (-1, 0, 1)[k] for k in range(3)]
            rows.append({"loss": loss, "p_u": p_u, "nats_per_token": nats, "runs": runs, "seed": [0, 1, 2]})
    return pd.DataFrame(rows).assign(study=study, **{"standard_error": 1e-4} | changes)


ON_THE_ABLATION = [pu_costs_ppl, dynamic_beats_clamp_beats_none, rescaling_matters_more_with_pu]


@pytest.mark.parametrize("claim", ON_THE_ABLATION)
def test_claims_on_the_ablation_hold_on_the_paper_s_numbers_and_fail_on_their_reverse(claim):
    assert verdict(claim, ablation(PAPER)) == HOLDS
    assert verdict(claim, ablation(REVERSE)) == FAILS
    assert verdict(claim, pd.concat([ablation(PAPER), ablation(REVERSE, "text")])) == FAILS


def first_seed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(runs=table.runs.str[:1], seed=table.seed.str[:1])


@pytest.mark.parametrize("claim", ON_THE_ABLATION)
def test_one_seed_or_a_wide_spread_decides_nothing(claim):
    for numbers in (PAPER, REVERSE):
        assert verdict(claim, first_seed(ablation(numbers))) == NOISE
        assert verdict(claim, ablation(numbers, apart=2.0)) == NOISE
        assert verdict(claim, ablation(numbers, standard_error=1.0)) == NOISE


@pytest.mark.parametrize("claim", ON_THE_ABLATION)
def test_what_a_seed_does_to_all_runs_alike_is_no_noise_of_their_differences(claim):
    assert verdict(claim, ablation(PAPER, together=2.0)) == HOLDS
    assert verdict(claim, ablation(REVERSE, together=2.0)) == FAILS


def test_the_error_of_an_evaluation_is_known_from_few_draws():
    """0.031 nats with an error of 0.0151 is clear of 0 if that error is known exactly, and not if from 8 draws each."""
    row = {"p_u": 0.0, "seed_std": 0.0, "num_seeds": 3, "standard_error": 0.0151 / np.sqrt(2), "study": "text"}
    table = pd.DataFrame([row | {"model": "GIDD+ (p_u=0)", "nats_per_token": 3.0}, row | {"model": "MDM"}])
    near, far = (table.fillna({"nats_per_token": 3.0 + gap}) for gap in (0.0310, 0.0357))
    assert verdict(gidd_beats_mdm, near) == NOISE and verdict(gidd_beats_mdm, far) == HOLDS


def test_more_uniform_noise_has_to_cost_more_than_less_does():
    turned = PAPER | {DECAY: (23.05, 24.38, 23.67)}  # both cost likelihood, the smaller share more
    assert verdict(pu_costs_ppl, ablation(turned)) == FAILS


def test_a_study_that_trained_the_recipe_alone_is_judged_by_that():
    text = ablation({DECAY: PAPER[DECAY]}, "text")
    assert verdict(pu_costs_ppl, text) == HOLDS
    for claim in (dynamic_beats_clamp_beats_none, rescaling_matters_more_with_pu):
        assert verdict(claim, pd.concat([ablation(PAPER), text])) == HOLDS


AROUND = (("", "_before"), ("", "_after"), ("clean_", ""))


def correction(*rows: tuple, seeds: int = 3) -> pd.DataFrame:
    """Three runs for each row, whose values after correction differ by 0.001 from seed to seed."""
    names = ["p_u", "gen_nll_before", "gen_nll_after", "self_accuracy_before", "self_accuracy_after"]
    table = pd.DataFrame(rows, columns=names).assign(study="markov", size="m", num_steps=8, tau=0.1)
    varied = {"distinct_2": 0.1, "unigram_entropy": 3.0}
    table = table.assign(**{f"{when}{name}{end}": value for name, value in varied.items() for when, end in AROUND})
    after = ["gen_nll_after", "self_accuracy_after"]
    return pd.concat([table.assign(seed=seed, **{c: table[c] + 0.001 * seed for c in after}) for seed in range(seeds)])


@pytest.mark.parametrize("claim", [selfcorr_helps_hybrid, selfcorr_not_mask, selfacc_rises])
def test_claims_on_self_correction_tell_hybrid_from_mask_only(claim):
    good = [(0.0, 2.0, 2.2, 0.4, 0.42), (0.1, 2.1, 1.0, 0.6, 0.9), (0.2, 2.6, 0.9, 0.6, 0.95)]
    bad = [(0.0, 2.0, 1.5, 0.4, 0.9), (0.1, 2.1, 1.9, 0.6, 0.9), (0.2, 2.6, 0.9, 0.6, 0.61)]
    assert verdict(claim, correction(*good)) == HOLDS
    assert verdict(claim, correction(*bad)) == FAILS
    for rows in (good, bad):
        assert verdict(claim, correction(*rows, seeds=1)) == NOISE


@pytest.mark.parametrize("claim", [selfcorr_helps_hybrid, selfcorr_not_mask, selfacc_rises])
def test_corrections_are_judged_at_the_released_temperature_alone(claim):
    good = [(0.0, 2.0, 2.2, 0.4, 0.42), (0.1, 2.1, 1.0, 0.6, 0.9), (0.2, 2.6, 0.9, 0.6, 0.95)]
    bad = [(0.0, 2.0, 0.5, 0.4, 0.9), (0.1, 2.1, 3.0, 0.6, 0.5), (0.2, 2.6, 3.0, 0.6, 0.5)]
    others = [correction(*bad).assign(tau=tau) for tau in (0.05, 0.5, 1.0)]
    assert verdict(claim, pd.concat([correction(*good), *others])) == HOLDS
    # one seed at four temperatures is one repetition
    one = [correction(*good, seeds=1).assign(tau=tau) for tau in (0.05, 0.1, 0.5, 1.0)]
    assert verdict(claim, pd.concat(one)) == NOISE


@pytest.mark.parametrize(("measure", "collapsed"), [("distinct_2", 0.07), ("unigram_entropy", 2.6)])
def test_a_correction_to_repetitions_is_no_improvement(measure, collapsed):
    table = correction((0.1, 2.1, 1.0, 0.6, 0.9), (0.2, 2.6, 0.9, 0.6, 0.95))
    assert verdict(selfcorr_helps_hybrid, table) == HOLDS
    # from samples more varied than data (noise) down to data is no collapse, from data down to repetitions is one
    assert (
        verdict(selfcorr_helps_hybrid, table.assign(**{f"{measure}_before": 10 * table[f"clean_{measure}"]})) == HOLDS
    )
    assert verdict(selfcorr_helps_hybrid, table.assign(**{f"{measure}_after": collapsed})) == FAILS


def test_hybrid_noise_is_better_at_few_steps_on_the_paper_s_numbers():
    ppl = pd.DataFrame({"p_u": [0.0, 0.1], "gen_ppl": [904.0, 387.0]}).assign(study="text", num_steps=32)
    table = pd.concat([ppl.assign(seed=seed, gen_ppl=ppl.gen_ppl * (1 + 0.01 * seed * ppl.p_u)) for seed in range(3)])
    assert verdict(hybrid_better_few_steps, table) == HOLDS
    assert verdict(hybrid_better_few_steps, table.assign(p_u=0.1 - table.p_u)) == FAILS
    assert verdict(hybrid_better_few_steps, table[table.seed == 0]) == NOISE


def test_gidd_against_mdm_on_the_paper_s_numbers_and_their_reverse():
    rows = {"model": ["GIDD+ (p_u=0)", "MDM"], "nats_per_token": np.log([22.29, 23.36]), "standard_error": 0.01}
    table = pd.DataFrame(rows | {"study": "text", "seed_std": 0.005, "num_seeds": 3})
    assert verdict(gidd_beats_mdm, table) == HOLDS
    assert verdict(gidd_beats_mdm, table.assign(nats_per_token=table.nats_per_token.to_numpy()[::-1])) == FAILS
    assert verdict(gidd_beats_mdm, table.assign(seed_std=math.nan, num_seeds=1)) == NOISE
    equal = table.assign(study="markov", nats_per_token=1.1)
    assert verdict(gidd_beats_mdm, pd.concat([table, equal])) == NOISE  # every study that trained both has a say


@pytest.mark.parametrize(("claim", "check"), [(nll_identity, "nll-identity"), (mask_reduces_to_mdm, "mask-reduction")])
def test_exact_claims_fail_where_a_gap_opens(claim, check):
    table = pd.DataFrame({"check": [check, check], "value": [0.0, 1e-7], "error": [0.0, -1e-7]})
    assert verdict(claim, table) == HOLDS
    assert verdict(claim, table.assign(value=[0.0, 0.1], error=[0.0, -0.1])) == FAILS

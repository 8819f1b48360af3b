"""The steps' own pieces: batches, marks of changes, the truncation column, claims on made-up tables."""

import math

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
from papers.gidd.sampler import marked_changes
from papers.gidd.study import CorpusData, build_network
from papers.gidd.task import AutoregressiveTask, DiffusionTask, next_token_nats
from papers.gidd.truncation import truncation_loss
from shared.artifacts.checks import FAILS, HOLDS, NOISE, verdict_of
from shared.artifacts.config import load_shard

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


def test_mask_noise_alone_leaves_data_or_mask():
    mask_only = task(0.0)
    batch, mask_id = mask_only.batch(0, range(8), 0), mask_only.data.vocab_size - 1
    assert ((batch["z"] == batch["x"]) | (batch["z"] == mask_id)).all()
    assert (batch["z"] == mask_id).any() and (batch["x"] != mask_id).all()


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


def test_changes_are_marked_as_wdiff_does():
    before, after = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 4, 5, 3])
    assert marked_changes(before, after, lambda ids: "".join("abcdef"[i] for i in ids)) == "a[-bc-]{+ef+}d"
    assert marked_changes(before, before, lambda ids: "x" * len(ids)) == "xxxx"


def test_the_truncation_column_agrees_with_the_oracle_s_quadrature():
    for row in truncation_rows((4, 32, 999), (0.0, 0.1, 0.2)):
        assert truncation_loss(row["p_u"], row["num_ordinary"]) == pytest.approx(row["missing"], abs=2e-5)


PAPER = {"none": (24.36, 26.88, 28.22), "clamp": (23.23, 25.09, 26.40), "dynamic": (23.24, 23.90, 24.64)}
REVERSE = {"none": (28.0, 26.0, 24.0), "clamp": (26.0, 25.0, 24.5), "dynamic": (25.0, 24.8, 24.6)}


def verdict(claim, table: pd.DataFrame) -> str:
    return verdict_of(claim.claim.findings(**{claim.claim.parameters[0]: table}))


def ablation(ppl: dict[str, tuple], study: str = "markov", seed_std: float = 1e-3, num_seeds: int = 3) -> pd.DataFrame:
    columns = {"study": study, "p_u": [0, 0.1, 0.2], "seed_std": seed_std, "num_seeds": num_seeds}
    tables = [pd.DataFrame(columns | {"loss": loss, "nats_per_token": np.log(row)}) for loss, row in ppl.items()]
    return pd.concat(tables)


@pytest.mark.parametrize("claim", [pu_costs_ppl, dynamic_beats_clamp_beats_none, rescaling_matters_more_with_pu])
def test_claims_on_the_ablation_hold_on_the_paper_s_numbers_and_fail_on_their_reverse(claim):
    assert verdict(claim, ablation(PAPER)) == HOLDS
    assert verdict(claim, ablation(REVERSE)) == FAILS
    assert verdict(claim, pd.concat([ablation(PAPER), ablation(REVERSE, "text")])) == FAILS


@pytest.mark.parametrize("claim", [pu_costs_ppl, dynamic_beats_clamp_beats_none, rescaling_matters_more_with_pu])
def test_one_seed_or_a_wide_spread_decides_nothing(claim):
    for numbers in (PAPER, REVERSE):
        assert verdict(claim, ablation(numbers, seed_std=math.nan, num_seeds=1)) == NOISE
        assert verdict(claim, ablation(numbers, seed_std=2.0)) == NOISE


def correction(*rows: tuple, seeds: int = 3) -> pd.DataFrame:
    """Three runs for each row, whose values after correction differ by 0.001 from seed to seed."""
    names = ["p_u", "gen_nll_before", "gen_nll_after", "self_accuracy_before", "self_accuracy_after"]
    table = pd.DataFrame(rows, columns=names).assign(study="markov", size="m", num_steps=8, tau=0.1)
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


@pytest.mark.parametrize(("claim", "check"), [(nll_identity, "nll-identity"), (mask_reduces_to_mdm, "mask-reduction")])
def test_exact_claims_fail_where_a_gap_opens(claim, check):
    table = pd.DataFrame({"check": [check, check], "value": [0.0, 1e-7], "error": [0.0, -1e-7]})
    assert verdict(claim, table) == HOLDS
    assert verdict(claim, table.assign(value=[0.0, 0.1], error=[0.0, -0.1])) == FAILS

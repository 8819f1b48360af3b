"""The steps' own pieces: batches, marks of changes, the truncation column, claims on made-up tables."""

import numpy as np
import pandas as pd
import pytest
import torch

from papers.gidd.claims import (
    dynamic_beats_clamp_beats_none,
    pu_costs_ppl,
    rescaling_matters_more_with_pu,
    selfacc_rises,
    selfcorr_helps_hybrid,
    selfcorr_not_mask,
)
from papers.gidd.exact import truncation_rows
from papers.gidd.sample import marked_changes
from papers.gidd.study import CorpusData, build_network
from papers.gidd.tables import truncation_loss
from papers.gidd.task import AutoregressiveTask, DiffusionTask, next_token_nats
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


def ablation(**ppl: tuple[float, float, float]) -> pd.DataFrame:
    columns = {"study": "markov", "p_u": [0, 0.1, 0.2]}
    tables = [pd.DataFrame(columns | {"loss": loss, "ppl": values}) for loss, values in ppl.items()]
    return pd.concat(tables)


def test_claims_on_the_ablation_hold_on_the_paper_s_numbers_and_fail_on_their_reverse():
    paper = ablation(none=(24.36, 26.88, 28.22), clamp=(23.23, 25.09, 26.40), dynamic=(23.24, 23.90, 24.64))
    reverse = ablation(none=(28.0, 26.0, 24.0), clamp=(26.0, 25.0, 24.5), dynamic=(25.0, 24.8, 24.6))
    for claim in (pu_costs_ppl, dynamic_beats_clamp_beats_none, rescaling_matters_more_with_pu):
        assert claim(paper).holds, claim.__name__
        assert not claim(reverse).holds, claim.__name__


def test_one_study_that_disagrees_makes_a_claim_fail():
    paper = ablation(none=(24.36, 26.88, 28.22), clamp=(23.23, 25.09, 26.40), dynamic=(23.24, 23.90, 24.64))
    reverse = ablation(none=(28.0, 26.0, 24.0), clamp=(26.0, 25.0, 24.5), dynamic=(25.0, 24.8, 24.6))
    assert not pu_costs_ppl(pd.concat([paper, reverse.assign(study="text")])).holds


def correction(*rows: tuple) -> pd.DataFrame:
    names = ["p_u", "gen_nll_before", "gen_nll_after", "self_accuracy_before", "self_accuracy_after"]
    return pd.DataFrame(rows, columns=names).assign(study="markov", size="m", num_steps=8, tau=0.1)


def test_claims_on_self_correction_tell_hybrid_from_mask_only():
    good = correction((0.0, 2.0, 2.2, 0.4, 0.42), (0.1, 2.1, 1.0, 0.6, 0.9), (0.2, 2.6, 0.9, 0.6, 0.9))
    bad = correction((0.0, 2.0, 1.5, 0.4, 0.9), (0.1, 2.1, 1.9, 0.6, 0.9), (0.2, 2.6, 0.9, 0.6, 0.61))
    for claim in (selfcorr_helps_hybrid, selfcorr_not_mask, selfacc_rises):
        assert claim(good).holds, claim.__name__
        assert not claim(bad).holds, claim.__name__

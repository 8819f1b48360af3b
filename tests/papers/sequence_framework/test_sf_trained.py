"""Ablations: what is measured on a trained model, how it is tuned, and the command that draws coefficients."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from papers.sequence_framework import ablate as ablation
from papers.sequence_framework import inspect as inspection
from papers.sequence_framework import order_blind
from papers.sequence_framework.measuring import casts_of, macro_accuracy, micro_accuracy, near_zero_share
from papers.sequence_framework.order_blind import order_blind_accuracy
from papers.sequence_framework.settings import Study
from papers.sequence_framework.tables import tab_p1_tradeoff
from shared.artifacts.config import load_config
from shared.artifacts.provenance import Provenance
from shared.data.synthetic.config import parse_synthetic
from shared.models.mixers.registry import mixer_names
from shared.train.recall.task import RecallTask

STUDY = {
    "title": "toy",
    "recall": {
        "data": {"name": "in_context_recall", "vocab_size": 8, "seq_len": 12},
        "num_examples": 32,
        "backbone": {"d_model": 8, "num_heads": 1, "num_layers": 2, "positional": "none",
                     "mixer": {"name": "dynamics", "key_head_dim": 4}},
        "validation_examples": 16, "validation_rows": 16, "num_train_points": 2, "num_evaluations": 2, "stack": 2,
    },
    "tasks": {
        "recall": {},
        "copy": {"data": {"name": "selective_copy", "vocab_size": 8, "seq_len": 12, "num_content": 2}},
        "left out": None,
    },
    "variants": {"exp": {}, "linear": {"mixer": {"name": "dynamics", "readout": "identity"}}, "left out": None},
    "sweep": {"batch_size": 4, "seq_len": 12, "num_steps": 4, "seeds": [100], "fixed": {"weight_decay": 0.0},
              "blocks": [{"optimizer": "adamw", "grid": {"lr": [1e-4, 1e-2]}}]},
    "final_seeds": [0, 1],
    "test_examples": 8,
    "per_job": 3,
}  # fmt: skip


def shards():
    return Study.model_validate(STUDY).shards("toy", 0)


def test_jobs_hold_every_task_with_every_variant_once():
    found = shards()
    cells = [(cell.task, cell.variant) for shard in found.values() for cell in shard.cells]
    assert cells == [("recall", "exp"), ("recall", "linear"), ("copy", "exp"), ("copy", "linear")]
    assert [len(shard.cells) for shard in found.values()] == [3, 1]
    other = found["toy-00"].cells[2].tuning
    assert other.data.name == "selective_copy" and other.data.num_content == 2


SETTINGS = {
    "n": "key_head_dim",
    "a": "decay",
    "eta": "normaliser",
    "b": "scaling",
}  # of the mixer, as variants name them
VALUES = {"eta": {"1": "one", "sum": "abs_sum"}, "b": {"1": 0.0, "1/sqrt(n)": -0.5, "1/n": -1.0}}
READOUTS = {name: (name, "none") for name in ("exp", "softplus", "relu", "identity")}
READOUTS["elu1 features"] = ("identity", "elu1")


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_variants_are_what_their_names_say(scale):
    studies = load_config("sequence_framework", scale).studies
    for study in ("readout", "noise", "scaling", "stability"):
        cells = [cell for shard in studies[study].shards(study, 0).values() for cell in shard.cells]
        assert len({cell.variant for cell in cells}) == len(cells) > 3
        for cell in cells:
            mixer = cell.tuning.backbone.mixer
            said = dict(re.findall(r"(\w+)=([^, ]+)", cell.variant))
            for name, value in said.items():
                expected = VALUES[name][value] if name in VALUES else float(value)
                assert getattr(mixer, SETTINGS[name]) == expected, (study, cell.variant)
            if study in ("readout", "noise"):
                phi = re.sub(r",? (eta|n)=.*$", "", cell.variant)
                assert (mixer.readout, mixer.features) == READOUTS[phi]
                assert mixer.normaliser == ("one" if "eta=1" in cell.variant else "abs_sum")


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_every_cell_of_a_study_is_tuned_over_one_grid_on_seeds_that_do_not_judge(scale):
    for name, study in load_config("sequence_framework", scale).studies.items():
        if study is not None:
            cells = [cell for shard in study.shards(name, 0).values() for cell in shard.cells]
            grids = {tuple((r.lr, r.seed, r.num_steps, str(r.settings)) for r in cell.tuning.runs) for cell in cells}
            assert len(grids) == 1 and len({run.lr for run in cells[0].tuning.runs}) >= 2
            assert not {run.seed for run in cells[0].tuning.runs} & set(study.final_seeds)


def test_a_uniform_guess_is_one_of_the_symbols_that_can_be_due():
    """By the labels of many examples; the recall of eight symbols has four values, copying six content tokens."""
    study = Study.model_validate(STUDY | {"tasks": STUDY["tasks"] | {
        "noisy": {"data": {"name": "noisy_recall", "vocab_size": 12, "seq_len": 12, "noise_vocab_size": 4}},
        "again": {"data": {"name": "rebinding_recall", "vocab_size": 10, "seq_len": 12}},
    }})  # fmt: skip
    found = {}
    for cell in (cell for shard in study.shards("toy", 0).values() for cell in shard.cells):
        labels = RecallTask.of_shard(cell.tuning).held_out("test", 400).targets
        found[cell.task] = len(np.unique(labels[labels >= 0]))
    assert found == {"recall": 4, "copy": 6, "noisy": 4, "again": 5}
    assert {task: round(1 / study.uniform_guess(task)) for task in found} == found


def test_a_rule_without_order_names_the_most_frequent():
    """Of three letters among five: E[largest count] / 3; a key whose values tie is a coin."""
    letters = parse_synthetic({"name": "selective_copy", "vocab_size": 7, "seq_len": 12, "num_content": 3})
    expected = np.mean([max(map(word.count, word)) / 3 for word in itertools.product(range(5), repeat=3)])
    assert order_blind_accuracy(letters, 3000) == pytest.approx(expected, abs=0.02)
    tokens, due = np.array([0, 5, 0, 6, 0, 6, 1, 5, 0, 6]), np.full(10, -100)
    due[[4, 8]] = 6  # the first question ties between 5 and 6
    assert order_blind._of_bindings(tokens, due) == [0.5, 1.0]
    with pytest.raises(ValueError, match="no rule without order for 'in_context_recall'"):
        order_blind_accuracy(parse_synthetic(STUDY["recall"]["data"]), 4)


def test_what_decoding_keeps_is_as_wide_as_the_model():
    rows = [("identity", None, "one"), ("identity", "elu1", "abs_sum"), ("identity", None, "abs_sum")]
    rows.append(("exp", None, "abs_sum"))
    scores = pd.DataFrame(rows, columns=["readout", "features", "normaliser"]).assign(study="readout", n=4, seq_len=12)
    for d_model in (8, 128):
        backbone = STUDY["recall"]["backbone"] | {"d_model": d_model}
        study = Study.model_validate(STUDY | {"recall": STUDY["recall"] | {"backbone": backbone}})
        table = tab_p1_tradeoff(scores, SimpleNamespace(studies={"readout": study}))
        assert list(table.recurrent) == [True, True, False, False]
        assert list(table.state) == [4 * d_model, 4 * (d_model + 1), 12 * (4 + d_model), 12 * (4 + d_model)]


def test_a_job_tunes_and_then_trains_fresh_seeds_at_the_best(tmp_path):
    shard = shards()["toy-01"]
    provenance = Provenance(device="cpu", num_threads=1, scale="cpu", shard="x", settings={})
    rows = list(ablation.ablate(shard, device="cpu", threads=1, checkpoints=tmp_path, provenance=provenance))
    tuning, final = ([row for row in rows if row["stage"] == stage] for stage in ("tuning", "final"))
    best = min(tuning, key=lambda row: row["val_loss"])
    assert {row["seed"] for row in tuning} == {100} and [row["seed"] for row in final] == [0, 1]
    assert {row["lr"] for row in final} == {best["lr"]}
    assert all(0 <= row["near_zero"] <= 1 and 0 <= row["accuracy"] <= 1 for row in final)
    assert final[0]["val_loss"] != final[1]["val_loss"]


def test_an_all_token_task_is_judged_at_its_scored_positions():
    study = {**STUDY, "recall": STUDY["recall"] | {"data": STUDY["recall"]["data"] | {"targets": "all"}}}
    cell = Study.model_validate(study).shards("toy", 0)["toy-00"].cells[0]
    task = RecallTask.of_shard(cell.tuning)
    assert task.settings.data.max_targets == 11
    scores = ablation.scored(task, task.build(0).state_dict(), 0, 8, "cpu")
    assert set(scores) == {"accuracy", "macro_accuracy", "near_zero"}


def test_macro_accuracy_weighs_classes_and_micro_accuracy_answers():
    labels = np.array([[0, 0, 0, 1], [0, -100, -100, -100]])
    right = np.array([[True, True, True, False], [True, True, True, True]])
    assert micro_accuracy(right, labels) == pytest.approx(4 / 5)
    assert macro_accuracy(right, labels) == pytest.approx((1 + 0) / 2)


def test_near_zero_share_counts_the_past_alone():
    alpha = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # one of three past coefficients is zero; so is the future one
    assert near_zero_share(alpha, 1e-3) == pytest.approx(1 / 3)
    assert near_zero_share(torch.full((1, 2, 5, 5), 0.5).tril(), 1e-3) == 0


def test_casts_are_those_of_the_inputs_that_the_mixers_see():
    task = RecallTask.of_shard(shards()["toy-00"].cells[0].tuning)
    model, batch = task.build(0), task.batch(0, range(4), 0)
    found = casts_of(model, batch["tokens"])
    block = model.language_model.backbone.blocks[0]
    x = model.language_model.embedding(batch["tokens"])
    assert len(found) == 2
    torch.testing.assert_close(found[0].parallel(), block.mixer.coefficients(block.mixer_norm(x)))


@pytest.mark.parametrize("name", mixer_names())
def test_every_mixer_can_be_inspected(name):
    cast = inspection.cast_of_text(name, "to be or not")
    words = inspection.four_objects(cast)
    assert {"A", "b", "phi", "eta"} <= set(words)
    assert ("note" in words) == (name in ("lstm", "gru"))
    assert torch.isfinite(
        torch.view_as_real(cast.parallel()) if cast.parallel().is_complex() else cast.parallel()
    ).all()


def test_inspect_draws_a_map_and_refuses_in_a_sentence(tmp_path):
    import typer

    app = typer.Typer()
    app.command()(inspection.inspect)
    out = tmp_path / "map.png"
    found = CliRunner().invoke(app, ["--mixer", "attention", "--text", "abab", "--out", str(out)])
    assert found.exit_code == 0 and out.is_file() and "phi    exp" in found.output
    found = CliRunner().invoke(app, ["--mixer", "atention", "--text", "abab", "--out", str(out)])
    assert found.exit_code == 1 and "did you mean 'attention'" in found.output
    found = CliRunner().invoke(app, ["--mixer", "attention", "--text", "a" * 65, "--out", str(out)])
    assert found.exit_code == 1 and "1 to 64 bytes" in found.output

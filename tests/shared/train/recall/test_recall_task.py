"""The task on synthetic data: its batches, its loss against all logits, its metrics, alone and stacked."""

import math

import pytest
import torch
import torch.nn.functional as F

from shared.data.synthetic.registry import UNSCORED
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit
from shared.train.recall.config import RecallSettings, RecallShard
from shared.train.recall.task import RecallTask, answers
from shared.train.run import Run

MIXERS = ["attention", "mamba", "mamba2", "deltanet", "hyena", "based", "linear_attention"]
MQAR = {"name": "mqar", "vocab_size": 32, "seq_len": 16, "num_pairs": 3}


def settings(mixer="attention", data=MQAR, **changes) -> RecallSettings:
    options = {"mamba2": {"head_dim": 8, "d_state": 8}, "hyena": {"filter_order": 8}}.get(mixer, {})
    backbone = {"d_model": 8, "num_layers": 1, "num_heads": 2, "mixer": {"name": mixer} | options, "max_seq_len": 64}
    base = {"data": data, "num_examples": 40, "backbone": backbone, "validation_examples": 8, "validation_rows": 4}
    return RecallSettings(**base | changes)


def run(lr=1e-2, seed=0, **changes) -> Run:
    own = {"name": f"{lr} {seed}", "optimizer": "adamw", "settings": {"lr": lr}, "batch_size": 4, "num_steps": 6}
    return Run(**own | {"seed": seed} | changes)


@pytest.mark.parametrize("num_examples", [40, None])
def test_a_row_is_the_same_whichever_rows_are_asked_for(num_examples):
    task = RecallTask(settings(num_examples=num_examples), {}, 4)
    whole, part = task.batch(7, range(4), 3), task.batch(7, range(1, 3), 3)
    assert all(torch.equal(whole[name][1:3], part[name]) for name in whole)
    assert not torch.equal(task.batch(8, range(4), 3)["tokens"], whole["tokens"])


@pytest.mark.parametrize("data", [MQAR, {"name": "in_context_recall", "vocab_size": 8, "seq_len": 16}])
def test_the_loss_is_that_of_all_logits_at_the_scored_positions(data):
    task = RecallTask(settings(data=data), {}, 4)
    model, found = task.build(0), task.held_out("train", 4)
    logits, targets = model.language_model(torch.from_numpy(found.tokens)), torch.from_numpy(found.targets)
    rows = [F.cross_entropy(own, due, ignore_index=UNSCORED) for own, due in zip(logits, targets, strict=True)]
    hits = [(own.argmax(-1) == due)[due != UNSCORED].float().mean() for own, due in zip(logits, targets, strict=True)]
    loss, metrics = task.loss(model, task.scored(found), {})
    torch.testing.assert_close(loss, torch.stack(rows).mean())
    torch.testing.assert_close(metrics["accuracy"], torch.stack(hits).mean())


def test_the_first_loss_is_that_of_a_uniform_guess():
    task = RecallTask(settings(tie_embeddings=True), {}, 4)
    loss, _ = task.loss(task.build(0), task.batch(0, range(4), 0), {})
    assert loss.item() == pytest.approx(math.log(32), abs=0.1)


def test_training_validation_and_test_share_no_example():
    task = RecallTask(settings(), {}, 4)
    sets = [
        {tuple(row) for row in task.held_out(name, 200).tokens.tolist()} for name in ("train", "validation", "test")
    ]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])


def test_answers_give_the_metrics_and_nothing_where_nothing_is_due():
    task = RecallTask(settings(data={"name": "in_context_recall", "vocab_size": 8, "seq_len": 16}), {}, 4)
    model, batch = task.build(0), task.scored(task.held_out("test", 6))
    right, nats = answers(model, batch, rows=4)
    scored = batch["labels"] != UNSCORED
    assert not right[~scored].any() and not nats[~scored].any()
    loss, accuracy = task.measured(model, batch)
    torch.testing.assert_close((nats.sum(1) / scored.sum(1)).mean(), loss)
    torch.testing.assert_close((right.sum(1) / scored.sum(1)).mean(), accuracy)


def test_accuracy_is_the_share_of_right_answers_and_no_mean_over_classes():
    """One rare class answered wrong costs a tenth of ten answers; a mean over classes would halve the score."""
    labels = torch.tensor([[20] * 9 + [21]])
    batch = {"tokens": torch.zeros(1, 12, dtype=torch.int64), "positions": torch.arange(10)[None], "labels": labels}
    always_20 = lambda tokens, positions: F.one_hot(torch.full(positions.shape, 20), 32).float()  # noqa: E731
    assert RecallTask.measured(always_20, batch)[1].item() == pytest.approx(0.9)


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_stack_gives_the_numbers_of_runs_alone(mixer):
    task = RecallTask(settings(mixer), {}, 4)
    runs = [run(1e-2, 0), run(3e-2, 1)]
    config = settings().training_for(runs[0])
    together = train_ensemble(task, runs, config, progress=False)
    for own in runs:
        alone = fit(task, own, config, progress=False)
        assert together.last("val_loss")[own.name] == pytest.approx(alone.last("val_loss"), rel=2e-4)


def test_compression_decodes_every_position_from_the_last_state():
    task = RecallTask(settings(data={"name": "compression", "vocab_size": 8, "seq_len": 6}), {}, 4)
    model, batch = task.build(0), task.batch(0, range(4), 0)
    logits = model(batch["tokens"], batch["positions"])
    assert logits.shape == (4, 6, 8)
    last = model.language_model.hidden(batch["tokens"])[:, -1]
    swapped = batch["tokens"].flip(0)
    swapped_last = model.language_model.hidden(swapped)[:, -1]
    torch.testing.assert_close(last.flip(0), swapped_last)
    torch.testing.assert_close(model(swapped, batch["positions"]), logits.flip(0))


def test_wrong_settings_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="did you mean 'mqar'"):
        settings(data={"name": "mqra"})
    with pytest.raises(ValueError, match="not a multiple"):
        settings(validation_examples=6)
    with pytest.raises(ValueError, match="the task 16"):
        RecallShard(**settings().model_dump(), sweep="s", runs=[run(seq_len=8)])


def test_the_cost_counts_the_parameters_of_attention():
    chosen = settings(tie_embeddings=True)
    task = RecallTask(chosen, {}, 4)
    assert chosen.model_cost({}).num_params == sum(p.numel() for p in task.build(0).parameters())

"""The loop against a loop written by hand, in one process."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from toy_training import SETTINGS, ToyTask, toy_config, toy_model

from shared.base.seeding import derive_seed
from shared.train.config import TrainingConfig
from shared.train.loop import fit
from shared.train.optimizer import build_optimizer
from shared.train.runtime import limited_threads


def by_hand(model, task, config):
    """The same training without accelerate, logging, checkpoints; losses and gradient norms of all steps."""
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.lr,
        fused=True,
    )
    losses, norms = [], []
    for step in range(config.num_steps):
        torch.manual_seed(derive_seed(config.seed, "training noise", step, 0))
        loss, _ = task.loss(model, task.batch(step, range(config.batch_size)))
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), config.clip_grad_norm or math.inf).item())
        for group in optimizer.param_groups:
            group["lr"] = config.lr * config.lr_multiplier()(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms


def states_equal(first, second):
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("clip_grad_norm", [None, 0.5])
def test_fit_equals_a_hand_written_loop_bit_for_bit(clip_grad_norm):
    config = toy_config(clip_grad_norm=clip_grad_norm, log_every=1)
    model, reference = toy_model(), toy_model()
    result = fit(model, ToyTask(), config, progress=False)
    with limited_threads(1):  # as in fit; sums are split differently over two
        losses, norms = by_hand(reference, ToyTask(), config)
    train = [row for row in result.rows if row["phase"] == "train"]
    assert [row["loss"] for row in train] == losses
    assert [row["grad_norm"] for row in train] == norms
    assert states_equal(model, reference)


def test_logged_rows_are_means_over_the_updates_since_the_row_before():
    every = fit(toy_model(), ToyTask(), toy_config(log_every=1), progress=False).table()
    seventh = fit(toy_model(), ToyTask(), toy_config(log_every=7), progress=False).table()
    train, rows = every[every.phase == "train"], seventh[seventh.phase == "train"]
    assert rows.step.tolist() == [7, 14, 21, 28, 35, 40]
    starts = [0, 7, 14, 21, 28, 35]
    for start, (_, row) in zip(starts, rows.iterrows(), strict=True):
        part = train[(train.step > start) & (train.step <= row.step)]
        assert row.mae == pytest.approx(part.mae.mean(), rel=1e-14)  # summation order only
        assert row.lr == part.lr.iloc[-1]


def test_evaluation_neither_disturbs_training_nor_depends_on_how_often_it_ran():
    models = toy_model(), toy_model()
    often = fit(models[0], ToyTask(), toy_config(eval_every=5), progress=False)
    once = fit(models[1], ToyTask(), toy_config(eval_every=0), progress=False)
    assert [row["step"] for row in often.rows if row["phase"] == "eval"] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert [row["step"] for row in once.rows if row["phase"] == "eval"] == [40]
    assert once.last("val_loss") == often.last("val_loss")
    assert states_equal(*models)


def test_accumulated_gradients_equal_one_big_batch():
    models = toy_model(dropout=0.0), toy_model(dropout=0.0)
    whole = fit(models[0], ToyTask(), toy_config(), progress=False)
    parts = fit(models[1], ToyTask(), toy_config(grad_accumulation_steps=4), progress=False)
    # float32 sums in another order, amplified over 40 steps
    torch.testing.assert_close(models[1].state_dict(), models[0].state_dict(), rtol=1e-4, atol=1e-5)
    assert parts.last("loss") == pytest.approx(whole.last("loss"), rel=1e-4)
    assert parts.last("grad_norm") == pytest.approx(whole.last("grad_norm"), rel=1e-3)


def test_the_callers_random_state_threads_and_forward_are_left_alone():
    torch.manual_seed(11)
    model, before, threads = toy_model(), torch.get_rng_state(), torch.get_num_threads()
    forward = model.forward
    fit(model, ToyTask(), toy_config(precision="bf16"), num_threads=threads + 1, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert model.forward == forward
    assert all(parameter.dtype == torch.float32 and parameter.grad is None for parameter in model.parameters())


def test_bf16_differs_from_fp32_and_follows_it():
    exact = fit(toy_model(), ToyTask(), toy_config(), progress=False)
    mixed = fit(toy_model(), ToyTask(), toy_config(precision="bf16"), progress=False)
    assert mixed.last("loss") != exact.last("loss")
    assert mixed.last("loss") == pytest.approx(exact.last("loss"), rel=0.05)  # 8 bits of mantissa, 40 steps


@pytest.mark.parametrize("poison_at", [0, 17])
def test_a_diverged_run_is_a_record(poison_at, tmp_path):
    model = toy_model()
    result = fit(model, ToyTask(poison_at=poison_at), toy_config(), checkpoint_dir=tmp_path, progress=False)
    assert result.diverged and result.steps == poison_at
    steps = [(row["step"], row["phase"]) for row in result.rows]
    before = [] if poison_at == 0 else [(7, "train"), (14, "train"), (15, "eval"), (17, "train")]
    assert steps == [*before, (poison_at, "diverged")]
    assert all(math.isfinite(row["loss"]) == (row["phase"] == "train") for row in result.rows if "loss" in row)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert result.table().diverged.all()
    again = fit(toy_model(), ToyTask(kill_at=0), toy_config(), checkpoint_dir=tmp_path, progress=False)
    assert repr(again) == repr(result)  # repr: NaN is equal to NaN


def test_an_infinite_gradient_ends_the_run_although_the_loss_is_finite():
    class Kink(ToyTask):
        def loss(self, model, batch):
            loss, metrics = super().loss(model, batch)
            return loss + (model[0].weight * 0).abs().sum().sqrt(), metrics  # derivative of sqrt at 0

    result = fit(toy_model(), Kink(), toy_config(), progress=False)
    assert result.diverged and result.steps == 0


def test_any_optimizer_can_be_passed_and_the_schedule_scales_its_groups():
    model = toy_model()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[3].parameters(), "lr": 0.2}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    config = TrainingConfig(num_steps=10, batch_size=16, schedule="linear", log_every=1)
    fit(model, ToyTask(), config, optimizer=optimizer, progress=False)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.02], rel=1e-12)


def test_an_optimizer_that_contradicts_the_settings_is_refused():
    model = toy_model()
    with pytest.raises(ValueError, match=r"say lr = 0\.01, but the SGD that was passed has 0\.5"):
        fit(model, ToyTask(), toy_config(), optimizer=torch.optim.SGD(model.parameters(), lr=0.5), progress=False)


@pytest.mark.parametrize(("weight_decay_on", "decayed"), [("matrices", {"0.weight"}), ("all", {"0.weight", "0.bias"})])
def test_weight_decay_reaches_the_parameters_that_the_settings_name(weight_decay_on, decayed):
    model = toy_model()
    model[3].weight.no_weight_decay = model[3].bias.no_weight_decay = True
    optimizer = build_optimizer(model, toy_config(weight_decay_on=weight_decay_on))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {g["weight_decay"]: {names[id(p)] for p in g["params"]} for g in optimizer.param_groups}
    assert groups[0.1] == decayed
    assert groups[0.1] | groups[0.0] == set(names.values()) and not groups[0.1] & groups[0.0]


def test_metrics_may_not_take_the_loops_names():
    class Clash(ToyTask):
        def evaluate(self, model, step):
            return {"loss": 1.0}

    with pytest.raises(ValueError, match="metric names loss are the training loop's own columns"):
        fit(toy_model(), Clash(), toy_config(), progress=False)


def test_provenance_is_apart_from_the_rows():
    result = fit(toy_model(), ToyTask(), toy_config(), num_threads=1, progress=False)
    assert result.provenance["device"] == "cpu" and result.provenance["num_threads"] == 1
    assert result.provenance["tokens_per_second"] == 8 * result.provenance["rows_per_second"] > 0
    assert 0 < result.provenance["update_seconds"] <= result.provenance["wall_seconds"]
    assert not any("seconds" in name for name in result.table().columns)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 15, "grad_accumulation_steps": 4}, "batch_size 15 is not divisible"),
        ({"betas": (0.9, 1.0)}, r"betas must lie in \[0, 1\)"),
        ({"min_lr_ratio": 0.1, "min_lr": 1e-4}, "name the same floor twice"),
        ({"min_lr": 1.0}, "above the peak"),
        ({"warmup_steps": 41}, "between 0 and num_steps = 40"),
        ({"schedule": "wsd"}, "needs decay_steps"),
        ({"num_steps": 0}, "greater than 0"),
        ({"lr": float("nan")}, "finite"),
        ({"learning_rate": 1.0}, "learning_rate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        toy_config(**changes)


def test_an_absolute_floor_is_the_lr_at_the_end():
    config = toy_config(min_lr=1e-3)
    assert config.lr * config.lr_multiplier()(config.num_steps) == pytest.approx(1e-3, rel=1e-12)


def test_settings_survive_json():
    config = toy_config(betas=(0.8, 0.95))
    assert TrainingConfig(**config.model_dump(mode="json")) == config
    assert set(SETTINGS) <= set(config.model_dump())


def test_fp16_and_a_missing_gpu_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        fit(toy_model(), ToyTask(), toy_config(precision="fp16"), progress=False)
    with pytest.raises(ValueError, match="'cuda' needs a CUDA GPU and this machine shows none"):
        fit(toy_model(), ToyTask(), toy_config(), device="cuda", progress=False)

"""The loop against a loop written by hand, in one process."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from toy_training import RULE, SETTINGS, ToyTask, toy_config, toy_model, toy_run

from shared.base.seeding import derive_seed
from shared.optim.cases import CASES
from shared.train.config import TrainingConfig
from shared.train.loop.fit import fit
from shared.train.loop.optimizer import build_optimizer
from shared.train.loop.runtime import limited_threads
from shared.train.run import Run


def fitted(task=None, run=None, **options):
    """The toy run, quietly; options are of the training block, or of `fit` where it has them."""
    own = {name: options.pop(name) for name in ("checkpoint_dir", "num_threads", "device") if name in options}
    return fit(task or ToyTask(), run or toy_run(), toy_config(**options), progress=False, **own)


def by_hand(model, task, run, config):
    """The same training without accelerate, logging, checkpoints; losses and gradient norms of all steps."""
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": RULE["weight_decay"]},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=RULE["lr"],
        fused=True,
    )
    losses, norms = [], []
    for step in range(run.num_steps):
        torch.manual_seed(derive_seed(run.data_seed, "training noise", step, 0))
        loss, _ = task.loss(model, task.batch(step, range(run.batch_size), run.data_seed), {})
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), run.clip_norm or math.inf).item())
        for group in optimizer.param_groups:
            group["lr"] = run.lr * config.lr_multiplier(run)(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms


def states_equal(first, second):
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_fit_equals_a_hand_written_loop_bit_for_bit(clip_norm):
    run, reference = toy_run(clip_norm=clip_norm), toy_model()
    result = fitted(run=run, log_every=1)
    with limited_threads(1):  # as in fit; sums are split differently over two
        losses, norms = by_hand(reference, ToyTask(), run, toy_config())
    train = [row for row in result.rows if row["phase"] == "train"]
    assert [row["loss"] for row in train] == losses
    assert [row["grad_norm"] for row in train] == norms
    assert states_equal(result.model, reference)


def test_logged_rows_are_means_over_the_updates_since_the_row_before():
    every = fitted(log_every=1).table()
    seventh = fitted(log_every=7).table()
    train, rows = every[every.phase == "train"], seventh[seventh.phase == "train"]
    assert rows.step.tolist() == [7, 14, 21, 28, 35, 40]
    starts = [0, 7, 14, 21, 28, 35]
    for start, (_, row) in zip(starts, rows.iterrows(), strict=True):
        part = train[(train.step > start) & (train.step <= row.step)]
        assert row.mae == pytest.approx(part.mae.mean(), rel=1e-14)  # summation order only
        assert row.lr == part.lr.iloc[-1]


def test_evaluation_neither_disturbs_training_nor_depends_on_how_often_it_ran():
    often, once = fitted(eval_every=5), fitted(eval_every=0)
    assert [row["step"] for row in often.rows if row["phase"] == "eval"] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert [row["step"] for row in once.rows if row["phase"] == "eval"] == [40]
    assert once.last("val_loss") == often.last("val_loss")
    assert states_equal(often.model, once.model)


def test_accumulated_gradients_equal_one_big_batch():
    whole, parts = fitted(ToyTask(dropout=0.0)), fitted(ToyTask(dropout=0.0), grad_accumulation_steps=4)
    # float32 sums in another order, amplified over 40 steps
    torch.testing.assert_close(parts.model.state_dict(), whole.model.state_dict(), rtol=1e-4, atol=1e-5)
    assert parts.last("loss") == pytest.approx(whole.last("loss"), rel=1e-4)
    assert parts.last("grad_norm") == pytest.approx(whole.last("grad_norm"), rel=1e-3)


def test_the_callers_random_state_threads_and_forward_are_left_alone():
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    model = fitted(precision="bf16", num_threads=threads + 1).model
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert model.forward == type(model).forward.__get__(model)  # accelerate puts its own there while it trains
    assert all(parameter.dtype == torch.float32 and parameter.grad is None for parameter in model.parameters())


def test_bf16_differs_from_fp32_and_follows_it():
    exact = fitted()
    mixed = fitted(precision="bf16")
    assert mixed.last("loss") != exact.last("loss")
    assert mixed.last("loss") == pytest.approx(exact.last("loss"), rel=0.05)  # 8 bits of mantissa, 40 steps


@pytest.mark.parametrize("poison_at", [0, 17])
def test_a_diverged_run_is_a_record(poison_at, tmp_path):
    result = fitted(ToyTask(poison_at=poison_at), checkpoint_dir=tmp_path)
    assert result.diverged and result.steps == poison_at
    steps = [(row["step"], row["phase"]) for row in result.rows]
    before = [] if poison_at == 0 else [(7, "train"), (14, "train"), (15, "eval"), (17, "train")]
    assert steps == [*before, (poison_at, "diverged")]
    assert all(math.isfinite(row["loss"]) == (row["phase"] == "train") for row in result.rows if "loss" in row)
    assert all(parameter.isfinite().all() for parameter in result.model.parameters())
    assert result.table().diverged.all()
    again = fitted(ToyTask(kill_at=0), checkpoint_dir=tmp_path)
    assert repr(again) == repr(result)  # repr: NaN is equal to NaN
    assert states_equal(again.model, result.model)


def test_an_infinite_gradient_ends_the_run_although_the_loss_is_finite():
    class Kink(ToyTask):
        def loss(self, model, batch, values):
            loss, metrics = super().loss(model, batch, values)
            return loss + (model[0].weight * 0).abs().sum().sqrt(), metrics  # derivative of sqrt at 0

    result = fitted(Kink())
    assert result.diverged and result.steps == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_rule_gets_the_hyperparameters_of_the_run_and_decays_matrices_alone(case):
    run = Run(name="one", optimizer=case.name, settings=case.settings, num_steps=1, batch_size=1)
    optimizer = build_optimizer(run, toy_model(), toy_config())
    for group in optimizer.param_groups:
        found = group | dict(zip(("beta1", "beta2"), group.get("betas", ()), strict=False))
        vectors = all(parameter.ndim < 2 for parameter in group["params"])
        for name, value in case.settings.items():
            assert found[name] == (0.0 if vectors and name in ("weight_decay", "l2") else value)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_step_that_depends_on_the_loss_is_computed_from_it_and_logged(parts):
    """NGN: lr / (1 + lr |g|^2 / (2 f)), Orvieto and Xiao 2024; f and g are means over the parts of a batch."""
    run = Run(name="one", optimizer="ngn", settings={"lr": 2.0}, num_steps=10, batch_size=16)
    found = fitted(run=run, log_every=1, grad_accumulation_steps=parts)
    for row in [row for row in found.rows if row["phase"] == "train"]:
        expected = row["lr"] / (1 + row["lr"] * row["grad_norm"] ** 2 / (2 * row["loss"]))
        assert row["effective_lr"] == pytest.approx(expected, rel=1e-5)  # float32


def test_gradient_noise_is_drawn_from_the_data_seed_and_the_step():
    quiet, noisy, again = (fitted(run=toy_run(noise_scale=scale)).rows[0] for scale in (0.0, 0.1, 0.1))
    assert noisy == again and noisy["grad_norm"] > quiet["grad_norm"]


@pytest.mark.parametrize(("weight_decay_on", "decayed"), [("matrices", {"0.weight"}), ("all", {"0.weight", "0.bias"})])
def test_weight_decay_reaches_the_parameters_that_the_settings_name(weight_decay_on, decayed):
    model = toy_model()
    model[3].weight.no_weight_decay = model[3].bias.no_weight_decay = True
    optimizer = build_optimizer(toy_run(), model, toy_config(weight_decay_on=weight_decay_on))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {g["weight_decay"]: {names[id(p)] for p in g["params"]} for g in optimizer.param_groups}
    assert groups[0.1] == decayed
    assert groups[0.1] | groups[0.0] == set(names.values()) and not groups[0.1] & groups[0.0]


def test_metrics_may_not_take_the_loops_names():
    class Clash(ToyTask):
        def evaluate(self, model, step):
            return {"loss": 1.0}

    with pytest.raises(ValueError, match="metric names loss are the training loop's own columns"):
        fitted(Clash())


def test_provenance_is_apart_from_the_rows():
    result = fitted(num_threads=1)
    assert result.provenance["device"] == "cpu" and result.provenance["num_threads"] == 1
    assert result.provenance["tokens_per_second"] == 8 * result.provenance["rows_per_second"] > 0
    assert 0 < result.provenance["update_seconds"] <= result.provenance["wall_seconds"]
    assert not any("seconds" in name for name in result.table().columns)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_lr_ratio": 0.1, "min_lr": 1e-4}, "name the same floor twice"),
        ({"warmup_steps": -1}, "greater than or equal to 0"),
        ({"min_lr": float("nan")}, "finite"),
        ({"learning_rate": 1.0}, "learning_rate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        toy_config(**changes)


@pytest.mark.parametrize(
    ("changes", "training", "words"),
    [
        ({"batch_size": 15}, {"grad_accumulation_steps": 4}, "batch_size 15 cannot be shared evenly"),
        ({"settings": {"beta1": 1.0}}, {}, r"beta1 of optimiser 'adam\w*' must lie in \[0, 1\)"),
        ({"settings": {"lr": float("nan")}}, {}, "lr of optimiser"),
        ({"settings": {"lr": "fast"}}, {}, "lr of run 'toy' must be a number; got 'fast'"),
        ({"settings": {"betas": 1.0}}, {}, "unknown hyperparameter 'betas'"),
        ({}, {"min_lr": 1.0}, "min_lr 1.0 is above the peak learning rate 0.01 of 'toy'"),
        ({}, {"warmup_steps": 41}, "between 0 and num_steps = 40"),
        ({}, {"schedule": "wsd"}, "needs decay_steps"),
        ({"num_steps": 0}, {}, "num_steps of run 'toy' must be at least 1"),
        ({"clip_norm": 0.0}, {}, "clip_norm of run 'toy' must be positive"),
        ({"noise_scale": -1.0}, {}, "noise_scale of run 'toy' must be at least 0"),
    ],
)
def test_runs_that_cannot_be_trained_are_refused(changes, training, words):
    with pytest.raises(ValueError, match=words):
        fitted(run=toy_run(**changes), **training)


def test_an_absolute_floor_is_the_lr_at_the_end_whatever_the_peak():
    for lr in (2e-3, 1e-2):
        schedule = toy_config(min_lr=1e-3).lr_multiplier(toy_run({"lr": lr}))
        assert lr * schedule(40) == pytest.approx(1e-3, rel=1e-12)


def test_settings_survive_json():
    config = toy_config(min_lr=1e-4)
    assert TrainingConfig(**config.model_dump(mode="json")) == config
    assert set(SETTINGS) <= set(config.model_dump())


def test_fp16_and_a_missing_gpu_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        fitted(precision="fp16")
    with pytest.raises(ValueError, match="'cuda' needs a CUDA GPU and this machine shows none"):
        fitted(device="cuda")

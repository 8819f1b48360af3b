"""A member of a job is a run of its own, whatever its task and whatever a run can have; jobs widen their grids."""

import math

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from shared.data.config import TextConfig, TokenizerConfig
from shared.optim.cases import CASES
from shared.train.images.config import ImageShard
from shared.train.images.task import ImageTask
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.language.task import LanguageTask
from shared.train.rules import columns_of
from shared.train.run import Run
from shared.train.sweep.config import SweepConfig
from shared.train.sweep.packing import sweep_shards
from shared.train.sweep.running import train_shard

BYTES = TextConfig(tokenizer=TokenizerConfig(kind="byte", num_ordinary=256))
BACKBONE = {"d_model": 8, "num_layers": 1, "num_heads": 2, "mlp": "swiglu", "mlp_ratio": 2, "init_std": 0.02}
LANGUAGE = LanguageSettings(
    text=BYTES, seq_len=8, backbone=BACKBONE, validation_windows=8, validation_rows=4, num_train_points=3, stack=2
)
SMALL = {
    "mlp": {"widths": (12,)},
    "cnn": {"widths": (4, 8)},
    "resnet": {"widths": (4, 8), "blocks": (1, 1), "norm": "batch"},
    "vit": {"patch_size": 4, "d_model": 8, "num_layers": 1, "num_heads": 2},
}


class InDouble(ImageTask):
    """The task in float64, where rounding cannot hide a difference."""

    def build(self, seed):
        return super().build(seed).double()

    def batch(self, step, rows, seed):
        batch = super().batch(step, rows, seed)
        return batch | {"images": batch["images"].double()}

    def evaluation(self):
        return (batch | {"images": batch["images"].double()} for batch in super().evaluation())


def image_job(runs, **settings) -> ImageShard:
    base = {"kind": "mlp", "model": SMALL["mlp"], "num_train_points": 3, "stack": 4}
    return ImageShard(sweep="digits", runs=runs, **base | settings)


def run(name, optimizer="adam", settings=None, **changes) -> Run:
    own = {"batch_size": 16, "num_steps": 8, "values": {"label_smoothing": 0.1}}
    return Run(name=name, optimizer=optimizer, settings=settings or {"lr": 1e-2}, **own | changes)


def both_ways(shard, task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of the job stacked and with its runs alone, in one order of rows."""
    found = []
    for alone in (False, True):
        table = train_shard(shard.model_copy(update={"alone": alone}), task, progress=False).table
        found.append(table.sort_values(["run", "step", "phase"], kind="stable").reset_index(drop=True))
    assert sorted(found[0]) == sorted(found[1])
    return found[0], found[1][found[0].columns]


def everything_varied() -> list[Run]:
    """Runs that differ from the first in one thing each, and every rule of the library."""
    changes = {
        "lr": {"settings": {"lr": 3e-2}},
        "beta1": {"settings": {"lr": 1e-2, "beta1": 0.5}},
        "beta2": {"settings": {"lr": 1e-2, "beta2": 0.9}},
        "eps": {"settings": {"lr": 1e-2, "eps": 1e-2}},
        "weight_decay": {"settings": {"lr": 1e-2, "weight_decay": 1.0}},
        "l2": {"settings": {"lr": 1e-2, "l2": 0.1}},
        "seed": {"seed": 1},
        "data_seed": {"data_seed": 1},
        "noise_scale": {"noise_scale": 0.1},
        "values": {"values": {"label_smoothing": 0.3}},
    }
    runs = [run("first"), *(run(name, **changed) for name, changed in changes.items())]
    return runs + [run(case.id, case.name, dict(case.settings), seed=2) for case in CASES]


@pytest.mark.parametrize("min_lr", [None, 5e-3])
def test_alone_and_stacked_are_equal_in_everything_that_a_run_can_have(min_lr):
    shard = image_job(everything_varied(), min_lr=min_lr)
    stacked, alone = both_ways(shard, InDouble.of_shard(shard))
    pd.testing.assert_frame_equal(stacked, alone, check_exact=False, rtol=1e-8, atol=1e-11)  # float64, 8 updates
    final = stacked[stacked.phase == "eval"].set_index("run").val_loss
    assert (final.drop("first") - final["first"]).abs().min() > 1e-6, "a variation had no effect"


def test_alone_and_stacked_are_equal_under_a_bound_on_the_norm():
    shard = image_job([run("tight", clip_norm=0.1, optimizer="sgd"), run("loose", clip_norm=100.0, optimizer="sgd")])
    stacked, alone = both_ways(shard, InDouble.of_shard(shard))
    # the training loop clips as torch does, by max_norm / (norm + 1e-6)
    pd.testing.assert_frame_equal(stacked, alone, check_exact=False, rtol=1e-5, atol=1e-11)
    final = stacked[stacked.phase == "eval"].set_index("run").val_loss
    assert abs(final["tight"] - final["loose"]) > 1e-3


@pytest.mark.parametrize("kind", SMALL)
def test_every_kind_of_image_model_can_be_swept(kind):
    shard = image_job([run("a"), run("b", seed=1), run("c", "ngn_m", {"lr": 1.0})], kind=kind, model=SMALL[kind])
    stacked, alone = both_ways(shard, InDouble.of_shard(shard))
    pd.testing.assert_frame_equal(stacked, alone, check_exact=False, rtol=1e-7, atol=1e-10)
    assert {"accuracy", "val_accuracy", "val_loss", "effective_lr"} <= set(stacked)


class WorstImage(InDouble):
    """An evaluation that is no mean over rows, on inputs disturbed by torch's global generator."""

    def evaluate(self, model, step):
        images, labels = self.data.test_images.double(), self.data.test_labels
        logits = model(images + 0.1 * torch.randn(images.shape, dtype=images.dtype))
        return {"val_loss": F.cross_entropy(logits, labels, reduction="none").max(), "done": step}


def test_a_task_s_own_evaluation_is_the_same_alone_and_stacked():
    runs = [run("a"), run("b", seed=1), run("c", data_seed=5)]
    shard = image_job(runs, kind="cnn", model=SMALL["cnn"], num_evaluations=2)
    stacked, alone = both_ways(shard, WorstImage.of_shard(shard))
    pd.testing.assert_frame_equal(stacked, alone, check_exact=False, rtol=1e-7, atol=1e-10)
    found = stacked[stacked.phase == "eval"]
    assert found.done.tolist() == [4, 8] * 3 and found.val_loss.nunique() == 6


def test_a_run_that_diverges_is_the_same_row_either_way():
    shard = image_job([run("fine"), run("wild", "sgd", {"lr": 1e200})])
    stacked, alone = both_ways(shard, InDouble.of_shard(shard))
    pd.testing.assert_frame_equal(stacked, alone, check_exact=False, rtol=1e-8, atol=1e-11)
    ended = stacked[stacked.run == "wild"]
    assert ended.diverged.all() and "diverged" in set(ended.phase) and ended.step.max() < 8
    assert not stacked[stacked.run == "fine"].diverged.any()


def language_sweep(**changes) -> SweepConfig:
    blocks = [{"optimizer": "adam", "grid": {"beta2": [0.9, 0.99], "lr": [1e-3, 4e-3]}, "fixed": {"weight_decay": 0.1}}]
    base = {"batch_size": 2, "seq_len": 8, "num_steps": 6, "seeds": 2, "fixed": {"clip_norm": 1.0}, "blocks": blocks}
    return SweepConfig(**base | changes)


def language_job(settings=LANGUAGE, **changes) -> LanguageShard:
    (shard,) = sweep_shards(LanguageShard, settings, language_sweep(**changes), name="sweep").values()
    return shard


@pytest.mark.parametrize("min_lr", [None, 9e-4])
def test_language_models_are_equal_alone_and_stacked(min_lr):
    shard = language_job(LANGUAGE.model_copy(update={"min_lr": min_lr}))
    stacked, alone = both_ways(shard, LanguageTask.of_shard(shard))
    assert set(columns_of(shard.runs[0])) <= set(stacked)
    for metric in ("loss", "val_loss"):  # float32 in another order of sums
        assert alone[metric].to_numpy() == pytest.approx(stacked[metric].to_numpy(), abs=2e-5, nan_ok=True)


def test_a_job_with_an_edge_trains_more_runs_and_says_which(tmp_path):
    low = {"blocks": [{"optimizer": "adam", "grid": {"lr": [1e-5, 1e-4]}}], "seeds": 1}
    shard = language_job(LANGUAGE.model_copy(update={"extensions": 2}), **low)
    task = LanguageTask.of_shard(shard)
    first = train_shard(shard, task, checkpoint_dir=tmp_path, progress=False).table
    final = first[first.phase == "eval"]
    assert final.lr.tolist() == [1e-5, 1e-4, 1e-3, 1e-2] and final.extension.tolist() == [0, 0, 1, 2]
    again = train_shard(shard, task, checkpoint_dir=tmp_path, progress=False).table
    pd.testing.assert_frame_equal(first, again)


def test_fresh_seeds_measure_the_point_that_others_chose(tmp_path):
    one = {"blocks": [{"optimizer": "adam", "grid": {"lr": [1e-3, 4e-3]}}], "seeds": 1}
    shard = language_job(LANGUAGE.model_copy(update={"fresh_seeds": (1, 2)}), **one)
    table = train_shard(shard, LanguageTask.of_shard(shard), checkpoint_dir=tmp_path, progress=False).table
    final = table[table.phase == "eval"]
    tuning, fresh = final[~final.fresh], final[final.fresh]
    assert set(tuning.seed) == {0} and fresh.seed.tolist() == [1, 2]
    assert set(fresh.lr) == {tuning.lr[tuning.val_loss.idxmin()]} and fresh.val_loss.nunique() == 2


def test_a_member_without_eps_leaves_unseen_tokens_where_they_are():
    """Served by torch's one-pass kernel, which divides 0 by 0 there; bytes that docstrings lack have no gradient."""
    one = {"blocks": [{"optimizer": "adam", "grid": {"eps": [0.0, 1e-15], "lr": [1e-3]}}], "seeds": 1}
    shard = language_job(LANGUAGE, **one)
    table = train_shard(shard, LanguageTask.of_shard(shard), progress=False).table
    first, second = table[table.phase == "eval"].val_loss
    assert not table.diverged.any() and first == pytest.approx(second, abs=1e-5)


def test_a_job_widens_the_momentum_too_where_the_settings_say_so():
    runs = [run(f"sgd momentum={m:g} seed=0", "sgd", {"lr": 1e-3, "momentum": m}) for m in (0.0, 0.5)]
    shard = image_job(runs, extensions=2, widen=("lr", "momentum"))
    final = train_shard(shard, ImageTask.of_shard(shard), progress=False).table.query("phase == 'eval'")
    assert final.momentum.tolist() == [0.0, 0.5, 0.75, 0.875] and final.extension.tolist() == [0, 0, 1, 2]
    assert final.run.tolist()[2:] == ["sgd momentum=0.75 seed=0", "sgd momentum=0.875 seed=0"]


def test_the_stack_is_measured_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path))
    shard = image_job([run("a"), run("b", seed=1), run("c", seed=2)], stack=None)
    first = train_shard(shard, ImageTask.of_shard(shard), progress=False).table
    measured = (tmp_path / "ensemble-speed.json").read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(first, train_shard(shard, ImageTask.of_shard(shard), progress=False).table)
    assert (tmp_path / "ensemble-speed.json").read_text(encoding="utf-8") == measured and '"3"' in measured


def test_states_of_all_runs_come_back_under_their_names():
    shard = image_job([run("a"), run("b", seed=1)])
    task = ImageTask.of_shard(shard)
    outcome = train_shard(shard, task, progress=False)
    model = task.build(0)
    for name in ("a", "b"):
        model.load_state_dict(outcome.states[name])
        evaluated = task.evaluate(model.eval(), 8)
        row = outcome.table[(outcome.table.run == name) & (outcome.table.phase == "eval")].iloc[-1]
        assert row.val_loss == pytest.approx(evaluated["val_loss"], rel=1e-5) and math.isfinite(row.val_loss)
    assert not any(torch.equal(outcome.states["a"][k], outcome.states["b"][k]) for k in outcome.states["a"])

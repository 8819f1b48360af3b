"""Branches and pairs of tasks that start from a published encoder: a tiny random one, on small sets of a mirror."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from papers.merging_noise import branch, cross, curves, figures
from papers.merging_noise.config import shards
from papers.merging_noise.settings import CrossTasks, ForkPlan, ImageBranches, Images
from papers.merging_noise.task import MergeTask, head_of, without_head
from shared.artifacts.config import load_config
from shared.train.run import Run

transformers = pytest.importorskip("transformers")

TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
LRS = (3e-3, 1e-2, 2e-2)


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """Folder of a random tower of images; a mirror holds both sets, whose classes differ in colour."""
    folder, mirror = tmp_path / "tower", tmp_path / "mirror"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.CLIPVisionConfig(**TOWER, image_size=224, patch_size=112)
        transformers.CLIPVisionModel(config).save_pretrained(folder)
    moments = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(moments))
    for name, shift in (("resisc45", 0), ("fmow", 1)):
        for split, labels in (("train", [0, 1, 2] * 4), ("test", [0, 1, 2, 0])):
            cells = [{"bytes": plain((label + shift) % 3), "path": None} for label in labels]
            (mirror / name).mkdir(parents=True, exist_ok=True)
            table = pa.table({"image": cells, "label": labels})
            pa.parquet.write_table(table, mirror / name / f"{split}.parquet")
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(mirror))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return folder


def plain(channel):
    pixels, stream = np.zeros((8, 8, 3), np.uint8), io.BytesIO()
    pixels[..., channel] = 255
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def settings_of(encoder, **changes):
    own = {"dataset": "resisc45", "normalisation": "unit", "kind": "pretrained", "model": {"name": str(encoder)}}
    return own | {"warmup_fraction": 0, "validation_rows": 4, "stack": 1} | changes


def test_branches_of_a_published_encoder_are_trained_and_merged(encoder, tmp_path):
    how = {"optimizer": "adamw", "batch_size": 6, "num_steps": 40, "settings": {"lr": 1e-2, "weight_decay": 0.1}}
    plan = ForkPlan(forks=(0,), path_points=5, arithmetic_points=3)
    runs = (Run(name="one", seed=0, **how),)
    shard = ImageBranches(**settings_of(encoder), sweep="transfer", runs=runs, plan=plan)
    found = list(branch.forked("one", shard, "cpu", 1, tmp_path / "checkpoints" / "one"))
    (pairs,) = [row for part, row in found if part == "pairs"]
    assert pairs["model"] == "pretrained" and pairs["fork"] == 0 and pairs["distance"] > 0
    assert pairs["accuracy"] == 100 and pairs["train_loss"] < np.log(45) / 2  # colours are learnt
    losses = {row["alpha"]: row["loss"] for part, row in found if part == "path"}
    assert losses[0.5] == pytest.approx(pairs["loss_merged"], abs=1e-5)
    scales = {row["scale"]: row["loss"] for part, row in found if part == "arithmetic" and row["method"] != "TIES"}
    task = MergeTask(Images(**settings_of(encoder)), {}, 6)
    assert scales[0.0] == pytest.approx(task.evaluate(task.build(0).eval(), 0)["val_loss"], abs=1e-5)  # the base


def test_two_tasks_share_the_encoder_and_each_keeps_its_head(encoder):
    settings = CrossTasks(
        title="both", images=settings_of(encoder), base=None, datasets=("fmow", "resisc45"), optimizer="adamw",
        lrs=LRS, batch_size=6, num_steps=40, seeds=1, scales=(0.0, 0.5), stack=1,
    )  # fmt: skip
    rows = cross.cross(settings, device="cpu", threads=1)["merged"]
    assert len(rows) == 2 * 2 * len(LRS) ** 2
    tasks = [MergeTask(own, {}, 6) for own in cross.task_images(settings)]
    tuned = [cross.fine_tuned(task, settings, [0], "cpu", 1) for task in tasks]
    base = without_head(tasks[0].build(0))
    for row in rows:
        if row["scale"] == 0.0:  # the published encoder under the head that each task trained
            found = []
            for task, own, lr in zip(tasks, tuned, (row["lr_1"], row["lr_2"]), strict=True):
                model = task.build(0).eval()
                model.load_state_dict(own[lr, 0] | base)
                found.append(100 * task.evaluate(model, 0)["val_accuracy"])
            assert row["accuracy"] == pytest.approx(np.mean(found), abs=1e-3)
    assert [head_of(task.build(0)).out_features for task in tasks] == [62, 45]
    assert max(min(row["single_1"], row["single_2"]) for row in rows) == 100


def test_pairs_of_models_taken_one_by_one_give_what_all_at_once_give(encoder):
    common = {"title": "both", "images": settings_of(encoder), "base": None, "classes": ((0, 1), (2,)), "lrs": LRS}
    common |= {"batch_size": 4, "num_steps": 20, "seeds": 1, "scales": (0.5, 1.0)}
    key = ["method", "scale", "lr_1", "lr_2"]
    alone, together = (
        {tuple(row[k] for k in key): row["accuracy"] for row in cross.cross(own, device="cpu", threads=1)["merged"]}
        for own in (CrossTasks(**common, stack=1), CrossTasks(**common))
    )
    assert alone.keys() == together.keys() and alone == pytest.approx(together, abs=1e-3)


def test_the_test_images_that_count_are_a_fixed_part(encoder):
    whole, few = (MergeTask(Images(**settings_of(encoder, num_test=n)), {}, 6).data for n in (0, 3))
    again = MergeTask(Images(**settings_of(encoder, num_test=3)), {}, 6).data
    assert (len(whole.test_images), len(few.test_images), len(few.test_labels)) == (4, 3, 3)
    assert few.test_labels.equal(again.test_labels) and len(few.train_images) == 12
    pixels = few.test_images[torch.arange(3)][:, :, 0, 0]
    assert pixels.argmax(1).equal(few.test_labels)


@pytest.mark.parametrize("changes", [{"num_train": 6}, {"quarter_turns": 1}])
def test_what_needs_tensors_is_refused_of_bytes(encoder, changes):
    with pytest.raises(ValueError, match="images of resisc45 stay bytes in memory: set num_train and quarter_turns"):
        MergeTask(Images(**settings_of(encoder, **changes)), {}, 6).data  # noqa: B018


def test_a_pair_of_tasks_has_one_base():
    common = {"title": "x", "lrs": LRS, "batch_size": 4, "num_steps": 20, "seeds": 1, "scales": (0.5, 1.0)}
    with pytest.raises(ValueError, match=r"from a base trained here \(base\) or from a pretrained kind"):
        CrossTasks(images=Images(), base=None, **common)


def test_paper_trains_both_encoders_on_both_sets_and_gpu_a_twentieth_of_it():
    paper, gpu = (load_config("merging_noise", scale) for scale in ("paper", "gpu"))
    studies = paper.present()
    names = {role: (studies[role].images.dataset, studies[role].images.model["name"]) for role in
             ("transfer", "resisc45", "convnext")}  # fmt: skip
    clip = "openai/clip-vit-base-patch16"
    expected = {"transfer": ("fmow", clip), "resisc45": ("resisc45", clip)}
    assert names == expected | {"convnext": ("fmow", "facebook/convnext-base-224")}
    for role in names:
        (block,) = studies[role].sweep.blocks
        assert studies[role].images.model["revision"] and studies[role].sweep.seeds == 3
        assert min(block.grid["lr"]) < 3e-5 < max(block.grid["lr"]) and 3e-5 in block.grid["lr"]
    (small,) = shards(gpu)["cross"].values()
    (whole,) = shards(paper)["cross"].values()
    assert whole.datasets == ("fmow", "resisc45") and whole.images.num_test == 0
    assert sorted(small.classes[0] + small.classes[1]) == list(range(45))
    assert whole.num_steps == 20 * small.num_steps == 20 * gpu.present()["transfer"].sweep.num_steps
    for config, name in ((paper, "fmow"), (gpu, "resisc45")):
        lrs = config.present()["transfer"].sweep.blocks[0].grid["lr"]
        assert config.present()["transfer"].images.dataset == name
        assert {config.thresholds.middle_lr["transfer"], config.thresholds.large_lr["transfer"]} <= set(lrs)


def test_published_encoders_are_drawn_apart():
    row = {"accuracy": 60.0, "accuracy_merged": 61.0, "acc_gain": 1.0, "acc_gain_error": 0.1, "num_seeds": 3}
    titles = {"transfer": "CLIP, FMoW", "resisc45": "CLIP, RESISC45", "convnext": "ConvNeXt, FMoW", "grid": "ResNet"}
    means = pd.DataFrame([row | {"study": s, "title": t, "lr": lr} for s, t in titles.items() for lr in LRS])
    found = curves.of_published(means)
    assert set(found.study) == {"transfer", "resisc45", "convnext"}
    (named,) = figures.fig_published(found).legends
    labels = {text.get_text() for text in named.get_texts()}
    assert {"CLIP, FMoW", "CLIP, RESISC45", "ConvNeXt, FMoW"} <= labels and "ResNet" not in labels

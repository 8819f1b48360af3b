"""Bases of the pairs: one per seed where a scale says so, and each pair on its own."""

import numpy as np
import pytest
import torch

from papers.lora_watermark import base as base_step
from papers.lora_watermark import pair as pair_step
from papers.lora_watermark.language_settings import Base, BaseShard, HubModel, Language, PairShard, PairTraining
from papers.lora_watermark.models import load_base
from papers.lora_watermark.pair_training import response_logits
from papers.lora_watermark.score import ratio, token_terms
from papers.lora_watermark.settings import Variant
from shared.artifacts.config import load_shards
from shared.data.text import TextData, TokenDataset
from shared.data.tokenizers import ByteCodec, Tokenizer
from shared.models.lora.config import LoraConfig
from shared.train.checkpoint import load_tree

BASE = Base(
    text={"tokenizer": {"kind": "byte", "num_ordinary": 256}},
    backbone={"d_model": 16, "num_layers": 1, "num_heads": 2, "max_seq_len": 64},
    seq_len=14,
    batch_size=4,
    num_steps=8,
    lr=0.03,
    validation_windows=4,
)
TRAINING = PairTraining(
    lora=LoraConfig(rank=2, alpha=4), num_prompt=4, num_response=10, batch_size=4, num_steps=2, members_per_pass=2
)
VARIANTS = (Variant(name="dual 0.1", eps=0.1), Variant(name="CE only 0.2", eps=0.2, naturalness="ce"))


def text() -> TextData:
    draw = np.random.default_rng(0)
    datasets = [TokenDataset(draw.integers(97, 123, size), np.array([0, size])) for size in (4000, 2000)]
    return TextData(Tokenizer(ByteCodec()), *datasets, "letters")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with the bases of seeds 0 and 1, trained by the step."""
    folder = tmp_path_factory.mktemp("bases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.train.language.task.load_text_data", lambda config: text())
        for name, seeds in (("both", (0, 1)), ("second", (1,))):
            settings = BaseShard(base=BASE, seeds=seeds)
            base_step.base(settings, "cpu", 1, folder / name, folder / f"{name}.safetensors")
    return folder


def test_bases_of_two_seeds_are_two_and_each_is_what_it_would_be_alone(files):
    first, second = (load_base(BASE, files / "both.safetensors", seed, "cpu").state_dict() for seed in (0, 1))
    alone = load_base(BASE, files / "second.safetensors", 1, "cpu").state_dict()
    for name in first:
        torch.testing.assert_close(second[name], alone[name], rtol=1e-4, atol=1e-5)
    assert all((first[name] != second[name]).any() for name in first if first[name].ndim > 1)


def test_a_base_that_is_not_in_the_file_is_refused(files):
    with pytest.raises(ValueError, match="no base of seed 7; it has seed 0, seed 1"):
        load_base(BASE, files / "both.safetensors", 7, "cpu")


@pytest.mark.parametrize("bases", [(0, 1), (0, 0)])
def test_a_pair_starts_from_the_base_of_its_seed(files, tmp_path, monkeypatch, bases):
    monkeypatch.setattr(pair_step, "load_text_data", lambda config: text())
    how = {"training": TRAINING, "variants": VARIANTS, "seeds": (0, 1), "bases": bases}
    settings = PairShard(base=BASE, base_shard="both", **how)
    places = {"base": files / "both.safetensors", "adapters": tmp_path / "pairs.safetensors"}
    rows = pair_step.pair(settings, device="cpu", threads=1, checkpoints=tmp_path / "checkpoints", **places)
    first = rows[rows.step == 1].set_index("seed")
    for seed, base in zip((0, 1), bases, strict=True):
        human = text().train.crops(seed, 0, range(4), 8, 14)  # of the first update; new adapters add nothing
        scores = {}
        for other in (0, 1):
            with torch.no_grad():
                logits = response_logits(load_base(BASE, places["base"], other, "cpu"), None, human, 4)
                scores[other] = ratio(*token_terms(logits, logits, human[:, 4:])).mean().item()
        assert abs(scores[0] - scores[1]) > 1e-3
        assert first.loc[seed].score_human.tolist() == pytest.approx([scores[base]] * len(VARIANTS), abs=1e-5)
    assert (first.rise_performer.abs() < 1e-6).all()
    assert list(load_tree(places["adapters"])) == ["seed 0", "seed 1"]


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_a_scale_has_a_base_per_seed_or_one_for_all(scale):
    found, seeds = load_shards("lora_watermark", scale), []
    for job in found["pair"].values():
        seeds += job.seeds
        assert job.bases == (job.seeds if scale in ("smoke", "cpu") else (0,) * len(job.seeds))
    assert len(set(seeds)) == len(seeds)
    if scale != "paper":
        assert found["base"]["base"].seeds == (tuple(seeds) if scale in ("smoke", "cpu") else (0,))
    for shard in found["evaluate"].values():
        trained = found["pair"][shard.pair_shard]
        assert (shard.seeds, shard.bases, shard.variants) == (trained.seeds, trained.bases, trained.variants)
        controls = [shard.control_of(seed) for seed in shard.seeds]
        assert sorted(controls) == sorted(shard.seeds)  # each is the control of one other
        assert all(own != other for own, other in zip(shard.seeds, controls, strict=True))


@pytest.mark.parametrize(("seeds", "each", "sizes"), [(8, 4, [4, 4]), (3, 2, [3]), (7, 2, [2, 2, 3]), (2, 4, [2])])
def test_no_job_has_a_seed_without_a_control(seeds, each, sizes):
    base = Base(backbone={"d_model": 16, "num_layers": 1, "num_heads": 2})
    how = {"evaluation": {"lengths": [64]}, "seeds": range(seeds), "seeds_per_job": each}
    jobs = Language(base=base, training=PairTraining(), variants=VARIANTS, **how).jobs()
    assert [len(part) for part in jobs.values()] == sizes
    assert [seed for part in jobs.values() for seed in part] == list(range(seeds))


def test_a_published_base_per_seed_is_refused():
    base, training = Base(hub=HubModel(name="tiny")), PairTraining()
    evaluation = {"lengths": [64]}
    with pytest.raises(ValueError, match=r"set language\.bases to 'shared'"):
        Language(base=base, training=training, variants=VARIANTS, seeds=[0, 1], evaluation=evaluation)

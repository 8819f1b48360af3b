"""Bases of the pairs: one per seed where a scale says so, and each pair on its own."""

import numpy as np
import pytest
import torch

from papers.lora_watermark import base as base_step
from papers.lora_watermark import pair as pair_step
from papers.lora_watermark.language_settings import Base, BaseShard, HubModel, Language, Member, PairShard, PairTraining
from papers.lora_watermark.models import load_base
from papers.lora_watermark.pair_training import response_logits
from papers.lora_watermark.score import ratio, token_terms
from papers.lora_watermark.settings import Variant
from shared.artifacts.config import load_shards
from shared.data.text import TextData, TokenDataset
from shared.data.tokenizers import ByteCodec, Tokenizer
from shared.models.lora.config import LoraConfig

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


@pytest.mark.parametrize("seed", [0, 1])
def test_a_pair_starts_from_the_base_of_its_seed(files, tmp_path, monkeypatch, seed):
    monkeypatch.setattr(pair_step, "load_text_data", lambda config: text())
    members = tuple(Member(variant=variant, seed=seed) for variant in VARIANTS)
    settings = PairShard(base=BASE, base_shard="both", base_seed=seed, training=TRAINING, members=members)
    places = {"base": files / "both.safetensors", "adapters": tmp_path / "pairs.safetensors"}
    rows = pair_step.pair(settings, device="cpu", threads=1, checkpoints=tmp_path / "checkpoints", **places)
    human = text().train.crops(seed, 0, range(4), 8, 14)  # of the first update; new adapters add nothing
    scores = {}
    for base in (0, 1):
        with torch.no_grad():
            logits = response_logits(load_base(BASE, places["base"], base, "cpu"), None, human, 4)
            scores[base] = ratio(*token_terms(logits, logits, human[:, 4:])).mean().item()
    assert abs(scores[0] - scores[1]) > 1e-3
    assert rows[rows.step == 1].score_human.tolist() == pytest.approx([scores[seed]] * len(members), abs=1e-5)
    assert (rows[rows.step == 1].rise_performer.abs() < 1e-6).all()


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_a_scale_has_a_base_per_seed_or_one_for_all(scale):
    found = load_shards("lora_watermark", scale)
    pairs, judged = found["pair"], found["evaluate"]
    seeds = [pair.members[0].seed for pair in pairs.values()]
    assert all(
        {member.seed for member in pair.members} == {seed} for seed, pair in zip(seeds, pairs.values(), strict=True)
    )
    bases = [pair.base_seed for pair in pairs.values()]
    assert bases == (seeds if scale in ("smoke", "cpu") else seeds[:1] * len(seeds))
    if scale != "paper":
        assert found["base"]["base"].seeds == tuple(dict.fromkeys(bases))
    for shard in judged.values():
        own, other = pairs[shard.pair_shard], pairs[shard.other_shard]
        assert (shard.base_seed, shard.members) == (own.base_seed, own.members)
        assert (shard.other_seed, shard.other_base_seed) == (other.members[0].seed, other.base_seed)
        assert shard.other_seed != own.members[0].seed
    homes = [shard for shard in judged.values() if shard.source == shard.base.text.source]
    assert sorted(shard.other_seed for shard in homes) == sorted(seeds)  # each seed is the control of one other


def test_a_published_base_per_seed_is_refused():
    base, training = Base(hub=HubModel(name="tiny")), PairTraining()
    evaluation = {"lengths": [64]}
    with pytest.raises(ValueError, match=r"set language\.bases to 'shared'"):
        Language(base=base, training=training, variants=VARIANTS, seeds=[0, 1], evaluation=evaluation)

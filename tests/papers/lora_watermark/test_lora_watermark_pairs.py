"""Pairs on a language model: what is trained, what is sampled, how a killed run resumes, attacks and their undoing."""

import hashlib

import numpy as np
import pytest
import torch

from papers.lora_watermark import attacks
from papers.lora_watermark.attacking import after_paraphrase, attacked
from papers.lora_watermark.detector import Detector
from papers.lora_watermark.language_settings import (
    Attacks,
    Base,
    EvaluateShard,
    Evaluation,
    HubModel,
    Member,
    PairTraining,
    Paraphrase,
)
from papers.lora_watermark.measures import Judged
from papers.lora_watermark.metrics import auc
from papers.lora_watermark.models import HubLanguageModel, adapter_state, continue_prompts, role_name, seed_name
from papers.lora_watermark.pair_training import ROLES, SFT, PairTrainer, Processes, kl, measure, nll
from papers.lora_watermark.score import ratio
from papers.lora_watermark.settings import Variant
from papers.lora_watermark.texts import Bench
from shared.base.seeding import torch_generator
from shared.data.text import TextData, TokenDataset
from shared.data.tokenizers import ByteCodec, Tokenizer
from shared.models.language_model import LanguageModel
from shared.models.lora.adapters import Adapted, add_adapter, layers, set_strength
from shared.models.lora.config import LoraConfig
from shared.train.checkpoint import save_tree, write_checkpoint

BASE = Base(
    text={"tokenizer": {"kind": "byte", "num_ordinary": 256}},
    backbone={"d_model": 16, "num_layers": 1, "num_heads": 2, "max_seq_len": 64},
)
TRAINING = PairTraining(
    lora=LoraConfig(rank=2, alpha=4), num_prompt=4, num_response=10, batch_size=4, num_steps=4, checkpoint_every=2
)
MEMBERS = [Member(variant=Variant(name="dual 0.1", eps=0.1), seed=seed) for seed in (0, 1)]


def text() -> TextData:
    draw = np.random.default_rng(0)
    datasets = [TokenDataset(draw.integers(97, 123, size), np.array([0, size])) for size in (4000, 2000)]
    return TextData(Tokenizer(ByteCodec()), *datasets, "letters")


def model(seed: int = 0) -> LanguageModel:
    built = LanguageModel(BASE.language.model_config_for({}), torch.Generator().manual_seed(seed))
    for parameter in built.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(4)  # an untrained head is nearly uniform; the score has to see something
    return built.eval()


def trainer(training: PairTraining = TRAINING, members: list[Member] = MEMBERS, base: int = 0) -> PairTrainer:
    return PairTrainer(model(base), text(), training, members, "cpu")


def digest(built: torch.nn.Module) -> str:
    kept = [v.detach().numpy().tobytes() for k, v in built.state_dict().items() if "lora_" not in k]
    return hashlib.sha256(b"".join(kept)).hexdigest()


def test_only_adapters_change_and_both_do():
    pairs = trainer()
    before = digest(pairs.model)
    start = {role: adapter_state(pairs.model, role_name(MEMBERS[0], role)) for role in ROLES}
    start = {role: {k: v.clone() for k, v in state.items()} for role, state in start.items()}
    pairs.train()
    assert digest(pairs.model) == before
    for role in ROLES:
        after = adapter_state(pairs.model, role_name(MEMBERS[0], role))
        assert any((after[k] != start[role][k]).any() for k in after), role


def test_the_role_that_is_off_is_not_trained():
    member = Member(variant=Variant(name="p", roles="performer"), seed=0)
    pairs = trainer(members=[member])
    pairs.train()
    observer = adapter_state(pairs.model, role_name(member, "observer"))
    assert all((v == 0).all() for k, v in observer.items() if k.endswith(".b"))


def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    whole = trainer()
    rows = whole.train()
    killed = trainer()
    while killed.step < 2:
        killed.update()
    write_checkpoint(tmp_path, killed.step, killed._state())
    resumed = trainer()
    assert resumed.train(tmp_path) == rows
    for (name, a), (_, b) in zip(whole.trainable(), resumed.trainable(), strict=True):
        assert torch.equal(a, b), name


def test_a_finished_run_returns_from_its_checkpoint(tmp_path):
    rows = trainer().train(tmp_path)
    again = trainer()
    again.update = None  # any update would fail
    assert again.train(tmp_path) == rows


def test_samples_are_the_performer_s_own_at_temperature_one():
    built = model()
    member = MEMBERS[0]
    add_adapter(built, role_name(member, "performer"), LoraConfig(rank=2, alpha=4), torch.Generator().manual_seed(1))
    for layer in layers(built).values():
        layer.lora_b[role_name(member, "performer")].data.normal_(std=0.5, generator=torch.Generator().manual_seed(2))
    prompts = torch.arange(4).repeat(4000, 1) + 97
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        drawn = continue_prompts(built, role_name(member, "performer"), prompts, 1, draw)[:, -1]
        law = Adapted(built, role_name(member, "performer"))(prompts[:1])[0, -1].softmax(-1).double()
        of_base = built(prompts[:1])[0, -1].softmax(-1).double()
    counts, common = torch.bincount(drawn, minlength=256).double(), law > 5 / 4000
    chi, chi_base = (
        ((counts - 4000 * p)[common].square() / (4000 * p)[common]).sum() / common.sum() for p in (law, of_base)
    )
    assert chi < 1.7 < chi_base  # of a hundred cells; the base's law does not fit


def test_samples_of_an_update_are_each_member_s_own_performer_s():
    pairs = trainer()
    before = torch.stack(pairs._samples())  # adapters that add nothing: the base's

    def disturb(role: str) -> None:
        for layer in layers(pairs.model).values():
            layer.lora_b[role_name(MEMBERS[0], role)].data.fill_(0.5)

    disturb("observer")
    assert torch.equal(torch.stack(pairs._samples()), before)
    disturb("performer")
    after = torch.stack(pairs._samples())
    assert torch.equal(after[1], before[1]) and not torch.equal(after[0], before[0])
    assert torch.equal(after[:, :, :4], before[:, :, :4])  # prompts are given


def test_what_an_update_reads_is_what_the_definitions_say():
    pairs = trainer()
    pairs.train()
    humans = torch.stack([pairs._crops(seed, 0, range(4)) for seed in (0, 1)])
    texts = torch.stack(pairs._samples())
    with torch.no_grad():
        found = measure(pairs.model, MEMBERS, None, humans, texts, 4)
    for m, (member, human, samples) in enumerate(zip(MEMBERS, humans, texts, strict=True)):
        p, o = (Adapted(pairs.model, role_name(member, role)) for role in ROLES)
        base = Adapted(pairs.model, None)
        with torch.no_grad():
            log_p, log_o, log_b = (model(samples[:, :-1])[:, 3:].log_softmax(-1) for model in (p, o, base))
            of_human = [model(human[:, :-1])[:, 3:].log_softmax(-1) for model in (p, o, base)]
        target = samples[:, 4:, None]
        above, below = -log_o.gather(-1, target)[..., 0], -(log_o.exp() * log_p).sum(-1)
        torch.testing.assert_close(found.scores[m], above.mean(1) / (below.mean(1) + 1e-6))
        torch.testing.assert_close(found.log_likelihood[m], log_p.gather(-1, target)[..., 0].sum(1))
        torch.testing.assert_close(found.kl[m], (log_p.exp() * (log_p - log_b)).sum(-1).mean(1), rtol=1e-3, atol=1e-5)
        ce = [-x.gather(-1, human[:, 4:, None]).mean() for x in of_human]
        torch.testing.assert_close(found.ce[m], torch.stack(ce[:2]))
        torch.testing.assert_close(found.reference[m], ce[2])
        torch.testing.assert_close(found.plain_nll[m], -log_b.gather(-1, target)[..., 0].mean(1))
        above, below = -of_human[1].gather(-1, human[:, 4:, None])[..., 0], -(of_human[1].exp() * of_human[0]).sum(-1)
        torch.testing.assert_close(found.human_scores[m], above.mean(1) / (below.mean(1) + 1e-6))


def test_members_of_one_pass_train_as_they_do_one_by_one():
    others = [{"name": "CE only 0.2", "eps": 0.2, "naturalness": "ce"}, {"name": "on top", "numerator": "performer"}]
    members = [MEMBERS[0], *(Member(variant=Variant(**other), seed=0) for other in others)]
    alone, together = (trainer(TRAINING.model_copy(update={"members_per_pass": n}), members) for n in (1, 8))
    assert [len(part) for part in together.parts] == [2, 1]  # a pass has one numerator
    for one, many in zip(alone.train(), together.train(), strict=True):
        assert one.pop("variant") == many.pop("variant")
        assert one == pytest.approx(many, rel=1e-4, abs=1e-5)
    for (name, a), (_, b) in zip(alone.trainable(), together.trainable(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=name)


def test_both_roles_get_gradient_from_both_sides():
    pairs, member = trainer(), MEMBERS[0]
    pairs.train()
    human, samples = pairs._crops(0, 0, range(4)), pairs._samples()[0]
    for side in ("scores", "human_scores"):
        found = measure(pairs.model, [member], None, human[None], samples[None], 4)
        for role in ROLES:
            parameters = [layer.lora_b[role_name(member, role)] for layer in layers(pairs.model).values()]
            total = getattr(found, side).sum()
            assert torch.autograd.grad(total, parameters, retain_graph=True)[0].abs().max() > 0, (side, role)


def test_kl_without_a_softmax_in_memory_is_the_kl():
    a, b = (torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    a.requires_grad_()
    tokens = torch.zeros(2, 3, dtype=torch.int64)
    plain = (a.softmax(-1) * (a.log_softmax(-1) - b.log_softmax(-1))).sum(-1)
    torch.testing.assert_close(kl(a, b, tokens), plain)
    first, second = (torch.autograd.grad(x.sum(), a)[0] for x in (kl(a, b, tokens), plain))
    torch.testing.assert_close(first, second)


def test_a_plain_fine_tuned_reference_is_trained_first_and_then_left_alone():
    pairs = trainer(TRAINING.model_copy(update={"reference": "sft", "lr": 0.01}))
    human = pairs._crops(0, 0, range(4))

    def loss() -> float:
        with torch.no_grad():
            return nll(Adapted(pairs.model, SFT)(human[:, :-1])[:, 3:], human[:, 4:]).mean().item()

    before = loss()
    pairs._train_reference()
    after = loss()
    assert after < before
    pairs.step = 0
    pairs.update()
    assert loss() == after


def test_processes_share_a_batch_without_overlap():
    rows = [r for rank in range(4) for r in Processes(rank, 4).rows(16)]
    assert rows == list(range(16))
    with pytest.raises(ValueError, match="cannot be shared"):
        Processes(0, 3).rows(16)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    save_tree({seed_name(seed): model(seed).state_dict() for seed in (0, 1)}, folder / "base.safetensors")
    states = {}
    for member in MEMBERS:  # each on the base of its seed
        pairs = trainer(members=[member], base=member.seed)
        pairs.train()
        names = [role_name(member, role) for role in ROLES]
        states[seed_name(member.seed)] = {name: adapter_state(pairs.model, name) for name in names}
    save_tree(states, folder / "pairs.safetensors")
    small = Attacks(substitute=(0.1,), finetune=(1,), num_texts=8, paraphrase=Paraphrase(name="unused", kept=0.8))
    evaluation = Evaluation(
        num_texts=16, num_calibration=8, lengths=(8, 10), num_bootstrap=20, num_shown=1, attacks=small
    )
    how = {"base_shard": "base", "pair_shard": "pairs", "source": "docstrings", "evaluation": evaluation}
    how |= {"variants": (MEMBERS[0].variant,), "seeds": (0, 1), "bases": (0, 1)}
    shard = EvaluateShard(base=BASE, training=TRAINING, **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("papers.lora_watermark.texts.load_text_data", lambda config: text())
        built = Bench(shard, 0, folder / "base.safetensors", folder / "pairs.safetensors", "cpu")
        assert len(built.windows) == 2
    return built


def test_the_control_is_the_other_seed_s_pair_on_its_own_base(bench):
    judged, (own, other) = Judged(bench, MEMBERS[0]), (role_name(member, "performer") for member in MEMBERS)
    assert bench.model_of(own) is bench.model_of(None) is bench.model
    assert digest(bench.model) != digest(bench.other_model) == digest(model(1))
    trained = trainer(members=[MEMBERS[1]], base=1)
    trained.train()
    draw = torch_generator(0, "texts", "watermarked", -1)
    prompts = judged.human[:, :4]
    assert torch.equal(judged.texts["other seed"], continue_prompts(trained.model, other, prompts, 10, draw))
    tokens = judged.human
    with torch.no_grad():
        observer = role_name(MEMBERS[1], "observer")
        log_o = Adapted(trained.model, observer)(tokens[:, :-1])[:, 3:].log_softmax(-1)
        log_p = Adapted(bench.model, own)(tokens[:, :-1])[:, 3:].log_softmax(-1)
    above, below = judged.found["human"][observer, own]
    torch.testing.assert_close(above.float(), -log_o.gather(-1, tokens[:, 4:, None])[..., 0])
    torch.testing.assert_close(below.float(), -(log_o.exp() * log_p).sum(-1))


def test_pairs_of_one_base_are_judged_on_it_alone(bench, tmp_path):
    shared = bench.settings.model_copy(update={"bases": (0, 0)})
    save_tree({seed_name(0): model().state_dict()}, tmp_path / "base.safetensors")
    pairs = trainer()
    names = {member.seed: [role_name(member, role) for role in ROLES] for member in MEMBERS}
    states = {seed_name(seed): {name: adapter_state(pairs.model, name) for name in own} for seed, own in names.items()}
    save_tree(states, tmp_path / "pairs.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("papers.lora_watermark.texts.load_text_data", lambda config: text())
        built = Bench(shared, 1, tmp_path / "base.safetensors", tmp_path / "pairs.safetensors", "cpu")
    assert built.model_of(names[0][0]) is built.model_of(names[1][0]) is built.model


def test_text_of_the_base_is_written_once_for_all_pairs_of_a_seed(bench):
    first, again = (Judged(bench, MEMBERS[0]).texts["base"] for _ in range(2))
    assert first is again
    assert torch.equal(first, bench.write(None, bench.windows[1], "base", 0))


def test_what_is_flagged_lies_below_the_detector_s_threshold(bench):
    judged = Judged(bench, MEMBERS[0])
    calibration, _ = bench.windows
    judged.detector = Detector.calibrated(judged.terms, calibration, fpr=0.25)
    rows = [r for r in judged.detection() if r["scorer"] == "own pair" and r["length"] == 10]
    assert {r["texts"] for r in rows} == {"watermarked", "base", "other seed"}
    for row in rows:
        assert row["flagged"] == judged.detector.flags(judged.texts[row["texts"]]).mean()
        assert row["human_flagged"] == judged.detector.flags(judged.human).mean()


def test_calibration_and_evaluation_have_texts_of_their_own(bench):
    calibration, evaluation = bench.windows
    assert (len(calibration), len(evaluation)) == (8, 16)
    everything = torch.cat([calibration, evaluation])
    assert len({tuple(row) for row in everything.tolist()}) == 24
    crops = {tuple(row) for step in range(4) for row in text().train.crops(0, step, range(8), 8, 14).tolist()}
    assert not crops & {tuple(row) for row in everything.tolist()}


def test_every_scorer_has_the_member_s_numerator_on_top(bench):
    member = MEMBERS[0].model_copy(update={"variant": MEMBERS[0].variant.model_copy(update={"numerator": "performer"})})
    judged = Judged(bench, member)
    row = next(r for r in judged.detection() if (r["texts"], r["scorer"]) == ("base", "base as observer"))
    above, below = bench.terms(judged.texts["base"], None, role_name(member, "performer"), "performer")
    assert row["score"] == pytest.approx((above.mean(1) / (below.mean(1) + 1e-6)).mean().item())


def test_quality_is_what_the_definitions_say(bench):
    judged, performer = Judged(bench, MEMBERS[0]), role_name(MEMBERS[0], "performer")
    rows = {row["texts"]: row for row in judged.quality()}
    own = judged.texts["watermarked"]
    with torch.no_grad():
        log_p, log_b = (Adapted(bench.model, r)(own[:, :-1])[:, 3:].log_softmax(-1) for r in (performer, None))
    drift = (log_p.exp() * (log_p - log_b)).sum(-1).mean().item()
    assert rows["watermarked"]["kl"] == pytest.approx(drift, rel=1e-3, abs=1e-6)
    own_nll, human_nll = (bench.nll(texts, None).mean(1) for texts in (own, judged.human))
    share = (
        (own_nll[:, None] < human_nll[None]).double().mean().item()
    )  # text that is easier to predict counts as found
    assert rows["watermarked"]["predictability_auc"] == pytest.approx(share)
    rise = (bench.nll(judged.human, performer) - bench.nll(judged.human, None)).mean().item()
    assert rows["watermarked"]["rise_performer"] == pytest.approx(rise, abs=1e-9)


def test_attacks_on_weights_are_undone(bench):
    judged, before = Judged(bench, MEMBERS[0]), digest(bench.model)
    rows = list(attacked(judged, None))
    assert digest(bench.model) == before
    assert {layer.strengths[role_name(MEMBERS[0], "performer")] for layer in layers(bench.model).values()} == {1.0}
    found = {(row["attack"], row["strength"]): row["auc"] for row in rows}
    assert {"fine-tuned on clean text", "int8 weights", "noise on weights", "adapter weakened"} <= {a for a, _ in found}
    assert all(0 <= value <= 1 for value in found.values())
    weights = [p for n, p in bench.model.named_parameters() if "lora_" not in n]
    assert not any(p.requires_grad or p.grad is not None for p in weights)


def test_a_paraphrase_is_scored_against_human_text_of_its_length(bench):
    judged = Judged(bench, MEMBERS[0])
    texts, human = judged.texts["watermarked"][:8], judged.human[:8]
    (row,) = after_paraphrase(judged, texts, lambda sentences: ["a" * 10] * len(sentences))
    assert (row["length"], row["num_texts"]) == (8, 8)
    changed = torch.cat([texts[:, :4], torch.full((8, 8), ord("a"))], 1)
    scores, of_human = (ratio(*judged.terms(t)).numpy() for t in (changed, human[:, :12]))
    assert row["auc"] == auc(scores, of_human)
    assert not list(after_paraphrase(judged, texts, lambda sentences: ["a"] * len(sentences)))  # too short


def test_a_performer_of_strength_zero_writes_as_the_base_does(bench):
    performer = role_name(MEMBERS[0], "performer")
    _, prompts = bench.windows
    set_strength(bench.model, performer, 0.0)
    weak = bench.write(performer, prompts, "same")
    set_strength(bench.model, performer, 1.0)
    assert torch.equal(weak, bench.write(None, prompts, "same"))


def test_merged_and_adapted_performers_write_the_same(bench):
    performer = role_name(MEMBERS[0], "performer")
    _, prompts = bench.windows
    with attacks.altered(bench.model, performer), torch.no_grad():
        merged_logits = bench.model(prompts)
    with torch.no_grad():
        torch.testing.assert_close(merged_logits, Adapted(bench.model, performer)(prompts), rtol=1e-4, atol=1e-4)


def test_text_attacks_change_what_they_say():
    draw = np.random.default_rng(0)
    responses = np.arange(60).reshape(3, 20)
    changed = attacks.substitute(responses, 0.3, np.array([999]), draw)
    assert ((changed == 999).sum(1) == 6).all() and (changed[changed != 999] == responses[changed != 999]).all()
    shorter = attacks.delete(responses, 0.1, draw)
    assert shorter.shape == (3, 18) and all(set(a) <= set(b) for a, b in zip(shorter, responses, strict=True))
    assert (np.diff(shorter, axis=1) > 0).all()  # the order stays
    mixed = attacks.mix(responses, -responses, 0.25)
    assert (mixed[:, :15] == responses[:, :15]).all() and (mixed[:, 15:] == -responses[:, 15:]).all()
    texts = torch.as_tensor(responses)
    fresh = attacks.resample_spans(
        texts, 4, 1.0, lambda t, n: torch.cat([t, torch.full((len(t), n), -1)], 1), draw, span=8
    )
    assert (fresh[:, :4] == texts[:, :4]).all() and (fresh[:, 4:] == -1).all()


def test_int8_rounds_by_less_than_half_a_step():
    weight = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    error = (attacks.quantized(weight) - weight).abs()
    assert (error <= weight.abs().amax(1, keepdim=True) / 254 + 1e-7).all() and error.max() > 0


def test_a_published_model_decodes_with_its_cache_and_takes_adapters():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=31, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2
    )
    torch.manual_seed(0)
    built = HubLanguageModel(transformers.LlamaForCausalLM(config).eval())
    tokens = torch.arange(12).reshape(2, 6)
    lora = LoraConfig(rank=2, alpha=4, targets=("q_proj", "v_proj", "down_proj"))
    add_adapter(built, "p", lora, torch.Generator().manual_seed(0))
    for layer in layers(built).values():
        layer.lora_b["p"].data.normal_(std=0.2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = Adapted(built, "p")(tokens)
        adapted = Adapted(built, "p")
        first, cache = adapted.prefill(tokens[:, :5], adapted.initial_cache(2))
        last, _ = adapted.step(tokens[:, 5], cache)
    torch.testing.assert_close(first, whole[:, :5], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(last, whole[:, 5], rtol=1e-4, atol=1e-5)
    drawn = continue_prompts(built, ("p", None), tokens, 3, torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 9) and torch.equal(drawn[:, :6], tokens)
    with pytest.raises(ValueError, match="one of the two"):
        Base(backbone=BASE.backbone, hub=HubModel(name="x"))

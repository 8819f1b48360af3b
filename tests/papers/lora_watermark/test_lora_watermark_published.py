"""What needs published models or a harness, with tiny ones in their place: paraphrase and benchmarks."""

import importlib.util

import numpy as np
import pytest
import torch

from papers.lora_watermark import benchmark
from papers.lora_watermark.language_settings import (
    Base,
    Benchmarks,
    BenchmarkShard,
    HubModel,
    Language,
    Member,
    PairTraining,
    Paraphrase,
)
from papers.lora_watermark.models import HubLanguageModel, add_pair, role_name
from papers.lora_watermark.paraphrase import Paraphraser, paraphrased, rewritten
from papers.lora_watermark.settings import Variant
from shared.data.tokenizers import ByteCodec, Tokenizer
from shared.models.lora.adapters import Adapted, add_adapter, layers
from shared.models.lora.config import LoraConfig

LORA = LoraConfig(rank=2, alpha=4, targets=("q_proj", "down_proj"))
TASKS = Benchmarks(tasks={"trivia": "acc"})


def test_every_sentence_is_rewritten_and_stays_in_its_text():
    asked = []

    def rewrite(sentences):
        asked.append(list(sentences))
        return [sentence.upper() + " " for sentence in sentences]

    texts = ["One here. Two?  Three", "", "Only one."]
    assert rewritten(texts, rewrite) == ["ONE HERE. TWO? THREE", "", "ONLY ONE."]
    assert asked == [["One here.", "Two?", "Three", "Only one."]]


def test_paraphrases_are_cut_to_one_length_and_short_ones_left_out():
    tokenizer = Tokenizer(ByteCodec())
    texts = torch.tensor([list(b">>abcdefgh"), list(b"<<ijklmnop"), list(b"==qrstuvwx")])
    answers = {"abcdefgh": "ABCDEFGHIJ", "ijklmnop": "short", "qrstuvwx": "QRSTUV"}
    rows, changed = paraphrased(texts, 2, tokenizer, lambda given: [answers[text] for text in given], 0.75)
    assert rows.tolist() == [0, 2]
    assert [bytes(row) for row in changed.tolist()] == [b">>ABCDEF", b"==QRSTUV"]
    rows, changed = paraphrased(texts, 2, tokenizer, lambda given: ["no"] * len(given), 0.75)
    assert rows.tolist() == [] and changed.shape == (0, 8)


def test_a_published_paraphraser_answers_in_order_whatever_the_batch():
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.ByT5Tokenizer()
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(vocab_size=len(tokenizer), **sizes))
    sentences = ["a b", "quite another one", "the third"]
    answers = {}
    for rows in (1, 3):
        settings = Paraphrase(name="tiny", max_tokens=12, num_beams=2, rows_per_pass=rows)
        answers[rows] = Paraphraser(model, tokenizer, settings)(sentences)
    assert answers[1] == answers[3] and len(answers[1]) == 3
    prefixed = Paraphraser(model, tokenizer, settings.model_copy(update={"prefix": "paraphrase: "}))
    with torch.no_grad():
        inputs = tokenizer(["paraphrase: a b"], return_tensors="pt", truncation=True, max_length=12)
        alone = model.generate(**inputs, num_beams=2, do_sample=False, max_length=12)
    assert prefixed(["a b"]) == tokenizer.batch_decode(alone, skip_special_tokens=True)


MEMBERS = [Member(variant=Variant(name="dual 0.1", eps=0.1), seed=seed) for seed in (0, 1)]


def shard(model: HubLanguageModel, reference: str) -> BenchmarkShard:
    for number, member in enumerate(MEMBERS):
        add_pair(model, member, LORA)
        for layer in layers(model).values():
            layer.lora_b[role_name(member, "performer")].data.fill_(0.01 * (number + 1))
    if reference == "sft":
        add_adapter(model, "sft", LORA, torch.Generator().manual_seed(5))
        for layer in layers(model).values():
            layer.lora_b["sft"].data.fill_(0.5)
    training = PairTraining(lora=LORA, reference=reference)
    common = {"base": Base(hub=HubModel(name="tiny")), "base_shard": None, "pair_shard": "x", "training": training}
    return BenchmarkShard(**common, variants=(MEMBERS[0].variant,), seeds=(0, 1), bases=(0, 0), benchmarks=TASKS)


@pytest.mark.parametrize("reference", ["base", "sft"])
def test_benchmarks_ask_each_performer_merged_and_what_they_share_once(reference):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = HubLanguageModel(transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=31, **sizes)))
    settings, asked = shard(model, reference), []
    tokens = torch.arange(10).reshape(2, 5)

    def ask(plain) -> dict:
        with torch.no_grad():
            asked.append(plain(input_ids=tokens).logits.double().mean().item())
        return {"trivia": {"acc,none": asked[-1], "acc_stderr,none": "N/A", "alias": "trivia"}}

    rows = benchmark.judged(settings, model, MEMBERS, ask)
    found = {(row["texts"], row["seed"]): row["score"] for row in rows}
    shared = ["base", "sft"] if reference == "sft" else ["base"]
    assert set(found) == {(texts, seed) for texts in (*shared, "watermarked") for seed in (0, 1)}
    assert len(asked) == len(set(asked)) == len(shared) + 2  # every model is another one, none is asked twice
    assert all(found[texts, 0] == found[texts, 1] for texts in shared)
    with torch.no_grad():
        plain = model.model(input_ids=tokens).logits.double().mean().item()
        role = role_name(MEMBERS[1], "performer")
        adapted = Adapted(model, role)(tokens).double().mean().item()
    assert found["base", 1] == plain  # and the weights are what they were
    assert found["watermarked", 1] == pytest.approx(adapted, rel=1e-4)
    assert np.isnan(rows[0]["score_error"])


def test_scores_are_the_metrics_that_the_settings_name():
    results = {"trivia": {"acc,none": 0.25, "acc_norm,none": 0.5, "acc_norm_stderr,none": 0.01, "acc,strict": 0.9}}
    (row,) = benchmark.scores(results, Benchmarks(tasks={"trivia": "acc_norm"}))
    assert row == {"task": "trivia", "metric": "acc_norm", "score": 0.5, "score_error": 0.01}
    with pytest.raises(ValueError, match="no metric 'exact_match'; the harness reports acc, acc_norm"):
        benchmark.scores(results, Benchmarks(tasks={"trivia": "exact_match"}))


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is not None, reason="the harness is installed")
def test_without_the_harness_one_sentence_says_what_to_install():
    with pytest.raises(ValueError, match=r"pip install -e \.\[benchmarks\]"):
        benchmark.asked(torch.nn.Identity(), "tiny", TASKS)


def test_benchmarks_on_a_base_that_is_trained_here_are_refused():
    base = {"backbone": {"d_model": 16, "num_layers": 1, "num_heads": 2}}
    evaluation = {"lengths": [64]}
    with pytest.raises(ValueError, match="published base"):
        Language(
            base=base, training={}, variants=[{"name": "a"}], seeds=[0, 1], evaluation=evaluation, benchmarks=TASKS
        )

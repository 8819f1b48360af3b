"""Local models through transformers, on a tiny random one made here."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from papers.gitchameleon.models.base import Message, Sampling
from papers.gitchameleon.models.huggingface import HuggingFace
from papers.gitchameleon.protocols.generation import AnswerFile, generate
from papers.gitchameleon.protocols.single import requests
from papers.gitchameleon.suites.loader import load_suite

TALKS = [[Message("user", "a b " * n)] for n in (1, 7, 3, 2, 5, 4, 6, 8, 1)]
STUBBED = [Message("user", "<starter_code>\ndef f(a):\n</starter_code>")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A GPT-2 of 2 layers over bytes, with random weights, and its tokenizer."""
    transformers = pytest.importorskip("transformers")
    import torch

    path = tmp_path_factory.mktemp("model") / "tiny"
    vocabulary = {"<end>": 0} | {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()), start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(path)
    config = transformers.GPT2Config(
        vocab_size=len(vocabulary), n_positions=1024, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.GPT2LMHeadModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return HuggingFace(folder, batch_size=8)


def texts(model, **how) -> list[str]:
    return [c.text for c in model.complete_many(TALKS, max_tokens=12, **how)]


def test_greedy_text_is_the_same_twice_and_for_any_batch(model, folder):
    first = texts(model)
    assert first == texts(model)
    model.batch_size, kept = 1, model.batch_size
    try:
        assert texts(model) == first
    finally:
        model.batch_size = kept
    assert len(set(first)) > 1


def test_samples_depend_on_the_seed_alone_and_leave_the_global_state(model):
    import torch

    state = torch.random.get_rng_state()
    first = texts(model, temperature=0.8, seed=1)
    assert first == texts(model, temperature=0.8, seed=1) != texts(model, temperature=0.8, seed=2)
    assert torch.equal(state, torch.random.get_rng_state())
    several = model.complete(STUBBED, n=3, temperature=0.8, max_tokens=12, seed=1)
    assert len({c.text for c in several}) == 3


def test_without_a_chat_template_the_stub_is_continued(model):
    prompt, stub = model.prompt(STUBBED)
    assert prompt.endswith("```python\ndef f(a):") and stub == "def f(a):"
    (found,) = model.complete(STUBBED, max_tokens=5)
    assert found.text.startswith("```python\ndef f(a):") and found.text.endswith("\n```")
    assert found.finish_reason == "length" and found.usage.completion_tokens == 5
    assert found.usage.prompt_tokens == len(prompt)  # a byte is a token here


def test_a_chat_template_is_used_if_there_is_one(folder):
    model = HuggingFace(folder)
    model.tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}>"
    talk = [Message("system", "s"), Message("user", "u")]
    assert model.prompt(talk) == ("[system]s[user]u>", "")


def test_a_prompt_that_is_too_long_is_refused(model):
    with pytest.raises(ValueError, match=r"a prompt has 2\d+ tokens; the model takes 1024"):
        model.complete([Message("user", "a" * 2000)])


def test_its_answers_are_whole_modules_that_begin_with_the_stub(model):
    problems = load_suite("builtin")[:2]
    file = AnswerFile(None, model.name, "greedy")
    assert generate(model, requests(problems, sampling=Sampling(0.0, 0.95, 8)), file, workers=1) == []
    for row, problem in zip(file.sorted(), problems, strict=True):
        assert row["answer"].startswith(problem.starting_code.rstrip()) and row["finish_reason"] == "length"
        assert "batch 8" in row["model"]


def test_nothing_is_downloaded(tmp_path):
    with pytest.raises(ValueError, match="no model folder"):
        HuggingFace("some-owner/some-model")

"""A published tokenizer behaves as the library says, and is found in a mirror without a network."""

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from shared.data.config import TokenizerConfig
from shared.data.tokenizers import load_tokenizer, train_tokenizer

TEXT = "The quick brown fox — naïve, 12 times — jumps over the lazy dog.\n  Indented\ttext."


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A byte-level BPE in a mirror, in the layout of the hub."""
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    model.train_from_iterator(
        [TEXT] * 3, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    folder = tmp_path / "tokenizers" / "some-bpe"
    folder.mkdir(parents=True)
    model.save(str(folder / "tokenizer.json"))
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path))
    return model


def settings(published, **changes) -> TokenizerConfig:
    size = published.get_vocab_size()
    return TokenizerConfig(**{"kind": "hub", "name": "some-bpe", "num_ordinary": size, **changes})


def test_ids_and_text_are_those_of_the_library(published):
    tokenizer = load_tokenizer(train_tokenizer(settings(published, special_tokens=("[PAD]", "[MASK]")), []))
    ids = tokenizer.encode(TEXT)
    assert ids.tolist() == published.encode(TEXT).ids
    assert tokenizer.decode(ids) == TEXT == published.decode(ids.tolist())
    assert tokenizer.mask_id == tokenizer.vocab_size - 1 == published.get_vocab_size() + 1


def test_another_vocabulary_size_is_refused(published):
    with pytest.raises(ValueError, match=f"has {published.get_vocab_size()} tokens, the settings say 2999"):
        train_tokenizer(settings(published, num_ordinary=2999), [])


def test_without_network_the_mirror_is_named(published, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    # the class is a compiled one: replace it as a whole
    stand_in = type("Tokenizer", (), {"from_pretrained": staticmethod(refuse)})
    monkeypatch.setattr(tokenizers, "Tokenizer", stand_in)
    with pytest.raises(ValueError, match="tokenizers/other-bpe/"):
        train_tokenizer(settings(published, name="other-bpe"), [])


def test_only_hub_tokenizers_have_a_name():
    with pytest.raises(ValueError, match="known by its 'name'"):
        TokenizerConfig(kind="hub", num_ordinary=300)

"""Tokenizers give text back, keep special tokens last, and train to the same bytes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from shared.data.config import SpecialToken, TokenizerConfig
from shared.data.tokenizers import REPLACEMENT, cached_tokenizer, load_tokenizer, train_tokenizer

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
DOCUMENTS = [
    "def area(width, height):\n    return width * height  # the area of a rectangle\n",
    "The area of the rectangle is the product of its width and its height.\n\n\tTabs, too: 1234.",
    "Naïve café: – “quoted” – ‘words’ in the text; the words of the text are the words.",
] * 3
SPECIAL: tuple[SpecialToken, ...] = ("[MASK]", "[PAD]", "[BOS]", "[EOS]")
KINDS = {
    "byte": TokenizerConfig(kind="byte", num_ordinary=256, special_tokens=SPECIAL),
    "letters": TokenizerConfig(kind="letters", num_ordinary=27, special_tokens=SPECIAL),
    "char": TokenizerConfig(kind="char", num_ordinary=46, special_tokens=SPECIAL),
    "word": TokenizerConfig(kind="word", num_ordinary=20, special_tokens=SPECIAL),
    "bpe": TokenizerConfig(kind="bpe", num_ordinary=90, num_characters=46, special_tokens=SPECIAL),
    "bpe_bytes": TokenizerConfig(kind="bpe", num_ordinary=300, byte_level=True, special_tokens=SPECIAL),
}


@pytest.fixture(params=KINDS, scope="module")
def tokenizer(request):
    return load_tokenizer(train_tokenizer(KINDS[request.param], DOCUMENTS))


@pytest.mark.parametrize("kind", ["byte", "bpe_bytes"])
@pytest.mark.parametrize("text", [*DOCUMENTS[:3], "", " ", "\n\n  \t x", "日本語 🙂 [MASK] ½²_a_", "a\r\n\x00b"])
def test_bytes_lose_nothing_of_any_text(kind, text):
    tokenizer = load_tokenizer(train_tokenizer(KINDS[kind], DOCUMENTS))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_characters_outside_of_the_inventory_become_the_replacement(kind):
    tokenizer = load_tokenizer(train_tokenizer(KINDS[kind], DOCUMENTS))
    for text in DOCUMENTS[:2]:
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode("the 日 word")) == f"the {REPLACEMENT} word"


def test_words_by_hand():
    """Vocabulary <unk>, the end of a line, and the three most frequent words; blanks are not kept."""
    config = TokenizerConfig(kind="word", num_ordinary=5)
    state = train_tokenizer(config, [" a b a \n", "c a b <unk>\nd c"])
    assert state["words"] == ["<unk>", "<eos>", "a", "b", "c"]
    tokenizer = load_tokenizer(state)
    assert tokenizer.encode(" a  d\n\n c <unk>").tolist() == [2, 0, 1, 1, 4, 0]
    assert tokenizer.decode([2, 0, 1, 4]) == "a <unk> \nc "
    with pytest.raises(ValueError, match="the text has 2 different words"):
        train_tokenizer(config, ["a b"])


@pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror of third-party data here")
@pytest.mark.parametrize(("file", "count"), [("valid", 217_646), ("test", 245_569)])
def test_words_of_wikitext_2_are_as_many_as_published(file, count):
    """Merity et al. 2016 (arXiv 1609.07843), Table 1."""
    text = (MIRROR / "wikitext-2" / f"{file}.txt").read_text(encoding="utf-8")
    tokenizer = load_tokenizer(train_tokenizer(TokenizerConfig(kind="word", num_ordinary=5000), [text]))
    ids = tokenizer.encode(text)
    assert len(ids) == count and (ids == 1).sum() == text.count("\n")


@pytest.mark.parametrize(
    ("text", "letters"),
    [("Returns x_1,\n  the MEAN.", "returns x the mean "), ("a b", "a b "), ("  42 ", ""), ("", ""), ("Zoë", "zo ")],
)
def test_letters_are_small_and_all_else_is_one_blank(text, letters):
    tokenizer = load_tokenizer(train_tokenizer(KINDS["letters"], DOCUMENTS))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == letters
    assert ids.tolist() == [" abcdefghijklmnopqrstuvwxyz".index(c) for c in letters]


def test_special_tokens_are_last_and_in_order(tokenizer):
    n = tokenizer.num_ordinary
    assert [tokenizer.mask_id, tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id] == [n, n + 1, n + 2, n + 3]
    assert tokenizer.vocab_size == n + 4 == len(tokenizer.token_strings)
    assert tokenizer.token_strings[n:] == list(SPECIAL)


def test_no_text_encodes_to_a_special_token(tokenizer):
    ids = tokenizer.encode("[MASK] [PAD] [BOS] [EOS]")
    assert ids.dtype == np.int64
    assert ids.max() < tokenizer.num_ordinary


def test_special_tokens_are_left_out_or_written_by_name(tokenizer):
    ids = [tokenizer.bos_id, *tokenizer.encode("the area"), tokenizer.mask_id]
    assert tokenizer.decode(ids).rstrip(" ") == "the area"  # letters end in a blank
    assert tokenizer.decode(ids, keep_special=True).replace(" [", "[") == "[BOS]the area[MASK]"


def test_a_batch_equals_its_texts_one_by_one(tokenizer):
    batch = tokenizer.encode_batch([*DOCUMENTS, ""])
    assert [ids.tolist() for ids in batch] == [tokenizer.encode(text).tolist() for text in [*DOCUMENTS, ""]]


def test_sizes_are_those_that_were_asked_for():
    for name, config in KINDS.items():
        assert load_tokenizer(train_tokenizer(config, DOCUMENTS)).num_ordinary == config.num_ordinary, name


def test_the_inventory_holds_the_most_frequent_characters_and_ties_go_to_the_lower():
    config = TokenizerConfig(kind="char", num_ordinary=4)
    assert train_tokenizer(config, ["zzzyyycab"])["characters"] == [REPLACEMENT, "a", "y", "z"]


def test_training_looks_at_documents_at_equal_distances_up_to_its_limit():
    config = TokenizerConfig(kind="char", num_ordinary=3, training_characters=4)
    assert train_tokenizer(config, ["aa", "bb", "cc", "dd"])["characters"] == [REPLACEMENT, "a", "c"]


def test_merges_shorten_text():
    tokenizer = load_tokenizer(train_tokenizer(KINDS["bpe"], DOCUMENTS))
    assert len(tokenizer.encode(DOCUMENTS[0])) < 0.8 * len(DOCUMENTS[0])
    assert " the" in tokenizer.token_strings  # white space belongs to the word that follows


def test_tokenizer_without_special_tokens_has_none():
    tokenizer = load_tokenizer(train_tokenizer(TokenizerConfig(kind="byte", num_ordinary=256), DOCUMENTS))
    assert tokenizer.mask_id is None
    assert tokenizer.vocab_size == 256


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_bytes(kind):
    first, second = (json.dumps(train_tokenizer(KINDS[kind], DOCUMENTS)) for _ in range(2))
    assert first == second


def test_the_cached_tokenizer_is_trained_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path))
    calls = []

    def documents():
        calls.append(1)
        return DOCUMENTS

    first = cached_tokenizer(KINDS["bpe"], documents, "text 1")
    again = cached_tokenizer(KINDS["bpe"], documents, "text 1")
    assert len(calls) == 1
    assert first.token_strings == again.token_strings
    cached_tokenizer(KINDS["bpe"], documents, "text 2")
    assert len(calls) == 2


def test_impossible_requests_are_refused_in_words():
    with pytest.raises(ValueError, match="256 ordinary tokens"):
        TokenizerConfig(kind="byte", num_ordinary=255)
    with pytest.raises(ValueError, match="BPE starts from 97 symbols"):
        TokenizerConfig(num_ordinary=90)
    with pytest.raises(ValueError, match="one token twice"):
        TokenizerConfig(special_tokens=("[PAD]", "[PAD]"))
    with pytest.raises(ValueError, match="different characters"):
        train_tokenizer(TokenizerConfig(kind="char", num_ordinary=200), DOCUMENTS)
    with pytest.raises(ValueError, match="lower num_ordinary"):
        train_tokenizer(TokenizerConfig(num_ordinary=5000, num_characters=40), DOCUMENTS)
    tokenizer = load_tokenizer(train_tokenizer(KINDS["char"], DOCUMENTS))
    with pytest.raises(ValueError, match=r"outside of the vocabulary 0\.\.49"):
        tokenizer.decode([50])

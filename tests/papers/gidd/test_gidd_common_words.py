"""The text whose tokens are common words: which words, which stretches, and what a sample is held against."""

import numpy as np
import pytest
import torch

from papers.gidd.common_words import GAP, cut, most_common, seen_pairs, seen_share, stretches
from papers.gidd.settings import CommonWords
from shared.data.config import TokenizerConfig
from shared.data.text import TextData, TokenDataset, tokenize
from shared.data.tokenizers import Tokenizer, load_tokenizer, train_tokenizer

TEXT = "the cat sat on the mat the cat x a cat sat on a rug x x x x the end"


def test_words_are_ranked_by_frequency_then_by_alphabet_and_symbols_do_not_count():
    assert most_common(TEXT, 2) == ["cat", "the"]  # 3 and 4; x has 5
    assert most_common(TEXT, 4) == ["a", "cat", "on", "the"]  # a, on and sat have 2


def test_more_words_than_there_are_are_refused():
    with pytest.raises(ValueError, match="the text has 8; lower num_words"):
        most_common(TEXT, 10)


def test_stretches_are_runs_of_known_words_that_are_long_enough():
    words = ["the", "cat", "sat", "on", "a"]
    assert joined(stretches(TEXT, words, 3)) == ["the cat sat on the", "a cat sat on a"]
    assert joined(stretches(TEXT, words, 2)) == ["the cat sat on the", "the cat", "a cat sat on a"]
    assert stretches(TEXT, words, 6) == []


def joined(found: list[list[str]]) -> list[str]:
    return [" ".join(run) for run in found]


@pytest.fixture
def letters() -> Tokenizer:
    config = TokenizerConfig(kind="letters", num_ordinary=27, special_tokens=("[MASK]",))
    return load_tokenizer(train_tokenizer(config, []))


def dataset(text, tokenizer):
    return TokenDataset(*tokenize([text], tokenizer))


def test_both_splits_are_cut_to_the_words_of_the_training_text(letters):
    data = TextData(letters, dataset(TEXT, letters), dataset("the rug sat on the cat", letters), "t")
    found = cut(data, CommonWords(num_words=4, shortest=2))
    assert found.tokenizer.token_strings == [f"{GAP} ", "a ", "cat ", "on ", "the ", "[MASK]"]
    assert found.tokenizer.decode(found.train.tokens) == "the cat / on the / the cat / a cat / on a / "
    assert found.tokenizer.decode(found.validation.tokens) == "on the cat / "
    assert found.train.tokens.tolist() == [4, 2, 0, 3, 4, 0, 4, 2, 0, 1, 2, 0, 3, 1, 0]
    assert np.diff(found.train.offsets).tolist() == [3, 3, 3, 3, 3]
    assert (found.tokenizer.num_ordinary, found.tokenizer.mask_id) == (5, 5)
    assert '"num_words":4,"shortest":2' in found.identity


def test_pairs_of_neighbours_are_looked_up_in_the_training_text_in_their_order(letters):
    data = TextData(letters, dataset(TEXT, letters), dataset("the cat on the", letters), "t")
    found = cut(data, CommonWords(num_words=4, shortest=2))
    seen = seen_pairs(found)
    gap, a, cat, on, the = range(5)
    assert seen.shape == (6, 6) and seen[the, cat] and not seen[cat, the]
    assert seen_share(found.train.crops(0, 0, range(4), 4, 6), seen) == 1
    assert seen_share(torch.tensor([[the, cat, on, the], [gap, a, cat, gap]]), seen) == pytest.approx(5 / 6)
    assert seen_share(found.validation.windows(5), seen) == pytest.approx(3 / 4)  # of its own, "cat on"


def test_a_text_without_such_stretches_is_refused(letters):
    data = TextData(letters, dataset(TEXT, letters), dataset("x y z", letters), "t")
    with pytest.raises(ValueError, match="no stretch"):
        cut(data, CommonWords(num_words=4, shortest=2))


def test_other_tokenizers_are_refused():
    tokenizer = load_tokenizer(train_tokenizer(TokenizerConfig(kind="byte", num_ordinary=256), []))
    data = TextData(tokenizer, dataset(TEXT, tokenizer), dataset(TEXT, tokenizer), "t")
    with pytest.raises(ValueError, match="use kind letters"):
        cut(data, CommonWords(num_words=4, shortest=2))

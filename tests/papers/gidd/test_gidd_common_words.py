"""The text cut to common words: which words, which stretches, and what a sample is held against."""

import math

import numpy as np
import pytest

from papers.gidd import common_words
from papers.gidd.common_words import cut, known_share, most_common, stretches
from papers.gidd.settings import CommonWords
from shared.data.config import TokenizerConfig
from shared.data.text import TextData, TokenDataset, tokenize
from shared.data.tokenizers import Tokenizer, load_tokenizer, train_tokenizer

TEXT = "the cat sat on the mat the cat x a cat sat on a rug x x x x the end"


def test_words_are_ranked_by_frequency_then_by_alphabet_and_symbols_do_not_count():
    assert most_common(TEXT, 2) == {"the", "cat"}  # 4 and 3; x has 5
    assert most_common(TEXT, 4) == {"the", "cat", "a", "on"}  # a, on and sat have 2


def test_more_words_than_there_are_are_refused():
    with pytest.raises(ValueError, match="the text has 8; lower num_words"):
        most_common(TEXT, 10)


def test_stretches_are_runs_of_known_words_that_are_long_enough():
    words = frozenset({"the", "cat", "sat", "on", "a"})
    assert stretches(TEXT, words, 3) == ["the cat sat on the", "a cat sat on a"]
    assert stretches(TEXT, words, 2) == ["the cat sat on the", "the cat", "a cat sat on a"]
    assert stretches(TEXT, words, 6) == []


def test_known_share_counts_letters_of_whole_words_alone():
    words = frozenset({"the", "cat"})
    assert known_share("he the cot cat th", words) == pytest.approx(6 / 9)
    assert known_share("the the  the the", words) == 1  # two blanks in a row make no word
    assert math.isnan(known_share("the cat", words))


@pytest.fixture
def letters() -> Tokenizer:
    config = TokenizerConfig(kind="letters", num_ordinary=27, special_tokens=("[MASK]",))
    return load_tokenizer(train_tokenizer(config, []))


def dataset(text, tokenizer):
    return TokenDataset(*tokenize([text], tokenizer))


def test_both_splits_are_cut_to_the_words_of_the_training_text(letters):
    data = TextData(letters, dataset(TEXT, letters), dataset("the rug sat on the cat", letters), "t")
    found, words = cut(data, CommonWords(num_words=4, shortest=2))
    assert words == {"the", "cat", "a", "on"}
    assert letters.decode(found.train.tokens.tolist()) == "the cat on the the cat a cat on a "
    assert letters.decode(found.validation.tokens.tolist()) == "on the cat "
    assert np.diff(found.train.offsets).tolist() == [8, 7, 8, 6, 5]
    assert "4 words, 2 or more in a row" in found.identity


def test_samples_of_the_text_itself_are_known_words(letters):
    data = TextData(letters, dataset(TEXT, letters), dataset(TEXT, letters), "t")
    found, words = cut(data, CommonWords(num_words=4, shortest=2))
    crops = found.train.crops(0, 0, range(4), 4, 12)
    assert common_words.mean_known_share(crops, lambda row: letters.decode(row.tolist()), words) == 1


def test_a_text_without_such_stretches_is_refused(letters):
    data = TextData(letters, dataset(TEXT, letters), dataset("x y z", letters), "t")
    with pytest.raises(ValueError, match="no stretch"):
        cut(data, CommonWords(num_words=4, shortest=2))


def test_other_tokenizers_are_refused():
    tokenizer = load_tokenizer(train_tokenizer(TokenizerConfig(kind="byte", num_ordinary=256), []))
    data = TextData(tokenizer, dataset(TEXT, tokenizer), dataset(TEXT, tokenizer), "t")
    with pytest.raises(ValueError, match="use kind letters"):
        cut(data, CommonWords(num_words=4, shortest=2))

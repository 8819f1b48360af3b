"""A more regular text out of another: the stretches in which every word is one of the most common.

A network that trains for a minute learns to spell a hundred words, and not the ten thousands of a real text. What is
kept is real text, with its own order of words; what lies between two stretches is left out.
"""

import collections
import itertools
from collections.abc import Callable

import numpy as np
from torch import Tensor

from papers.gidd.settings import CommonWords
from shared.data.text import TextData, TokenDataset
from shared.data.tokenizers import Tokenizer


def most_common(text: str, num_words: int) -> frozenset[str]:
    """The `num_words` most frequent words between blanks; of single letters, which stand in formulas, "a" alone.

    Raises:
        ValueError: the text has fewer.
    """
    counts = collections.Counter(word for word in text.split() if len(word) > 1 or word == "a")
    if len(counts) < num_words:
        raise ValueError(f"{num_words} common words were asked for, and the text has {len(counts)}; lower num_words")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return frozenset(ranked[:num_words])


def stretches(text: str, words: frozenset[str], shortest: int) -> list[str]:
    """Runs of at least `shortest` consecutive words of `text` that all are in `words`, in the order of the text."""
    runs = (tuple(run) for known, run in itertools.groupby(text.split(), words.__contains__) if known)
    return [" ".join(run) for run in runs if len(run) >= shortest]


def known_share(text: str, words: frozenset[str]) -> float:
    """Share of the letters of a crop that stand in `words`; its first and last word, cut perhaps, do not count.

    A crop of fewer than three words has no share: nan.
    """
    inner = text.split(" ")[1:-1]
    letters = sum(map(len, inner))
    return sum(len(word) for word in inner if word in words) / letters if letters else float("nan")


def cut(data: TextData, settings: CommonWords) -> tuple[TextData, frozenset[str]]:
    """Both splits of `data` cut to the common words of the training text, and those words.

    Raises:
        ValueError: the tokenizer's ordinary tokens are not single characters, or a split has no such stretch.
    """
    characters = _characters(data.tokenizer)
    texts = {split: _text(getattr(data, split), characters) for split in ("train", "validation")}
    words = most_common(texts["train"], settings.num_words)
    found = {split: _dataset(stretches(text, words, settings.shortest), characters) for split, text in texts.items()}
    identity = f"{data.identity}, {settings.num_words} words, {settings.shortest} or more in a row"
    return TextData(data.tokenizer, **found, identity=identity), words


def _characters(tokenizer: Tokenizer) -> np.ndarray:
    """The character of each ordinary token, (N,), bytes of length 1."""
    found = [tokenizer.decode([token]) for token in range(tokenizer.num_ordinary)]
    if any(len(character.encode()) != 1 for character in found) or " " not in found:
        raise ValueError("common_words needs a tokenizer of single characters with a blank; use kind letters")
    return np.array([character.encode() for character in found])


def _text(dataset: TokenDataset, characters: np.ndarray) -> str:
    return characters[np.asarray(dataset.tokens)].tobytes().decode()


def _dataset(found: list[str], characters: np.ndarray) -> TokenDataset:
    """The stretches as documents, each with a blank behind it."""
    if not found:
        raise ValueError("the text has no stretch of common words that long; raise num_words or lower shortest")
    order = np.argsort(characters)
    letters = np.frombuffer("".join(f"{stretch} " for stretch in found).encode(), dtype="S1")
    tokens = order[np.searchsorted(characters, letters, sorter=order)].astype(np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(stretch) + 1 for stretch in found])])
    return TokenDataset(tokens, offsets.astype(np.int64))


def mean_known_share(tokens: Tensor, decode: Callable[[Tensor], str], words: frozenset[str]) -> float:
    """Mean of `known_share` over sequences (S, L)."""
    return float(np.nanmean([known_share(decode(row), words) for row in tokens.cpu()]))

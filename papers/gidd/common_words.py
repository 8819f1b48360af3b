"""A text whose tokens are words: the stretches of another in which every word is one of the most common.

A network that trains for a minute learns which of a hundred words follow each other, and not how the ten thousands of
a real text are spelt. What is kept is real text, with its own order of words; a mark stands for what lies between two
stretches.
"""

import collections
import itertools

import numpy as np
import torch
from torch import Tensor

from papers.gidd.settings import CommonWords
from shared.data.text import TextData, TokenDataset
from shared.data.tokenizers import Tokenizer, WordCodec

GAP = "/"  # a token of its own: here other words are left out


def most_common(text: str, num_words: int) -> list[str]:
    """The `num_words` most frequent words between blanks, by the alphabet; of single letters, as in formulas, only "a".

    Raises:
        ValueError: the text has fewer.
    """
    counts = collections.Counter(word for word in text.split() if len(word) > 1 or word == "a")
    if len(counts) < num_words:
        raise ValueError(f"{num_words} common words were asked for, and the text has {len(counts)}; lower num_words")
    return sorted(sorted(counts, key=lambda word: (-counts[word], word))[:num_words])


def stretches(text: str, words: list[str], shortest: int) -> list[list[str]]:
    """Runs of at least `shortest` consecutive words of `text` that all are in `words`, in the order of the text."""
    runs = (list(run) for known, run in itertools.groupby(text.split(), frozenset(words).__contains__) if known)
    return [run for run in runs if len(run) >= shortest]


def cut(data: TextData, settings: CommonWords) -> TextData:
    """Both splits of `data` cut to the common words of the training text, which become the tokens.

    Raises:
        ValueError: the tokenizer's ordinary tokens are not single characters, or a split has no such stretch.
    """
    characters = _characters(data.tokenizer)
    texts = {split: _text(getattr(data, split), characters) for split in ("train", "validation")}
    words = most_common(texts["train"], settings.num_words)
    ids = {word: i for i, word in enumerate([GAP, *words])}
    found = {split: _dataset(stretches(text, words, settings.shortest), ids) for split, text in texts.items()}
    tokenizer = Tokenizer(WordCodec(list(ids)), data.tokenizer.special_tokens)
    return TextData(tokenizer, **found, identity=f"{data.identity}, {settings.model_dump_json()}")


def _characters(tokenizer: Tokenizer) -> np.ndarray:
    """The character of each ordinary token, (N,), bytes of length 1."""
    found = [tokenizer.decode([token]) for token in range(tokenizer.num_ordinary)]
    if any(len(character.encode()) != 1 for character in found) or " " not in found:
        raise ValueError("common_words needs a tokenizer of single characters with a blank; use kind letters")
    return np.array([character.encode() for character in found])


def _text(dataset: TokenDataset, characters: np.ndarray) -> str:
    return characters[np.asarray(dataset.tokens)].tobytes().decode()


def _dataset(found: list[list[str]], ids: dict[str, int]) -> TokenDataset:
    """The stretches as documents, each with the mark of a gap behind it."""
    if not found:
        raise ValueError("the text has no stretch of common words that long; raise num_words or lower shortest")
    tokens = np.array([ids[word] for run in found for word in [*run, GAP]], np.int64)
    return TokenDataset(tokens, np.cumsum([0, *(len(run) + 1 for run in found)]))


def seen_pairs(text: TextData) -> Tensor:
    """Which pairs of neighbouring tokens the training text has, (V, V), bool."""
    tokens, seen = torch.from_numpy(text.train.tokens), torch.zeros(2 * (text.tokenizer.vocab_size,), dtype=torch.bool)
    seen[tokens[:-1], tokens[1:]] = True
    return seen


def seen_share(tokens: Tensor, seen: Tensor) -> float:
    """Share of the pairs of neighbours in sequences (S, L) that are `seen` (V, V)."""
    return seen[tokens[:, :-1].cpu(), tokens[:, 1:].cpu()].double().mean().item()

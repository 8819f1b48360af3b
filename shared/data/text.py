"""Batches of text: a crop is a function of (seed, step, row), never of an iterator's history.

Shapes: B rows, L tokens of a sequence.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from shared.base.cache import build_once, cache_dir, short_key
from shared.data.config import TextConfig
from shared.data.counter import check_rows, row_uniforms
from shared.data.docstrings import docstring_corpus
from shared.data.loaders import stream_text
from shared.data.sources import source
from shared.data.tokenizers import Tokenizer, cached_tokenizer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class TokenDataset:
    """Documents as one flat array of ids.

    Args:
        tokens: ids of all documents end to end, one dimension, any integer type; may be memory-mapped.
        offsets: where each document starts, and the total length at the end, (num_documents + 1,).
        layout: packed: a sequence is cut from the whole array and may span documents.
            documents: a sequence holds one document; one that is longer is cropped at a random place, one that is
            shorter is padded on the right.
        pad_id: fills short rows of the layout "documents".
    """

    tokens: np.ndarray
    offsets: np.ndarray
    layout: Literal["packed", "documents"] = "packed"
    pad_id: int | None = None

    def __post_init__(self) -> None:
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.tokens) or (np.diff(self.offsets) <= 0).any():
            raise ValueError("offsets must rise strictly from 0 to the number of tokens: no document may be empty")
        if self.layout == "documents" and self.pad_id is None:
            raise ValueError("layout documents needs a pad_id to fill short rows with")

    @property
    def num_documents(self) -> int:
        return len(self.offsets) - 1

    def crops(self, seed: int, step: int, rows: range, batch_size: int, seq_len: int) -> "torch.Tensor":
        """Rows `rows` of the global training batch of `step`, (len(rows), seq_len), int64.

        Row r depends on (seed, step, r) alone: another rank, a resumed run or a different split of the batch over
        processes gets the same row. Places are uniform, with replacement.

        Args:
            seed: the run's seed.
            step: optimiser step, 0 or more.
            rows: rows of the global batch that this caller wants.
            batch_size: rows of the global batch; `rows` must lie within it.
            seq_len: tokens of a row.
        Raises:
            ValueError: rows outside of the batch, or (packed) a text shorter than `seq_len`.
        """
        check_rows(rows, batch_size)
        place = row_uniforms(seed, "text_crops", step, rows, 2)
        if self.layout == "packed":
            self._check_length(seq_len)
            return self._gather((place[:, 0] * (len(self.tokens) - seq_len + 1)).astype(np.int64), seq_len)
        document = (place[:, 0] * self.num_documents).astype(np.int64)
        start, end = self.offsets[document], self.offsets[document + 1]
        slack = np.maximum(end - start - seq_len, 0)
        return self._gather(start + (place[:, 1] * (slack + 1)).astype(np.int64), seq_len, end)

    def windows(self, seq_len: int, num: int | None = None) -> "torch.Tensor":
        """Fixed sequences for validation, (num, seq_len), int64, in the text's order and without overlap.

        packed: the text cut into windows end to end (a short rest is dropped). documents: the first `seq_len` tokens
        of each document, padded on the right. Of these, `num` at equal distances; all if omitted.
        """
        if self.layout == "packed":
            self._check_length(seq_len)
            available = len(self.tokens) // seq_len
        else:
            available = self.num_documents
        num = available if num is None else num
        if not 1 <= num <= available:
            raise ValueError(f"{num} windows of {seq_len} tokens were asked for; the text has {available}")
        chosen = np.arange(num) * available // num
        if self.layout == "packed":
            return self._gather(chosen * seq_len, seq_len)
        return self._gather(self.offsets[chosen], seq_len, self.offsets[chosen + 1])

    def _gather(self, start: np.ndarray, seq_len: int, end: np.ndarray | None = None) -> "torch.Tensor":
        """Tokens from `start` on, padded from `end` on."""
        import torch

        index = start[:, None] + np.arange(seq_len)  # (B, L)
        if end is None:
            return torch.from_numpy(self.tokens[index].astype(np.int64))
        inside = index < end[:, None]
        found = self.tokens[np.minimum(index, end[:, None] - 1)].astype(np.int64)
        return torch.from_numpy(np.where(inside, found, self.pad_id))

    def _check_length(self, seq_len: int) -> None:
        if len(self.tokens) < seq_len:
            raise ValueError(f"the text has {len(self.tokens)} tokens, fewer than one sequence of {seq_len}")


@dataclass(frozen=True)
class TextData:
    """A corpus ready for training."""

    tokenizer: Tokenizer
    train: TokenDataset
    validation: TokenDataset
    identity: str  # of the documents: source, revision or checksum, and what was cut; for the record's provenance


def load_text_data(config: TextConfig) -> TextData:
    """Corpus, tokenizer and token arrays of `config`; each is built once and then read from the cache.

    [BOS] and [EOS] are put around every document where the tokenizer has them.
    """
    read, identity = _corpus(config)
    tokenizer = cached_tokenizer(config.tokenizer, lambda: read()["train"], identity)
    key = short_key(identity, config.tokenizer.model_dump_json(), _library_version())
    datasets = {
        split: _cached_dataset(
            cache_dir() / "tokens" / f"{key}-{split}", lambda split=split: read()[split], tokenizer, config.layout
        )
        for split in ("train", "validation")
    }
    return TextData(tokenizer, datasets["train"], datasets["validation"], identity)


def tokenize(documents: Sequence[str], tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Flat ids of all documents, in the smallest unsigned type that holds them, and their offsets."""
    before = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    after = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    dtype = np.uint8 if tokenizer.vocab_size <= 256 else np.uint16 if tokenizer.vocab_size <= 65536 else np.uint32
    encoded = [ids for ids in tokenizer.encode_batch(documents) if len(ids)]
    if not encoded:
        raise ValueError("the text has no documents that are not empty")
    flat = np.concatenate([np.concatenate([before, ids, after]).astype(dtype) for ids in encoded])
    offsets = np.concatenate([[0], np.cumsum([len(ids) + len(before) + len(after) for ids in encoded])])
    return flat, offsets.astype(np.int64)


def _cached_dataset(
    folder: Path, documents: Callable[[], Sequence[str]], tokenizer: Tokenizer, layout: str
) -> TokenDataset:
    def build(unfinished: Path) -> None:
        unfinished.mkdir()
        tokens, offsets = tokenize(documents(), tokenizer)
        np.save(unfinished / "tokens.npy", tokens)
        np.save(unfinished / "offsets.npy", offsets)

    build_once(folder, build)
    tokens = np.load(folder / "tokens.npy", mmap_mode="r")
    return TokenDataset(tokens, np.load(folder / "offsets.npy"), layout, tokenizer.pad_id)


def _corpus(config: TextConfig) -> tuple[Callable[[], dict[str, Sequence[str]]], str]:
    """Reader of the documents of train and validation, and what identifies them."""
    if config.source == "docstrings":
        corpus = docstring_corpus()
        splits = ("train", "validation")
        read = functools.cache(lambda: {s: corpus.documents(s)[: config.max_documents] for s in splits})
        return read, f"docstrings {corpus.sha256} {config.max_documents}"
    entry = source(config.source)
    if entry.kind != "text":
        raise ValueError(f"{config.source} is no text source (it holds {entry.kind})")
    if not entry.files and config.max_documents is None:
        raise ValueError(f"{config.source} is streamed and large ({entry.size}); set max_documents")
    sums = " ".join(file.sha256 or "unpinned" for file in entry.files)
    settings = f"{config.max_documents} {config.validation_share}"
    return functools.cache(lambda: _registered(config)), f"{entry.name} {entry.revision} {sums} {settings}"


def _registered(config: TextConfig) -> dict[str, Sequence[str]]:
    """Documents of a source in the registry; the last ones are held out where it has no validation split."""
    entry = source(config.source)
    found = list(itertools.islice(stream_text(config.source), config.max_documents))
    if "validation" in entry.splits:
        limit = None if entry.files else max(1, round(config.validation_share * len(found)))
        held_out = list(itertools.islice(stream_text(config.source, "validation"), limit))
    elif len(found) == 1:  # one long text: its end is held out
        cut = len(found[0]) - round(config.validation_share * len(found[0]))
        found, held_out = [found[0][:cut]], [found[0][cut:]]
    else:
        num = max(1, round(config.validation_share * len(found)))
        found, held_out = found[:-num], found[-num:]
    return {"train": found, "validation": held_out}


def _library_version() -> str:
    import tokenizers

    return tokenizers.__version__

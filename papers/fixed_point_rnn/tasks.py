"""What the models learn: word problems, a memoryless control, copying, arithmetic, text.

All are sequences with a target at some positions. Shapes: B rows, T positions.
"""

import functools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from papers.fixed_point_rnn import arithmetic
from papers.fixed_point_rnn.network import SequenceModel
from papers.fixed_point_rnn.settings import Entry, Study, TaskSettings
from shared.base.seeding import numpy_generator, torch_generator
from shared.data.counter import row_uniforms
from shared.data.synthetic.groups import group
from shared.data.text import TextData, load_text_data
from shared.models.language_model import IGNORED_TARGET, token_nll
from shared.train.task import Batch, Task

TEST_SEED = 2503  # of all test sequences: the same for every model


class Source:
    """Sequences of one task: training rows by (seed, step, row), test rows by length."""

    vocab_size: int

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings

    def train(self, seed: int, step: int, rows: range, batch_size: int) -> Batch:
        """tokens and targets (B, T), IGNORED_TARGET where nothing is asked."""
        raise NotImplementedError

    def test(self, length: int, num: int) -> Batch:
        """`num` test sequences of a length."""
        raise NotImplementedError


class Words(Source):
    """A begin token, then x_1 .. x_k of a group; the target is x_1 ... x_t, or x_t itself in the control task."""

    def __init__(self, settings: TaskSettings) -> None:
        super().__init__(settings)
        self.group = group(settings.group)
        self.vocab_size = self.group.order + 1

    def _batch(self, words: np.ndarray) -> Batch:
        targets = words if self.settings.kind == "repeat" else self.group.prefix_products(words)
        begin = np.full((len(words), 1), self.group.order)
        ignored = np.full((len(words), 1), IGNORED_TARGET)
        tokens, targets = np.concatenate([begin, words], 1), np.concatenate([ignored, targets], 1)
        return {"tokens": torch.from_numpy(tokens), "targets": torch.from_numpy(targets)}

    def train(self, seed: int, step: int, rows: range, batch_size: int) -> Batch:
        length, share = self.settings.train_len, self.settings.short_share
        batch = self._batch(self.group.words(seed, "words", step, rows, length))
        if share:
            short = torch.from_numpy(row_uniforms(seed, "short words", step, rows, 1) < share)
            late = torch.arange(length + 1) > 2
            batch["targets"] = batch["targets"].masked_fill(short & late, IGNORED_TARGET)
        return batch

    def test(self, length: int, num: int) -> Batch:
        return self._batch(self.group.words(TEST_SEED, f"test {length}", 0, range(num), length))


class Copying(Source):
    """$ s | s . with uniform letters s; asked is everything after the bar. A row holds one string, padded."""

    def __init__(self, settings: TaskSettings) -> None:
        super().__init__(settings)
        self.vocab_size = settings.alphabet + 4  # letters, $, |, ., padding

    def _batch(self, letters: np.ndarray, lengths: np.ndarray) -> Batch:
        first, bar, stop, pad = self.settings.alphabet + np.arange(4)
        longest = letters.shape[1]
        sequences = np.full((len(letters), 2 * longest + 3), pad)
        asked = np.zeros(sequences.shape, bool)
        for row, (own, n) in enumerate(zip(letters, lengths, strict=True)):
            sequences[row, : 2 * n + 3] = [first, *own[:n], bar, *own[:n], stop]
            asked[row, n + 2 : 2 * n + 3] = True
        targets = np.where(asked, sequences, IGNORED_TARGET)[:, 1:]
        return {"tokens": torch.from_numpy(sequences[:, :-1]), "targets": torch.from_numpy(targets)}

    def train(self, seed: int, step: int, rows: range, batch_size: int) -> Batch:
        low, high = self.settings.min_len, self.settings.train_len
        draws = row_uniforms(seed, "strings", step, rows, high + 1)
        letters = (draws[:, 1:] * self.settings.alphabet).astype(np.int64)
        return self._batch(letters, low + (draws[:, 0] * (high - low + 1)).astype(np.int64))

    def test(self, length: int, num: int) -> Batch:
        draws = row_uniforms(TEST_SEED, f"test {length}", 0, range(num), length)
        letters = (draws * self.settings.alphabet).astype(np.int64)
        return self._batch(letters, np.full(num, length))


class Arithmetic(Source):
    """An expression and the equals sign; asked is its value alone, at the last token."""

    def __init__(self, settings: TaskSettings) -> None:
        super().__init__(settings)
        self.vocab_size = arithmetic.vocab_size(settings.modulus)

    def _batch(self, expressions: list[list[str]], width: int) -> Batch:
        modulus = self.settings.modulus
        tokens = torch.full((len(expressions), width), arithmetic.symbol("PAD", modulus))
        targets = torch.full_like(tokens, IGNORED_TARGET)
        for row, own in enumerate(expressions):
            tokens[row, : len(own) + 1] = torch.tensor(arithmetic.encode([*own, "="], modulus))
            targets[row, len(own)] = arithmetic.value(own, modulus)
        return {"tokens": tokens, "targets": targets}

    def train(self, seed: int, step: int, rows: range, batch_size: int) -> Batch:
        low, high = self.settings.min_len // 2, (self.settings.train_len - 1) // 2
        found = []
        for row in rows:
            rng = numpy_generator(seed, "expression", step, row)
            found.append(arithmetic.expression(2 * int(rng.integers(low, high + 1)) + 1, self.settings.modulus, rng))
        return self._batch(found, 2 * high + 2)

    def test(self, length: int, num: int) -> Batch:
        length -= 1 - length % 2  # expressions have odd lengths
        rng = numpy_generator(TEST_SEED, "test expressions", length)
        return self._batch([arithmetic.expression(length, self.settings.modulus, rng) for _ in range(num)], length + 1)


class Text(Source):
    """Next-token prediction on a corpus; a test length is the number of predicted tokens of a window."""

    @functools.cached_property
    def data(self) -> TextData:
        return load_text_data(self.settings.text)

    @property
    def vocab_size(self) -> int:
        return self.settings.vocab_size or self.data.tokenizer.vocab_size

    @staticmethod
    def _batch(windows: Tensor) -> Batch:
        return {"tokens": windows[:, :-1], "targets": windows[:, 1:]}

    def train(self, seed: int, step: int, rows: range, batch_size: int) -> Batch:
        return self._batch(self.data.train.crops(seed, step, rows, batch_size, self.settings.train_len + 1))

    def test(self, length: int, num: int) -> Batch:
        return self._batch(self.data.validation.windows(length + 1, num))


_SOURCES = {"word": Words, "repeat": Words, "copy": Copying, "arithmetic": Arithmetic, "text": Text}


def source_of(settings: TaskSettings) -> Source:
    """The sequences that the settings name."""
    return _SOURCES[settings.kind](settings)


def row_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over each row's asked positions, in nats; (B, T, V) and (B, T) -> (B,)."""
    asked = (targets != IGNORED_TARGET).sum(-1)
    return token_nll(logits.contiguous(), targets).sum(-1) / asked.clamp_min(1)


class SequenceTask(Task):
    """One model of a study; every row weighs the same."""

    def __init__(self, study: Study, entry: Entry, source: Source | None = None) -> None:
        self.study, self.entry = study, entry
        self.source = source or source_of(study.task)
        self.tokens_per_row = study.task.train_len

    def build(self, seed: int) -> nn.Module:
        cap = self.study.evaluation.cap
        return SequenceModel(self.entry.model, self.source.vocab_size, cap, torch_generator(seed, "init"))

    def batch(self, step: int, rows: range, seed: int) -> Batch:
        batch = self.source.train(seed, step, rows, self.study.batch_size)
        if self.entry.gamma is not None:
            limit = sampled_limit(self.entry.gamma, numpy_generator(seed, "l_max", step))
            batch["l_max"] = torch.full((len(rows),), limit)
        return batch

    def loss(self, model: nn.Module, batch: Batch, values: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        out = model(batch["tokens"], batch["l_max"][0] if "l_max" in batch else None)
        found = {f"iterations_{i}": s.iterations for i, s in enumerate(out.solutions)}
        return row_loss(out.logits, batch["targets"]).mean(), found


def sampled_limit(k: int, rng: np.random.Generator) -> int:
    """l_max of one update: Gamma with shape 4 and scale k / 16 + 1, rounded up, as the released code draws it.

    The paper writes Gamma(4, 1), which is k = 0.
    """
    return int(np.ceil(rng.gamma(4.0, k / 16 + 1)))

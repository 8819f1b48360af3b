"""A language model on a text corpus.

Shapes: B rows, T tokens of a row that are predicted.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Self

from torch import Tensor, nn

from shared.base.seeding import torch_generator
from shared.data.text import TextData, load_text_data
from shared.models.language_model import LanguageModel, token_nll
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.task import Task


class LanguageTask(Task):
    """Next-token cross-entropy in nats; batches are crops of the training text, held-out windows are fixed.

    Args:
        settings: of the sweep. overrides: `model.<name>` values of this shard's runs. batch_size: rows of an update.
    """

    def __init__(self, settings: LanguageSettings, overrides: dict[str, Any], batch_size: int):
        self.settings, self.batch_size = settings, batch_size
        self.tokens_per_row = settings.seq_len
        self.config = settings.model_config_for(overrides)

    @classmethod
    def of_shard(cls, shard: LanguageShard) -> Self:
        """The task of a job, whose runs share model and batch size."""
        return cls(shard, dict(shard.runs[0].model), shard.runs[0].batch_size)

    @functools.cached_property
    def data(self) -> TextData:
        data = load_text_data(self.settings.text)
        if data.tokenizer.vocab_size > self.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {data.tokenizer.vocab_size} tokens and the model {self.config.vocab_size};"
                f" set vocab_size to at least {data.tokenizer.vocab_size}"
            )
        return data

    def build(self, seed: int) -> nn.Module:
        return LanguageModel(self.config, torch_generator(seed, "init"))

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """tokens (B, T + 1)."""
        return {"tokens": self.data.train.crops(seed, step, rows, self.batch_size, self.settings.seq_len + 1)}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], values: Mapping[str, Tensor]) -> Tensor:
        return self.nll(model, batch["tokens"]).mean()

    def evaluation(self) -> Iterable[dict[str, Tensor]]:
        windows = self.data.validation.windows(self.settings.seq_len + 1, self.settings.validation_windows)
        return ({"tokens": rows} for rows in windows.split(self.settings.validation_rows))

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"val_loss": self.nll(model, batch["tokens"]).mean()}

    @staticmethod
    def nll(model: nn.Module, tokens: Tensor) -> Tensor:
        """tokens (B, T + 1) -> (B, T) in nats; `model` may be wrapped."""
        return token_nll(model(tokens[:, :-1]), tokens[:, 1:])

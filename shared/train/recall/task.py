"""Training on a synthetic token task: loss and accuracy at the scored positions alone.

Shapes: B rows, T tokens, Q scored positions of a row (the most that the task has; fewer are filled up unscored).
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from shared.base.seeding import derive_seed, torch_generator
from shared.data.synthetic.registry import UNSCORED, Examples, examples
from shared.train.recall.config import RecallSettings, RecallShard
from shared.train.recall.model import RecallModel, answer_nll
from shared.train.rows import shuffled_indices
from shared.train.task import Task


class RecallTask(Task):
    """Mean over rows of the mean cross-entropy (nats) of a row's scored positions; accuracy likewise.

    Training rows are epochs of a fixed set in random order, or examples that are never seen twice. The sets "train",
    "validation" and "test" are streams of their own.

    Args:
        settings: of the sweep. overrides: `model.<name>` values of this shard's runs. batch_size: rows of an update.
    """

    def __init__(self, settings: RecallSettings, overrides: dict[str, Any], batch_size: int):
        self.settings, self.batch_size = settings, batch_size
        self.config = settings.model_config_for(overrides)
        self.tokens_per_row = settings.data.num_positions

    @classmethod
    def of_shard(cls, shard: RecallShard) -> Self:
        """The task of a job, whose runs share model and batch size."""
        return cls(shard, dict(shard.runs[0].model), shard.runs[0].batch_size)

    def build(self, seed: int) -> nn.Module:
        return RecallModel(self.config, torch_generator(seed, "init"), self.settings.data.decodes_last)

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """tokens (B, T), positions (B, Q), labels (B, Q)."""
        if self.settings.num_examples is None:
            start = step * self.batch_size
            found = examples(
                self.settings.data, derive_seed(seed, "fresh"), range(start + rows[0], start + rows[-1] + 1)
            )
            return self.scored(found)
        num = self.settings.num_examples
        chosen = shuffled_indices(seed, step, rows, batch_size=self.batch_size, num_items=num)
        return {name: tensor[chosen].long() for name, tensor in self._train.items()}

    @functools.cached_property
    def _train(self) -> dict[str, Tensor]:
        """The training set in int32: a hundred thousand long rows fit into memory."""
        found = self.scored(self.held_out("train", self.settings.num_examples))
        return {name: tensor.int() for name, tensor in found.items()}

    def held_out(self, name: str, num: int) -> Examples:
        """The first `num` examples of the set `name`."""
        return examples(self.settings.data, derive_seed(0, "recall set", name), range(num))

    def scored(self, found: Examples) -> dict[str, Tensor]:
        """Examples as a batch: the scored positions of each row in order, then unscored ones at position 0."""
        most = self.settings.data.max_targets
        order = np.argsort(found.targets == UNSCORED, axis=1, kind="stable")[:, :most]
        labels = np.take_along_axis(found.targets, order, 1)
        positions = np.where(labels == UNSCORED, 0, order)
        parts = {"tokens": found.tokens, "positions": positions, "labels": labels}
        return {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()}

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], values: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss, accuracy = self.measured(model, batch)
        return loss, {"accuracy": accuracy}

    def evaluation(self) -> Iterable[dict[str, Tensor]]:
        rows = self.settings.validation_rows
        found = self._validation
        for start in range(0, self.settings.validation_examples, rows):
            yield {name: tensor[start : start + rows] for name, tensor in found.items()}

    @functools.cached_property
    def _validation(self) -> dict[str, Tensor]:
        return self.scored(self.held_out("validation", self.settings.validation_examples))

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        loss, accuracy = self.measured(model, batch)
        return {"val_loss": loss, "val_accuracy": accuracy}

    @staticmethod
    def measured(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Loss in nats and share of right answers (over the whole vocabulary), means over rows; `model` may be wrapped.

        A row without a scored position counts 0 in both.
        """
        logits, labels = model(batch["tokens"], batch["positions"]), batch["labels"]
        scored = labels != UNSCORED
        counts = scored.sum(1).clamp_min(1)
        right = (logits.detach().argmax(-1) == labels).sum(1) / counts  # no logit is the label UNSCORED
        return (answer_nll(logits, labels, UNSCORED).sum(1) / counts).mean(), right.to(logits.dtype).mean()


@torch.no_grad()
def answers(model: nn.Module, batch: dict[str, Tensor], rows: int = 256) -> tuple[Tensor, Tensor]:
    """(right (N, Q) bool, nats (N, Q)) of every answer, 0 where unscored; accuracy by gap or pair follows.

    Args:
        rows: of one forward pass.
    """
    right, nats = [], []
    for start in range(0, len(batch["tokens"]), rows):
        part = {name: tensor[start : start + rows] for name, tensor in batch.items()}
        logits = model(part["tokens"], part["positions"])
        right.append(logits.argmax(-1) == part["labels"])
        nats.append(answer_nll(logits, part["labels"], UNSCORED))
    return torch.cat(right), torch.cat(nats)

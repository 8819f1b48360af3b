"""What is trained: a model, its batches, its loss, its evaluation. One protocol, for a run alone and for ensembles."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Loss = Tensor | tuple[Tensor, dict[str, Tensor]]


class Task(ABC):
    """A model with its data. One task serves every run of a sweep; what differs comes in as seeds and values.

    A batch is a function of (seed, step, row), never of an iterator's history: row r of step s has the same content
    whichever rows are asked for, how often, and in which order. That is what makes a resumed run exact and what lets
    several processes, or several accumulation steps, share one global batch. `shared.train.rows` has index draws that
    keep the rule.
    """

    tokens_per_row: int | None = None  # for the throughput in the provenance; None where rows are not sequences

    @abstractmethod
    def build(self, seed: int) -> nn.Module:
        """A freshly initialised model; its values depend on `seed` alone."""

    @abstractmethod
    def batch(self, step: int, rows: range, seed: int) -> Batch:
        """Rows `rows` (a contiguous part of 0 .. batch_size - 1) of update `step` in the data order `seed`.

        Rows lie along the first dimension of every entry.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, values: Mapping[str, Tensor]) -> Loss:
        """Mean loss of one run over the rows of `batch`, alone or with other scalars to log (means over rows too).

        Every row must weigh the same: the loop averages over processes and accumulation steps of equally many rows.
        Call the model as `model(...)`: with several processes it is wrapped and has no methods of its own.
        In an ensemble it is mapped by torch.vmap: no branches on the values of tensors, no `.item()`, no dropout.
        Alone, draws from torch's global generator are seeded per (seed, step, process) by the loop.

        Args:
            values: the run's loss values, 0-d tensors.
        """

    def evaluation(self) -> Iterable[Batch]:
        """Held-out batches, the same for every run and every time."""
        return ()

    def metrics(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Scalars of one run on a held-out batch, means over its rows; mapped like `loss`, in eval mode."""
        return {}

    @torch.no_grad()
    def evaluate(self, model: nn.Module, step: int) -> dict[str, float]:
        """Metrics after `step` updates: means of `metrics` over the rows of `evaluation`.

        Override it where a measure is no such mean; an ensemble then evaluates its members one by one. The model is
        bare and in eval mode. Draws from torch's global generator are seeded per (seed, step).
        """
        device, totals, count = next(model.parameters()).device, {}, 0
        for batch in self.evaluation():
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            size = num_rows(batch)
            for name, value in self.metrics(model, batch).items():
                totals[name] = totals.get(name, 0.0) + value.double() * size
            count += size
        return {name: float(total / count) for name, total in totals.items()}


def num_rows(batch: Batch) -> int:
    """Rows of a batch, the length of the first dimension."""
    return len(next(iter(batch.values())))


def loss_and_metrics(found: Loss) -> tuple[Tensor, dict[str, Tensor]]:
    """What a task's `loss` returned, as a pair."""
    return found if isinstance(found, tuple) else (found, {})

"""What a paper tells the training loop: its batches, its loss, its evaluation."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class TrainingTask(ABC):
    """Batches, loss and evaluation of one training run.

    A batch is a function of (seed, step, row), never of an iterator's history: row r of step s has the same content
    whichever rows are asked for, how often, and in which order. That is what makes a resumed run exact and what lets
    several processes, or several accumulation steps, share one global batch. `shared.train.rows` has index draws that
    keep the rule.
    """

    tokens_per_row: int | None = None  # for the throughput in the provenance; None where rows are not sequences

    @abstractmethod
    def batch(self, step: int, rows: range) -> dict[str, Tensor]:
        """Rows `rows` (a contiguous part of 0 .. batch_size - 1) of update `step`, along the first dimension."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor | float]]:
        """Mean loss over the rows of `batch`, and other scalars to log (means over rows too).

        Every row must weigh the same: the loop averages over processes and accumulation steps of equally many rows.
        Call the model as `model(...)`: with several processes it is wrapped and has no methods of its own.
        Noise drawn from torch's global generator is seeded per (seed, step, process) by the loop.
        """

    def evaluate(self, model: nn.Module, step: int) -> dict[str, float]:
        """Metrics after `step` updates; the model is bare, in eval mode and without gradients.

        Every process evaluates the same; draws from torch's global generator are seeded per (seed, step).
        """
        return {}

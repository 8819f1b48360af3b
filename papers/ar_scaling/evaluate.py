"""What a trained model answers on the test set: accuracy, accuracy by gap, accuracy at other numbers of pairs.

Shapes: N examples, Q scored positions of an example.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from papers.ar_scaling.studies import TestPlan
from shared.data.synthetic.config import MQARConfig
from shared.data.synthetic.recall import gaps
from shared.data.synthetic.registry import UNSCORED
from shared.train.recall.config import RecallSettings
from shared.train.recall.task import RecallTask, answers


class TestSet:
    """The test examples of a task, made once for all of its runs."""

    def __init__(self, settings: RecallSettings, plan: TestPlan, num_pairs: Sequence[int] = ()) -> None:
        self.plan, self.settings, self.data = plan, settings, settings.data
        task = RecallTask(settings, {}, 1)
        self.batch = task.scored(task.held_out("test", plan.num_examples))
        self.gaps: Tensor | None = None
        self.others: dict[int, dict[str, Tensor]] = {}
        if isinstance(self.data, MQARConfig):
            distance = torch.from_numpy(gaps(self.batch["tokens"].numpy()))
            self.gaps = distance.gather(1, self.batch["positions"])
            self.others = {num: self._with_pairs(num) for num in num_pairs if 4 * num <= self.data.seq_len}

    def _with_pairs(self, num_pairs: int) -> dict[str, Tensor]:
        data = self.data.model_copy(update={"num_pairs": num_pairs})
        task = RecallTask(self.settings.model_copy(update={"data": data}), {}, 1)
        return task.scored(task.held_out("test pairs", -(-self.plan.num_examples // 2)))

    def to(self, device: str) -> Self:
        """The set on a device; returns itself."""
        self.batch = {name: tensor.to(device) for name, tensor in self.batch.items()}
        self.gaps = None if self.gaps is None else self.gaps.to(device)
        self.others = {num: {k: v.to(device) for k, v in batch.items()} for num, batch in self.others.items()}
        return self

    def rows(self, model: nn.Module) -> Iterator[dict]:
        """`measure` (test, gap, pairs), `at` (upper end of a bin of gaps; number of pairs), accuracy, loss, count.

        `whole` is the share of examples all of whose answers are right.
        """
        right, nats = answers(model, self.batch)
        yield {"measure": "test", "at": 0, **_means(right, nats, self.batch)}
        if self.gaps is not None:
            bins = (self.gaps + self.plan.gap_width - 1) // self.plan.gap_width
            for index in bins.unique().tolist():
                own = bins == index
                row = {"measure": "gap", "at": index * self.plan.gap_width, "num_answers": int(own.sum())}
                yield row | {"accuracy": right[own].double().mean().item(), "loss": nats[own].double().mean().item()}
        for num_pairs, batch in self.others.items():
            yield {"measure": "pairs", "at": num_pairs, **_means(*answers(model, batch), batch)}


def _means(right: Tensor, nats: Tensor, batch: dict[str, Tensor]) -> dict[str, float]:
    """Means over examples of their shares of right answers and of their mean losses."""
    scored = batch["labels"] != UNSCORED
    counts = scored.sum(1)
    return {
        "accuracy": (right.sum(1) / counts).double().mean().item(),
        "loss": (nats.sum(1) / counts).double().mean().item(),
        "whole": (right.sum(1) == counts).double().mean().item(),
        "num_answers": int(scored.sum()),
    }

"""Evaluate the members of an ensemble: all at once, or one by one where a task has its own way."""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.base.seeding import derive_seed
from shared.train.ensemble.stacked import StackedModel
from shared.train.loop.runtime import seed_global_generators
from shared.train.run import Run
from shared.train.task import Task, num_rows


def evaluated(
    task: Task, model: StackedModel, runs: Sequence[Run], indices: Sequence[int], step: int
) -> dict[int, dict[str, float]]:
    """Index of a member -> what `Task.evaluate` says of it after `step` updates; none where nothing is held out."""
    if type(task).evaluate is not Task.evaluate:
        return {i: _alone(task, model, runs[i], i, step) for i in indices}
    means = _means(task, model)
    return {i: {name: column[i] for name, column in means.items()} for i in indices if means}


def _means(task: Task, model: StackedModel) -> dict[str, list[float]]:
    """Metrics of all members, means over held-out rows."""
    totals: dict[str, Tensor] = {}
    count = 0
    for batch in task.evaluation():
        batch = {name: tensor.to(model.flat.device) for name, tensor in batch.items()}
        size = num_rows(batch)
        parts = [model.metrics(task.metrics, batch, rows) for rows in model.stacks]
        for name in parts[0]:
            total = torch.cat([part[name] for part in parts]).double() * size
            totals[name] = totals[name] + total if name in totals else total
        count += size
    return {name: (total / count).tolist() for name, total in totals.items()}


def _alone(task: Task, model: StackedModel, run: Run, index: int, step: int) -> dict[str, float]:
    """A task's own `evaluate` on one member, under the random state that the training loop gives it."""
    seed_global_generators(derive_seed(run.stream_seed, "evaluation noise", step), model.flat.device)
    with model.as_module(index) as module:
        return {name: float(value) for name, value in task.evaluate(module, step).items()}

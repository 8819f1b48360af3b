"""Ways of merging the branches of one fork, beside each other: soups, Fisher merging, task vectors, TIES, DARE.

What a method leaves free is chosen on every other test image and judged on the rest, which no choice has seen: the
scale of task vectors, on one grid for all that have it, and the members of a greedy soup.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from papers.merging_noise.gradients import diagonal_fisher
from papers.merging_noise.settings import Methods
from papers.merging_noise.task import MergeTask
from shared.base.seeding import torch_generator
from shared.data.images import LabelledImages
from shared.weightspace.task_vectors import (
    add,
    average,
    dare_vector,
    fisher_average,
    greedy_soup,
    task_vector,
    ties_vector,
)

State = Mapping[str, Tensor]
Judge = Callable[[Sequence[State]], list[dict[str, float]]]
SCALES = np.arange(0.2, 2.41, 0.2).round(10).tolist()  # of the mean task vector: 1 is the average of the models


def half(task: MergeTask, part: int) -> MergeTask:
    """The task with every other test image, from number `part` on."""
    own, data = copy.copy(task), task.data
    test = data.test_images[part::2], data.test_labels[part::2]
    own.__dict__["data"] = LabelledImages(data.train_images, data.train_labels, *test)
    return own


def candidates(
    states: Sequence[State], start: State, fishers: Sequence[State], methods: Methods, seed: int
) -> dict[str, dict[float, State]]:
    """Method -> what it leaves free -> merged model; of averages the number of models."""
    taus = [task_vector(state, start) for state in states]
    vectors = {"task arithmetic": average(taus), "TIES": ties_vector(taus, methods.keep)}
    for drop in methods.drops:
        draws = [torch_generator(seed, "dare", f"{drop:g}", k) for k in range(len(taus))]
        vectors[f"DARE, drop {drop:g}"] = average([dare_vector(t, drop, g) for t, g in zip(taus, draws, strict=True)])
    number = float(len(states))
    found: dict[str, dict[float, State]] = {
        f"average of {n}": {float(n): average(states[:n])} for n in (2, len(states))
    }
    found[f"Fisher merging of {len(states)}"] = {number: fisher_average(states, fishers)}
    return found | {name: {scale: add(start, tau, scale) for scale in SCALES} for name, tau in vectors.items()}


def fishers_of(
    task: MergeTask, modules: Callable[[State], nn.Module], states: Sequence[State], methods: Methods, seed: int
) -> list[dict[str, Tensor]]:
    """Diagonal Fisher information of each model on the same training images."""
    own = copy.copy(task)
    own.batch_size = methods.examples
    batch = own.batch(0, range(methods.examples), seed)
    draws = [torch_generator(seed, "fisher labels", k) for k in range(len(states))]
    return [diagonal_fisher(task, modules(state), batch, g) for state, g in zip(states, draws, strict=True)]


def method_rows(
    states: Sequence[State], merged: Mapping[str, Mapping[float, State]], choose: Judge, judge: Judge
) -> Iterator[dict]:
    """A row per method: test accuracy (%) and loss (nats), gains over the mean of the models, and what was chosen.

    Args:
        choose, judge: metrics of models on the half that decides and on the half that is reported.
    """
    ends = judge(states)
    mean = {name: float(np.mean([row[name] for row in ends])) for name in ends[0]}
    picked: dict[str, tuple[float, State]] = {}
    soup, members = greedy_soup(states, lambda state: -choose([state])[0]["val_loss"])
    picked[f"greedy soup of {len(states)}"] = (float(len(members)), soup)
    for name, options in merged.items():
        losses = [row["val_loss"] for row in choose(list(options.values()))] if len(options) > 1 else [0.0]
        picked[name] = list(options.items())[int(np.argmin(losses))]
    found = judge([state for _, state in picked.values()])
    yield {"method": "mean of the branches", "chosen": 1.0, **_measured(mean, mean)}
    for (name, (chosen, _)), metrics in zip(picked.items(), found, strict=True):
        yield {"method": name, "chosen": chosen, **_measured(metrics, mean)}


def _measured(metrics: Mapping[str, float], mean: Mapping[str, float]) -> dict[str, float]:
    accuracy, loss = 100 * metrics["val_accuracy"], metrics["val_loss"]
    return {
        "accuracy": accuracy,
        "loss": loss,
        "acc_gain": accuracy - 100 * mean["val_accuracy"],
        "loss_gain": mean["val_loss"] - loss,
    }

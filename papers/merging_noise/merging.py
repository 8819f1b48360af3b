"""What is measured of branches: gains of their merges, paths between them, features, noise, norms.

A record's rows are grouped in parts: "pairs", "path", "arithmetic", "layers", "methods".
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from papers.merging_noise.features import linear_cka, penultimate
from papers.merging_noise.gradients import covariance_trace, example_gradients
from papers.merging_noise.methods import candidates, fishers_of, half, method_rows
from papers.merging_noise.noise import effective_lr, noise_of
from papers.merging_noise.settings import ForkPlan
from papers.merging_noise.task import MergeTask
from shared.train.ensemble.fork import Fork
from shared.train.run import Run
from shared.train.task import Task
from shared.weightspace.batchnorm import has_statistics, reset_statistics
from shared.weightspace.interpolation import evaluate_states, grid, path
from shared.weightspace.states import distance
from shared.weightspace.task_vectors import add, average, task_arithmetic, task_vector, ties_vector

State = Mapping[str, Tensor]
Labelled = tuple[str, dict[str, Any]]
SCALES = (0.0, 1.2)  # of task arithmetic and TIES
RESET_BATCHES = 8  # of `batch_size` rows, for BatchNorm's statistics


class Merger:
    """Measures the groups of one fork: branches of one trunk with equal settings.

    Args:
        task, trunks: what was trained. labels: columns of every row (study, schedule, augmentation).
    """

    def __init__(
        self, task: Task, trunks: Sequence[Run], plan: ForkPlan, labels: Mapping[str, Any], *, device: str, stack: int
    ) -> None:
        self.task, self.trunks, self.plan, self.labels = task, trunks, plan, dict(labels)
        self.how = {"device": device, "stack": stack}
        self.template = task.build(0).to(device).eval()
        self.device = device

    def rows(self, fork: Fork) -> Iterator[Labelled]:
        """All rows of a fork."""
        losses = last_losses(fork)
        for group in groups(fork):
            trunk = fork.branches[group[0]].trunk
            run = fork.branches[group[0]].run
            states = [on_cpu(fork.result.states[i]) for i in group]
            about = self.labels | described(run, self.trunks[trunk], fork.step)
            if any(fork.result.diverged[i] for i in group):
                yield "pairs", about | {"diverged": True, "statistics": "averaged", "num_merged": 2}
                continue
            about["diverged"] = False
            train_loss = float(np.mean([losses[i] for i in group]))
            yield from self._pairs(states, about | {"train_loss": train_loss})
            yield from self._curves(states, on_cpu(fork.starts[trunk]), about)
            if self.plan.layers:
                yield from layer_rows(states[0], run, about)
            if self.plan.methods is not None:
                yield from self._methods(states, on_cpu(fork.starts[trunk]), about)

    def _pairs(self, states: Sequence[State], about: dict[str, Any]) -> Iterator[Labelled]:
        merges = [average(states[:number]) for number in range(2, len(states) + 1)]
        extra = {"distance": distance(states[0], states[1])} | self._extras(states)
        for statistics in ("averaged", "reset") if has_statistics(self.template) else ("averaged",):
            everyone = [*states, *merges]
            if statistics == "reset":
                everyone = [with_own_statistics(self.task, self.template, state) for state in everyone]
            found = evaluate_states(self.task, everyone, self.template, **self.how)
            for number in range(2, len(states) + 1):
                own, merged = found[:number], found[len(states) + number - 2]
                row = about | extra | {"statistics": statistics, "num_merged": number}
                yield "pairs", row | gains(own, merged)

    def _extras(self, states: Sequence[State]) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.plan.cka:
            images = self.task.data.test_images
            found["cka"] = linear_cka(*(penultimate(self._module(s), images) for s in states[:2]))
        if self.plan.trace_examples:
            found |= self._traces(self._module(states[0]))
        return found

    def _traces(self, model: nn.Module) -> dict[str, float]:
        """tr Sigma with the task's augmentation and without, over equally many draws of training examples."""
        settings, count = self.task.settings, self.plan.trace_examples
        found = {}
        for name, kind in (("trace", settings.augmentation), ("trace_plain", "none")):
            own = MergeTask(settings.model_copy(update={"augmentation": kind}), {}, count, device=self.device)
            own.__dict__["data"] = self.task.data
            found[name] = covariance_trace(example_gradients(own, model, own.batch(0, range(count), 0)))
        return found

    def _curves(self, states: Sequence[State], start: State, about: dict[str, Any]) -> Iterator[Labelled]:
        plan = self.plan
        if plan.path_points:
            alphas = grid(plan.path_points, -0.5, 1.5)
            found = evaluate_states(self.task, path(states[0], states[1], alphas), self.template, **self.how)
            for alpha, metrics in zip(alphas, found, strict=True):
                yield "path", about | {"alpha": float(alpha), **named(metrics)}
        if plan.arithmetic_points:
            scales = np.linspace(*SCALES, plan.arithmetic_points).round(10).tolist()
            merged = [task_arithmetic(start, states[:2], scale) for scale in scales]
            elected = ties_vector([task_vector(state, start) for state in states[:2]], plan.keep)
            merged += [add(start, elected, scale) for scale in scales]
            found = evaluate_states(self.task, merged, self.template, **self.how)
            methods = itertools.product(("task arithmetic", "TIES"), scales)
            for (method, scale), metrics in zip(methods, found, strict=True):
                yield "arithmetic", about | {"method": method, "scale": scale, **named(metrics)}

    def _methods(self, states: Sequence[State], start: State, about: dict[str, Any]) -> Iterator[Labelled]:
        plan, seed = self.plan.methods, about["seed"]
        fishers = fishers_of(self.task, self._module, states, plan, seed)
        merged = candidates(states, start, fishers, plan, seed)
        judges = [functools.partial(self._judged, half(self.task, part)) for part in (0, 1)]
        for row in method_rows(states, merged, *judges):
            yield "methods", about | row

    def _judged(self, task: MergeTask, states: Sequence[State]) -> list[dict[str, float]]:
        if has_statistics(self.template):
            states = [with_own_statistics(self.task, self.template, state) for state in states]
        return evaluate_states(task, states, self.template, **self.how)

    def _module(self, state: State) -> nn.Module:
        self.template.load_state_dict(state, strict=False)  # what is frozen stays
        return self.template


def on_cpu(state: State) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in state.items()}


def with_own_statistics(task: MergeTask, template: nn.Module, state: State) -> dict[str, Tensor]:
    """The state with BatchNorm's running statistics estimated anew on training batches."""
    template.load_state_dict(state, strict=False)
    rows = range(task.batch_size)
    reset_statistics(template, (task.batch(step, rows, 0)["images"] for step in range(RESET_BATCHES)))
    return on_cpu({name: tensor.clone() for name, tensor in template.state_dict().items()})


def groups(fork: Fork) -> Iterator[list[int]]:
    """Indices of the branches that belong together, in order."""
    keys: dict[tuple, list[int]] = {}
    for index, branch in enumerate(fork.branches):
        keys.setdefault((branch.trunk, tuple(sorted(branch.run.settings.items()))), []).append(index)
    yield from keys.values()


def last_losses(fork: Fork) -> list[float]:
    """Training loss of each branch, nats: the mean over its last logged updates; nan where it had none."""
    last = fork.result.last("loss")
    return [last[branch.run.name] for branch in fork.branches]


def described(run: Run, trunk: Run, step: int) -> dict[str, Any]:
    """Columns that tell a group of branches apart."""
    settings = run.settings
    return {
        "optimizer": run.optimizer,
        "lr": trunk.lr,
        "lr_after": run.lr,
        "batch_size": run.batch_size,
        "momentum": float(settings.get("momentum", settings.get("beta1", 0.0))),
        "weight_decay": float(settings.get("weight_decay", settings.get("l2", 0.0))),
        "num_steps": run.num_steps,
        "fork": step,
        "seed": run.seed,
        "noise": noise_of(run.optimizer, settings, run.batch_size),
    }


def gains(parents: Sequence[Mapping[str, float]], merged: Mapping[str, float]) -> dict[str, float]:
    """acc_gain in percentage points, loss_gain in nats, both positive if the merge is better than its parents' mean."""
    mean = {name: float(np.mean([own[name] for own in parents])) for name in merged}
    row = {"loss": mean["val_loss"], "loss_merged": merged["val_loss"]}
    row["loss_gain"] = row["loss"] - row["loss_merged"]
    if "val_accuracy" in merged:
        row |= {"accuracy": 100 * mean["val_accuracy"], "accuracy_merged": 100 * merged["val_accuracy"]}
        row["acc_gain"] = row["accuracy_merged"] - row["accuracy"]
    return row


def named(metrics: Mapping[str, float]) -> dict[str, float]:
    """The loss in nats, and the accuracy in per cent where there is one."""
    row = {"loss": metrics["val_loss"]}
    return row | ({"accuracy": 100 * metrics["val_accuracy"]} if "val_accuracy" in metrics else {})


def layer_rows(state: State, run: Run, about: dict[str, Any]) -> Iterator[Labelled]:
    """Squared norm of each matrix, and the learning rate of its direction."""
    for name, tensor in state.items():
        if tensor.ndim >= 2:
            squared = float(tensor.double().square().sum())
            yield "layers", about | {"layer": name, "squared_norm": squared, "eta_eff": effective_lr(run.lr, squared)}

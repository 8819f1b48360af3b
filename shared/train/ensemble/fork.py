"""Branches of shared trunks: train runs to a step, then several continuations of each.

A branch goes on from all that its trunk is made of, parameters, optimiser state, statistics, position in the schedule,
and differs in the order of its data, or in hyperparameters from there on.

Source: Frankle et al. 2020 (arXiv 1912.05671), instability analysis.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.base.seeding import derive_seed
from shared.train.checkpoint import load_tree, save_tree
from shared.train.config import TrainingConfig
from shared.train.ensemble.result import EnsembleResult
from shared.train.ensemble.state import EnsembleRun
from shared.train.loop.interrupt import InterruptLater
from shared.train.loop.progress import ProgressReport
from shared.train.loop.runtime import limited_threads, own_random_state
from shared.train.run import Run, Value
from shared.train.task import Task


@dataclass(frozen=True)
class Branch:
    """One continuation. trunk: index of the run that it continues. number: 0, 1, ... among those of equal settings."""

    trunk: int
    number: int
    run: Run


@dataclass(frozen=True)
class Fork:
    """What grew from one step of the trunks.

    step: updates of the trunks. starts: their states then, per run. branches: in the order of `result`'s runs.
    """

    step: int
    starts: list[dict[str, Tensor]]
    branches: list[Branch]
    result: EnsembleResult


def branches_of(
    runs: Sequence[Run], step: int, number: int, *, changes: Sequence[Mapping[str, Value]] = ({},), same_order=False
) -> list[Branch]:
    """`number` branches of each run for each of `changes`, which replace its hyperparameters after the fork.

    The data order of a branch is a function of its run's, the step and its number: branches of equal number see equal
    data whatever their hyperparameters.

    Args:
        same_order: all branches of a run see what its first one sees (they are equal then: a control).
    """
    found = []
    for index, run in enumerate(runs):
        for change in changes:
            label = "".join(f" then {name}={value:g}" for name, value in change.items())
            for k in range(number):
                seed = derive_seed(run.stream_seed, "branch", step, 0 if same_order else k)
                name = f"{run.name}{label} fork={step} branch={k}"
                own = replace(run, name=name, settings=run.settings | change, data_seed=seed)
                found.append(Branch(index, k, own))
    return found


def train_forked(
    task: Task,
    runs: Sequence[Run],
    config: TrainingConfig,
    *,
    steps: Sequence[int],
    number: int = 2,
    changes: Sequence[Mapping[str, Value]] = ({},),
    same_order: bool = False,
    checkpoint_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    stack: int | None = None,
    device: str = "cpu",
    num_threads: int = 1,
    title: str = "forks",
    progress: bool = True,
) -> Iterator[Fork]:
    """Train trunks as one ensemble; at each of `steps` train all their branches to the end, as another, and yield them.

    With `checkpoint_dir` a killed call continues: finished forks are read, the trunks go on from the last one.

    Args:
        steps: updates after which trunks fork, rising, from 0 to the end. number, changes, same_order: of the branches.
        task, runs, config, settings, stack, device, num_threads: as in `train_ensemble`.
    Raises:
        ValueError: steps that are out of range or order, fewer than one branch; what `train_ensemble` refuses.
    """
    _check(steps, number, runs[0].num_steps)
    folder = None if checkpoint_dir is None else Path(checkpoint_dir)
    how = {"settings": settings, "device": device, "stack": stack}
    with limited_threads(num_threads), own_random_state(torch.device(device)):
        trunk = EnsembleRun(task, runs, config, directory=folder and folder / "trunk", **how)
        trunk.resume()
        for step in steps:
            own = branches_of(runs, step, number, changes=changes, same_order=same_order)
            saved = folder and folder / f"start-{step:07d}.safetensors"
            if trunk.step > step:  # it passed this fork, so its branches were finished
                starts = load_tree(saved)["starts"]
            else:
                _advance(trunk, step, f"{title}: trunk", progress)
                starts = [trunk.model.member_state(i) for i in range(len(runs))]
                if saved is not None:
                    save_tree({"starts": starts}, saved)
            below = folder and folder / f"fork-{step:07d}"
            ensemble = EnsembleRun(task, [branch.run for branch in own], config, directory=below, **how)
            ensemble.resume()
            if not ensemble.finished:
                if ensemble.step <= step:
                    _continue(ensemble, trunk, own, step)
                _advance(ensemble, None, f"{title}: branches from {step}", progress)
            yield Fork(step, starts, own, ensemble.result())


def _check(steps: Sequence[int], number: int, num_steps: int) -> None:
    if not steps or list(steps) != sorted(set(steps)):
        raise ValueError(f"forks need rising steps, at least one; got {list(steps)}")
    if steps[0] < 0 or steps[-1] > num_steps:
        raise ValueError(f"a fork at {steps[-1] if steps[0] >= 0 else steps[0]} is outside of a run of {num_steps}")
    if number < 1:
        raise ValueError(f"a fork needs at least one branch; got {number}")


def _continue(ensemble: EnsembleRun, trunk: EnsembleRun, branches: Sequence[Branch], step: int) -> None:
    """Put the branches where their trunks are; nothing that trunks hold is shared with them.

    Raises:
        ValueError: the trunks are past the fork.
    """
    if trunk.step != step and bool(trunk.alive.any()):
        raise ValueError(
            f"the trunks are at step {trunk.step}, past the fork at {step}, and no checkpoint of its branches is left;"
            " remove the folder of checkpoints to train anew"
        )
    parents = [branch.trunk for branch in branches]
    index = torch.tensor(parents, device=ensemble.device)
    ensemble.model.flat.copy_(trunk.model.flat[index])
    for name, buffer in ensemble.model.buffers.items():
        buffer.copy_(trunk.model.buffers[name][index])
    saved = trunk.updates.state_dict()
    ensemble.updates.load_state_dict({str(i): saved[str(parent)] for i, parent in enumerate(parents)})
    ensemble.alive.copy_(trunk.alive[index])
    ensemble.stopped_at = [trunk.stopped_at[parent] for parent in parents]
    ensemble.step = trunk.step


def _advance(ensemble: EnsembleRun, until: int | None, title: str, progress: bool) -> None:
    report = ProgressReport(title, ensemble.num_steps, start=ensemble.step, enabled=progress)
    with report, InterruptLater(enabled=ensemble.directory is not None) as interrupt:
        ensemble.train(report, interrupt, until)

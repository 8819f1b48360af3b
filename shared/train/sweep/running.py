"""Train the runs of a sweep: as members of ensembles, in one process or several."""

import itertools
import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from shared.train.config import TrainingConfig
from shared.train.ensemble import EnsembleResult, EnsembleTask, train_ensemble
from shared.train.members import Member
from shared.train.sweep.config import Run
from shared.train.sweep.execution import Execution, choose_execution


def to_member(run: Run) -> Member:
    """The run as a member of an ensemble. Raises: ValueError, unknown hyperparameter or value out of range."""
    return Member(
        name=run.name,
        optimizer=run.optimizer,
        settings={k: float(v) for k, v in run.settings.items()},
        seed=run.seed,
        data_seed=run.member.get("data_seed"),
        clip_norm=float(run.member.get("clip_norm") or math.inf),
        noise_scale=float(run.member.get("noise_scale", 0.0)),
        values={k: float(v) for k, v in run.values.items()},
    )


def train_runs(
    task: EnsembleTask,
    runs: Sequence[Run],
    config: TrainingConfig,
    *,
    checkpoint_dir: str | Path | None = None,
    execution: Execution | None = None,
    settings: dict[str, Any] | None = None,
    progress: bool = True,
    title: str = "sweep",
) -> list[EnsembleResult]:
    """Train runs of one shape on the CPU, in the way that `execution` says or a quick measurement finds fastest.

    Several processes share the runs in consecutive parts; each part is an ensemble with a checkpoint folder of its own,
    named by its position and the number of parts. A call that finds such folders keeps their number.

    Args:
        task: must be picklable when there are several processes.
        runs: of one shape, e.g. a shard's.
        config: its num_steps and batch_size must be the runs'.
    Returns:
        One result per part, in the order of `runs`.
    """
    for run in runs:
        if (run.num_steps, run.batch_size) != (config.num_steps, config.batch_size):
            raise ValueError(
                f"'{run.name}' has {run.num_steps} steps of {run.batch_size} rows and the training block"
                f" {config.num_steps} of {config.batch_size}; give each shard a block of its own shape"
            )
    members = [to_member(run) for run in runs]
    execution = execution or choose_execution(task, members, config)
    parts = _parts(members, _parts_begun(checkpoint_dir) or execution.processes)
    jobs = []
    for index, part in enumerate(parts):
        folder = None if checkpoint_dir is None else Path(checkpoint_dir) / f"part-{index}-of-{len(parts)}"
        name = title if len(parts) == 1 else f"{title} {index + 1}/{len(parts)}"
        stack = min(execution.stack, len(part))
        jobs.append((task, part, config, folder, settings, stack, execution.compiled, name, progress))
    if len(jobs) == 1:
        return [_train(*jobs[0])]
    return _in_processes(jobs)


def _parts_begun(checkpoint_dir: str | Path | None) -> int | None:
    """Number of parts that an earlier call cut these runs into, None if there was none."""
    found = [] if checkpoint_dir is None else sorted(Path(checkpoint_dir).glob("part-*-of-*"))
    return int(found[0].name.rsplit("-", 1)[1]) if found else None


def _parts(members: Sequence[Member], count: int) -> list[list[Member]]:
    count = max(1, min(count, len(members)))
    edges = [len(members) * k // count for k in range(count + 1)]
    return [list(members[a:b]) for a, b in itertools.pairwise(edges)]


def _train(task, members, config, folder, settings, stack, compiled, title, progress) -> EnsembleResult:
    return train_ensemble(
        task,
        members,
        config,
        checkpoint_dir=folder,
        settings=settings,
        stack=stack,
        compiled=compiled,
        title=title,
        progress=progress,
    )


def _in_processes(jobs: list[tuple], train: Callable[..., EnsembleResult] = _train) -> list[EnsembleResult]:
    """Each job in a process of its own with one thread; the first error ends the call."""
    context = multiprocessing.get_context("spawn")  # a forked child would inherit torch's threads in an unknown state
    results: dict[int, EnsembleResult] = {}
    with ProcessPoolExecutor(len(jobs), mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = {pool.submit(train, *job): index for index, job in enumerate(jobs)}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
    return [results[index] for index in range(len(jobs))]

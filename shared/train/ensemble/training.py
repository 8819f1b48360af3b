"""Train M runs of one architecture together: a hyperparameter sweep as one program.

Runs differ in optimiser, its hyperparameters, clipping, loss values, seeds and noise; they share architecture, batch
size, number of steps and schedule. Each gives the numbers of a run of its own. A run whose loss or gradient is not
finite keeps its last parameters, is recorded as diverged, and the others go on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from shared.train.config import TrainingConfig
from shared.train.ensemble.result import EnsembleResult
from shared.train.ensemble.state import EnsembleRun
from shared.train.loop.interrupt import InterruptLater
from shared.train.loop.progress import ProgressReport
from shared.train.loop.runtime import limited_threads, own_random_state
from shared.train.run import Run
from shared.train.task import Task


def train_ensemble(
    task: Task,
    runs: Sequence[Run],
    config: TrainingConfig,
    *,
    checkpoint_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    stack: int | None = None,
    device: str = "cpu",
    num_threads: int = 1,
    title: str = "ensemble",
    progress: bool = True,
) -> EnsembleResult:
    """Train all runs to their end; resume from `checkpoint_dir` if it holds a checkpoint.

    Args:
        task, runs: what is trained; the runs have one shape.
        config: schedule, logging. The schedule multiplies each run's peak lr, and `min_lr` is a floor for each.
        checkpoint_dir: folder of this ensemble alone; None saves nothing.
        settings: what else defines the runs, JSON values; a checkpoint of others is refused.
        stack: runs computed together; all if None. The numbers do not depend on it beyond rounding.
        device, num_threads: where and how; numbers are of the dtype of the model that the task builds.
    Raises:
        ValueError: runs or settings that do not fit, a model that cannot be mapped, a checkpoint of other settings.
    """
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    with limited_threads(num_threads), own_random_state(torch.device(device)):
        ensemble = EnsembleRun(task, runs, config, directory=directory, settings=settings, device=device, stack=stack)
        ensemble.resume()
        if not ensemble.finished:
            report = ProgressReport(title, ensemble.num_steps, start=ensemble.step, enabled=progress)
            with report, InterruptLater(enabled=directory is not None) as interrupt:
                ensemble.train(report, interrupt)
        return ensemble.result()

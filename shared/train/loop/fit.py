"""Train one run: the one loop of every paper, on accelerate.

A run is a pure function of its description. Batches depend on (seed, step, row), the global random state is seeded per
(seed, step, process), the learning rate depends on the step; so a checkpoint holds weights, optimiser state, the step
and the rows logged so far, and a run that was killed continues to the same bits as one that never was.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

from shared.train.checkpoint import sole_user
from shared.train.config import TrainingConfig
from shared.train.loop.interrupt import InterruptLater
from shared.train.loop.progress import ProgressReport
from shared.train.loop.result import TrainingResult
from shared.train.loop.runtime import limited_threads, make_accelerator, own_random_state
from shared.train.loop.training import Training
from shared.train.run import Run
from shared.train.task import Task


def fit(
    task: Task,
    run: Run,
    config: TrainingConfig,
    *,
    checkpoint_dir: str | Path | None = None,
    settings: dict[str, Any] | None = None,
    device: str | None = None,
    num_threads: int = 1,
    expected_processes: int | None = None,
    title: str | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train the model that `task` builds for `run`, and return it with what was logged.

    With `checkpoint_dir` the run resumes from there, and a run that has finished returns at once from its checkpoint.
    SIGINT and SIGTERM then write a checkpoint before they end the process.

    Args:
        task: model, batches, loss and evaluation.
        run: optimiser and its hyperparameters, lengths, seeds.
        config: schedule, precision, logging.
        checkpoint_dir: folder of this run alone; made if missing. None: nothing is saved.
        settings: what else defines the run (model, data ...), JSON values; a checkpoint of others is refused.
        device: "cpu" or "cuda"; None takes a GPU where there is one.
        num_threads: CPU threads of tensor operations; results differ in the last digits between numbers of threads.
        expected_processes: stop unless as many processes run; the launcher sets it for the steps it starts.
        title: of the progress lines; the run's name if omitted.
        progress: whether to show progress on stderr (process 0 only).
    Raises:
        ValueError: settings that do not fit together, a checkpoint of other settings, no usable checkpoint left.
    """
    title = run.name if title is None else title
    accelerator = make_accelerator(config.precision, device, expected_processes)
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    with contextlib.ExitStack() as stack:
        stack.enter_context(limited_threads(num_threads))
        stack.enter_context(own_random_state(accelerator.device))
        training = Training(accelerator, task, run, config, settings or {}, directory)
        if directory is not None:
            if accelerator.is_main_process:
                waiting = f"another run uses {directory}; waiting"
                stack.enter_context(sole_user(directory, lambda: _note(title, waiting)))
            accelerator.wait_for_everyone()
        training.resume()
        if not training.finished:
            shown = progress and accelerator.is_main_process
            report = ProgressReport(title, run.num_steps, start=training.step, enabled=shown)
            with report, InterruptLater(enabled=directory is not None) as interrupt:
                training.train(report, interrupt)
        return training.result()


def _note(title: str, text: str) -> None:
    print(f"{title}: {text}", file=sys.stderr, flush=True)

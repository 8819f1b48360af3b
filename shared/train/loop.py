"""The training loop: one `fit` for every paper, on accelerate.

A run is a pure function of its settings. Batches depend on (seed, step, row), the global random state is seeded per
(seed, step, process), the learning rate depends on the step; so a checkpoint holds weights, optimiser state, the step
and the rows logged so far, and a run that was killed continues to the same bits as one that never was.
"""

import contextlib
import math
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from shared.base.seeding import derive_seed
from shared.train.checkpoint import load_state, read_checkpoint, sole_user, write_checkpoint
from shared.train.config import TrainingConfig
from shared.train.feed import BatchFeed
from shared.train.interrupt import InterruptLater
from shared.train.meter import Meter
from shared.train.metrics import as_scalars, refuse_reserved_names, window_means
from shared.train.optimizer import build_optimizer, check_optimizer
from shared.train.progress import ProgressReport
from shared.train.result import TrainingResult
from shared.train.rows import rows_of_pass
from shared.train.runtime import (
    limited_threads,
    make_accelerator,
    own_random_state,
    seed_global_generators,
)
from shared.train.settings import comparable_settings, refuse_other_settings, warn_of_other_environment
from shared.train.task import TrainingTask

_PROGRESS = ("step", "finished", "diverged", "rows", "window")
_SMALLEST_LOSS_SCALE = 2.0**-10  # fp16: gradients that overflow even at this scale are not going to recover


def fit(
    model: nn.Module,
    task: TrainingTask,
    config: TrainingConfig,
    *,
    checkpoint_dir: str | Path | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    settings: dict[str, Any] | None = None,
    device: str | None = None,
    num_threads: int = 1,
    expected_processes: int | None = None,
    title: str = "training",
    progress: bool = True,
) -> TrainingResult:
    """Train `model` in place and return what was logged.

    With `checkpoint_dir` the run resumes from there, and a run that has finished returns at once from its checkpoint.
    SIGINT and SIGTERM then write a checkpoint before they end the process.

    Args:
        model: initialised by the caller; it ends on the training device, with the trained weights.
        task: batches, loss and evaluation.
        config: lengths, schedule, precision.
        checkpoint_dir: folder of this run alone; made if missing. None: nothing is saved.
        optimizer: any optimiser over the model's parameters; its learning rates are the peaks. AdamW if omitted.
        settings: what else defines the run (model, data ...), JSON values; a checkpoint of others is refused.
        device: "cpu" or "cuda"; None takes a GPU where there is one.
        num_threads: CPU threads of tensor operations; results differ in the last digits between numbers of threads.
        expected_processes: stop unless as many processes run; the launcher sets it for the steps it starts.
        title: name of the run in its progress lines.
        progress: whether to show progress on stderr (process 0 only).
    Raises:
        ValueError: settings that do not fit together, a checkpoint of other settings, no usable checkpoint left.
    """
    accelerator = make_accelerator(config.precision, device, expected_processes)
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    with contextlib.ExitStack() as stack:
        stack.enter_context(limited_threads(num_threads))
        stack.enter_context(own_random_state(accelerator.device))
        run = _Run(accelerator, model, task, config, optimizer, settings or {}, directory)
        if directory is not None:
            if accelerator.is_main_process:
                stack.enter_context(
                    sole_user(directory, lambda: _note(title, f"another run uses {directory}; waiting"))
                )
            accelerator.wait_for_everyone()
        run.resume()
        if not run.finished:
            report = ProgressReport(
                title, config.num_steps, start=run.step, enabled=progress and accelerator.is_main_process
            )
            with report, InterruptLater(enabled=directory is not None) as interrupt:
                run.train(report, interrupt)
        return run.result()


def _note(title: str, text: str) -> None:
    print(f"{title}: {text}", file=sys.stderr, flush=True)


class _Run:
    """State of one training run: what a checkpoint holds, and the wrapped model and optimiser that change it."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        task: TrainingTask,
        config: TrainingConfig,
        optimizer: torch.optim.Optimizer | None,
        settings: dict[str, Any],
        directory: Path | None,
    ):
        self.accelerator, self.module, self.task, self.config = accelerator, model, task, config
        self.device, self.directory = accelerator.device, directory
        self.passes = [
            rows_of_pass(config.batch_size, accelerator.num_processes, num, accelerator.process_index, index)
            for num in [config.grad_accumulation_steps]
            for index in range(num)
        ]
        model.to(self.device)
        if optimizer is not None:
            check_optimizer(optimizer, config)
        self.optimizer = optimizer if optimizer is not None else build_optimizer(model, config)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.schedule = config.lr_multiplier()
        self.settings = comparable_settings(config, self.optimizer, settings)

        self.step, self.finished, self.diverged = 0, False, False
        self.rows: list[dict[str, Any]] = []
        self.window: list[dict[str, float]] = []  # metrics of the updates since the last train row
        self.meter = Meter(accelerator, config, task.tokens_per_row)

    # -- training

    def train(self, report: ProgressReport, interrupt: InterruptLater) -> None:
        """Update until the end, divergence or an interrupt; the model is bare and saved afterwards."""
        self.model = self.accelerator.prepare_model(self.module)
        # accelerate's wrapper only matters under fp16; its step() searches the disk for a package, 0.5 ms each time
        self.stepper = self.optimizer
        if self.scaler is not None:
            self.stepper = self.accelerator.prepare_optimizer(self.optimizer, device_placement=False)
        if self.scaler is not None and self.scaler_state:
            self.scaler.load_state_dict(self.scaler_state)
        self.report = report
        self.feed = BatchFeed(self.task, self.passes, self.device)
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            while self.step < self.config.num_steps and not self.diverged:
                with self.meter.update():
                    stop = self.update(interrupt)
                self.after_update()
                if stop and self.step < self.config.num_steps and not self.diverged:
                    self.save()
                    report.note(f"interrupted after step {self.step}; run again to continue from {self.directory}")
                    interrupt.leave()
            self.finished = True
            self.meter.stop()
            self.save()
        finally:
            self.optimizer.zero_grad(set_to_none=True)
            self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)  # gives the model its own forward back

    def update(self, interrupt: InterruptLater) -> bool:
        """One optimiser update, or divergence; returns whether any process was asked to stop."""
        rank = self.accelerator.process_index
        seed_global_generators(derive_seed(self.config.seed, "training noise", self.step, rank), self.device)
        means = self.gradients()
        grad_norm = self.gradient_norm()
        self.feed.prefetch(self.step + 1)  # before the host waits for the device
        metrics, stop = self.agree({**means, "grad_norm": grad_norm}, interrupt.received is not None)
        if not math.isfinite(metrics["loss"]) or self.gradient_is_lost(metrics["grad_norm"]):
            self.diverged = True
            self.window.append(metrics)
            return stop
        multiplier = self.schedule(self.step)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * multiplier
        self.stepper.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.window.append(metrics)
        self.step += 1
        return stop

    def gradients(self) -> dict[str, Tensor]:
        """Accumulate the gradient of the mean loss over all passes; the loss and the metrics, means over the passes."""
        num = len(self.passes)
        sums: dict[str, Tensor] = {}
        for index in range(num):
            batch = self.feed.take(self.step, index)
            synchronise = index == num - 1  # between processes: once per update is enough
            with contextlib.nullcontext() if synchronise else self.accelerator.no_sync(self.model):
                with contextlib.nullcontext() if self.config.precision == "fp32" else self.accelerator.autocast():
                    loss, metrics = self.task.loss(self.model, batch)
                self.accelerator.backward(loss if num == 1 else loss / num)
            for name, value in as_scalars(loss, metrics, self.device).items():
                sums[name] = sums[name] + value if index else value
        return sums if num == 1 else {name: total / num for name, total in sums.items()}

    def gradient_norm(self) -> Tensor:
        """Global norm of the gradients before clipping; clips where the settings say so."""
        if self.config.clip_grad_norm is not None:
            return self.accelerator.clip_grad_norm_(self.parameters, self.config.clip_grad_norm)
        if self.scaler is not None:
            self.accelerator.unscale_gradients(self.stepper)
        return nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])

    def agree(self, scalars: dict[str, Tensor], stop: bool) -> tuple[dict[str, float], bool]:
        """Means over the processes, and whether any of them was asked to stop: the same answer on all of them."""
        values = torch.stack([value.double() for value in scalars.values()])
        if self.accelerator.num_processes > 1:
            values = self.accelerator.reduce(torch.cat([values, values.new_tensor([float(stop)])]), "mean")
        numbers = values.tolist()
        if self.accelerator.num_processes > 1:
            stop = numbers.pop() > 0
        return dict(zip(scalars, numbers, strict=True)), stop

    def gradient_is_lost(self, grad_norm: float) -> bool:
        if math.isfinite(grad_norm):
            return False
        # under fp16 a gradient may overflow now and then: the scaler skips that update and lowers its scale
        return self.scaler is None or self.scaler.get_scale() < _SMALLEST_LOSS_SCALE

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        return self.accelerator.scaler

    # -- between updates

    def after_update(self) -> None:
        """Log, evaluate and save where the settings say so."""
        config = self.config
        ended = self.step == config.num_steps or self.diverged
        self.report.step(self.step)
        lr = self.optimizer.param_groups[0]["lr"]
        refused = self.window.pop() if self.diverged else None
        if self.window and (ended or self.step % config.log_every == 0):
            self.log({"step": self.step, "phase": "train", "lr": lr, **window_means(self.window)})
            self.window = []
        if refused is not None:
            self.log({"step": self.step, "phase": "diverged", "lr": lr, **refused})
            self.report.note(f"diverged: the update after step {self.step} has a loss or gradient that is not finite")
        elif ended or (config.eval_every and self.step % config.eval_every == 0):
            self.log({"step": self.step, "phase": "eval", **self.evaluate()})
        if not ended and config.checkpoint_every and self.step % config.checkpoint_every == 0:
            self.save()

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.report.row(row)

    def evaluate(self) -> dict[str, float]:
        seed_global_generators(derive_seed(self.config.seed, "evaluation noise", self.step), self.device)
        self.module.eval()
        with torch.no_grad():
            metrics = self.task.evaluate(self.module, self.step)
        self.module.train()
        refuse_reserved_names(metrics)
        return {name: float(value) for name, value in metrics.items()}

    # -- checkpoints

    def save(self) -> None:
        """Write a checkpoint from process 0; that of a finished run has no use for the optimiser's state."""
        if self.directory is None:
            return
        if self.accelerator.is_main_process:
            tree = {
                "model": self.module.state_dict(),
                "optimizer": None if self.finished else self.optimizer.state_dict(),
                "scaler": None if self.scaler is None else self.scaler.state_dict(),
                "settings": self.settings,
                "progress": {name: getattr(self, name) for name in _PROGRESS},
                "meter": self.meter.state_dict(),
            }
            write_checkpoint(self.directory, self.step, tree, keep=1 if self.finished else 2)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Continue from the newest complete checkpoint, if there is one."""
        self.scaler_state = None
        found = None if self.directory is None else read_checkpoint(self.directory)
        if found is None:
            return
        path, tree = found
        refuse_other_settings(path, tree["settings"], self.settings)
        load_state(self.module, tree["model"], path)
        for name in _PROGRESS:
            setattr(self, name, tree["progress"][name])
        if not self.finished:
            self.optimizer.load_state_dict(tree["optimizer"])
            self.scaler_state = tree["scaler"]
            warn_of_other_environment(path, tree["meter"]["environment"], self.meter.environment)
        self.meter.load_state_dict(tree["meter"], resumed_at=None if self.finished else self.step)

    def result(self) -> TrainingResult:
        return TrainingResult(
            rows=self.rows, steps=self.step, diverged=self.diverged, provenance=self.meter.provenance(self.step)
        )

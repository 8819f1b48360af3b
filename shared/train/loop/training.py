"""State of one training run and what changes it; `fit` is the way in."""

import contextlib
import math
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from shared.base.seeding import derive_seed
from shared.train.checkpoint import load_state, read_checkpoint, write_checkpoint
from shared.train.config import TrainingConfig
from shared.train.loop.feed import BatchFeed
from shared.train.loop.interrupt import InterruptLater
from shared.train.loop.meter import Meter
from shared.train.loop.metrics import as_scalars, refuse_reserved_names, window_means
from shared.train.loop.optimizer import build_optimizer
from shared.train.loop.progress import ProgressReport
from shared.train.loop.result import TrainingResult
from shared.train.loop.runtime import seed_global_generators
from shared.train.rows import rows_of_pass
from shared.train.rules import gradient_noise, loss_values, rule_of
from shared.train.run import Run
from shared.train.settings import comparable_settings, refuse_other_settings, warn_of_other_environment
from shared.train.task import Task, loss_and_metrics

_PROGRESS = ("step", "finished", "diverged", "rows", "window")
_SMALLEST_LOSS_SCALE = 2.0**-10  # fp16: gradients that overflow even at this scale are not going to recover


class Training:
    """State of one training run: what a checkpoint holds, and the wrapped model and optimiser that change it."""

    def __init__(
        self,
        accelerator: Accelerator,
        task: Task,
        run: Run,
        config: TrainingConfig,
        settings: dict[str, Any],
        directory: Path | None,
    ):
        self.accelerator, self.task, self.run, self.config = accelerator, task, run, config
        self.device, self.directory = accelerator.device, directory
        num = config.grad_accumulation_steps
        self.passes = [
            rows_of_pass(run.batch_size, accelerator.num_processes, num, accelerator.process_index, index)
            for index in range(num)
        ]
        if run.noise_scale and config.precision == "fp16":
            raise ValueError(f"run '{run.name}' adds gradient noise, which fp16 would scale; use bf16 or fp32")
        self.module = task.build(run.seed).to(self.device)
        self.optimizer = build_optimizer(run, self.module, config)
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.values = loss_values(run, self.device, self.parameters[0].dtype)
        self.schedule = config.lr_multiplier(run)
        self.settings = comparable_settings(config, [run], settings)

        self.step, self.finished, self.diverged = 0, False, False
        self.rows: list[dict[str, Any]] = []
        self.window: list[dict[str, float]] = []  # metrics of the updates since the last train row
        self.meter = Meter(accelerator, config.precision, run.batch_size, task.tokens_per_row)

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
        self.feed = BatchFeed(self.task, self.run.stream_seed, self.passes, self.device)
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            while self.step < self.run.num_steps and not self.diverged:
                with self.meter.update():
                    stop = self.update(interrupt)
                self.after_update()
                if stop and self.step < self.run.num_steps and not self.diverged:
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
        seed_global_generators(derive_seed(self.run.stream_seed, "training noise", self.step, rank), self.device)
        means = self.gradients()
        self.add_noise()
        grad_norm = self.gradient_norm()
        self.feed.prefetch(self.step + 1)  # before the host waits for the device
        metrics, stop = self.agree({**means, "grad_norm": grad_norm}, interrupt.received is not None)
        if not math.isfinite(metrics["loss"]) or self.gradient_is_lost(metrics["grad_norm"]):
            self.diverged = True
            self.window.append(metrics)
            return stop
        for group in self.optimizer.param_groups:
            group["lr"] = self.run.lr * self.schedule(self.step) * group.get("lr_scale", 1.0)
        if rule_of(self.run).needs_loss:
            self.stepper.step(lambda: metrics["loss"])
        else:
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
                    loss, metrics = loss_and_metrics(self.task.loss(self.model, batch, self.values))
                self.accelerator.backward(loss if num == 1 else loss / num)
            for name, value in as_scalars(loss, metrics, self.device).items():
                sums[name] = sums[name] + value if index else value
        return sums if num == 1 else {name: total / num for name, total in sums.items()}

    def add_noise(self) -> None:
        """Gaussian noise of the run's scale on the gradient, the same on every process."""
        if not self.run.noise_scale:
            return
        sizes = [p.numel() for p in self.parameters]
        noise = gradient_noise(self.run, self.step, sum(sizes), self.parameters[0].dtype).to(self.device)
        for parameter, part in zip(self.parameters, noise.split(sizes), strict=True):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.add_(part.view_as(parameter), alpha=float(self.run.noise_scale))

    def gradient_norm(self) -> Tensor:
        """Global norm of the gradients before clipping; clips where the run has a bound."""
        if self.run.clip_norm is not None:
            return self.accelerator.clip_grad_norm_(self.parameters, float(self.run.clip_norm))
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
        ended = self.step == self.run.num_steps or self.diverged
        self.report.step(self.step)
        first = self.optimizer.param_groups[0]
        lr = first["lr"] / first.get("lr_scale", 1.0)
        refused = self.window.pop() if self.diverged else None
        if self.window and (ended or self.step % config.log_every == 0):
            effective = getattr(self.optimizer, "effective_lr", None)
            own = {} if effective is None else {"effective_lr": effective}
            self.log({"step": self.step, "phase": "train", "lr": lr, **window_means(self.window), **own})
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
        seed_global_generators(derive_seed(self.run.stream_seed, "evaluation noise", self.step), self.device)
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
            model=self.module,
            rows=self.rows,
            steps=self.step,
            diverged=self.diverged,
            provenance=self.meter.provenance(self.step),
        )

"""State of an ensemble and what changes it; `train_ensemble` is the way in.

Shapes: M members (one per run), P parameters of one model, S members that are computed together.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.train.checkpoint import read_checkpoint, write_checkpoint
from shared.train.config import TrainingConfig
from shared.train.ensemble.checks import check_config, refuse_dropout
from shared.train.ensemble.evaluation import evaluated
from shared.train.ensemble.result import EnsembleResult
from shared.train.ensemble.stacked import StackedModel
from shared.train.ensemble.updates import MemberUpdates
from shared.train.ensemble.window import WindowMeans
from shared.train.loop.interrupt import InterruptLater
from shared.train.loop.metrics import refuse_reserved_names
from shared.train.loop.progress import ProgressReport
from shared.train.rules import check_runs, loss_values, rule_of
from shared.train.run import Run
from shared.train.settings import comparable_settings, refuse_other_settings
from shared.train.task import Task


class EnsembleRun:
    """State of one ensemble: what a checkpoint holds, and the stacked model and updates that change it."""

    def __init__(
        self,
        task: Task,
        runs: Sequence[Run],
        config: TrainingConfig,
        *,
        directory: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        device: str = "cpu",
        stack: int | None = None,
    ):
        check_runs(runs)
        check_config(config)
        self.task, self.runs, self.config, self.directory = task, list(runs), config, directory
        self.device, self.num_steps, self.batch_size = torch.device(device), runs[0].num_steps, runs[0].batch_size
        built = {seed: task.build(seed) for seed in {run.seed for run in runs}}
        refuse_dropout(template := built[runs[0].seed])
        states = [built[run.seed].state_dict(keep_vars=False) for run in runs]
        self.model = StackedModel(template, states, device=self.device, stack=stack)
        self.model.template.train()
        schedules = [config.lr_multiplier(run) for run in (runs[:1] if config.min_lr is None else runs)]
        self.updates = MemberUpdates(
            self.runs,
            self.model.flat,
            self.model.stacks,
            schedules,
            self.model.decay_mask(config),
            self.model.lr_scales(),
        )
        values = [loss_values(run, self.device, self.model.flat.dtype) for run in runs]
        self.values = {name: torch.stack([own[name] for own in values]) for name in values[0]}
        self.shared = len({run.stream_seed for run in runs}) == 1
        self.needs_loss = any(rule_of(run).needs_loss for run in runs)
        self.settings = comparable_settings(config, self.runs, settings or {})
        self.step, self.finished = 0, False
        self.alive = torch.ones(len(runs), dtype=torch.bool, device=self.device)
        self.stopped_at = [self.num_steps] * len(runs)
        self.rows: list[dict[str, Any]] = []
        self.window = WindowMeans()
        self.seconds = 0.0
        self.sessions: list[int] = []  # steps at which a session resumed
        self.report = ProgressReport("ensemble", self.num_steps, enabled=False)

    # -- training

    def train(self, report: ProgressReport, interrupt: InterruptLater, until: int | None = None) -> None:
        """Train to the end; or until `until` updates are done, after which `train` may be called again."""
        self.started, self.first = time.perf_counter() - self.seconds, self.step
        self.report, self.session_started = report, time.perf_counter()
        while self.step < (self.num_steps if until is None else until) and bool(self.alive.any()):
            self.update()
            self.after_update()
            if interrupt.received is not None and self.step < self.num_steps:
                self.save()
                report.note(f"interrupted after step {self.step}; run again to continue from {self.directory}")
                interrupt.leave()
        self.finished = until is None
        self.save()

    def update(self) -> None:
        """One update of every member that is alive, stack by stack."""
        self.updates.begin(self.step)
        found = []
        batches = self._batches()
        for rows in self.model.stacks:
            part = slice(rows.start, rows.stop)
            batch = batches if self.shared else {k: v[part] for k, v in batches.items()}
            values = {k: v[part] for k, v in self.values.items()}
            loss, metrics, grads = self._gradients(rows, batch, values)
            self.updates.add_noise(grads, rows, self.step)
            norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
            self._refuse_negative(rows, loss)
            fine = torch.isfinite(loss)[:, None] & torch.isfinite(norm)
            scalars = {"loss": loss, **metrics, "grad_norm": norm[:, 0]}
            self._bury(rows, fine[:, 0], scalars)
            alive = self.alive[part, None]
            self.updates.apply(rows, grads, norm, loss[:, None], None if bool(alive.all()) else alive)
            found.append(scalars)
        self.window.add({name: torch.cat([scalars[name] for scalars in found]) for name in found[0]}, self.alive)
        self.step += 1

    def _gradients(self, rows: range, batch: dict[str, Tensor], values: dict[str, Tensor]):
        """(loss (S,), metrics (S,) each, gradients (S, P)) of the members `rows`."""
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")
        try:
            with mixed:
                return self.model.gradients(self.task.loss, rows, batch, self.shared, values)
        except RuntimeError as error:
            if not any(word in str(error) for word in ("vmap", "atching rule", "functorch")):
                raise
            raise ValueError(
                f"this model or loss cannot be mapped over members ({error}); train its members one by one with the"
                " training loop, or replace the operation that torch.vmap refuses"
            ) from error

    def _batches(self) -> dict[str, Tensor]:
        """Batches of all members, (M, B, ...), or the one that all share, (B, ...)."""
        rows = range(self.batch_size)
        seeds = list(dict.fromkeys(run.stream_seed for run in self.runs))
        drawn = {seed: self.task.batch(self.step, rows, seed) for seed in seeds}
        if self.shared:
            return {k: v.to(self.device) for k, v in drawn[seeds[0]].items()}
        ordered = [drawn[run.stream_seed] for run in self.runs]
        return {k: torch.stack([batch[k] for batch in ordered]).to(self.device) for k in ordered[0]}

    def _refuse_negative(self, rows: range, loss: Tensor) -> None:
        """Steps that depend on the loss take f >= 0 for granted."""
        if not self.needs_loss or not bool((loss < 0).any()):
            return
        for k in torch.nonzero(loss < 0)[:, 0].tolist():
            run = self.runs[rows.start + k]
            if rule_of(run).needs_loss and self.alive[rows.start + k]:
                raise ValueError(
                    f"{run.optimizer} needs a loss >= 0; {run.name} has {float(loss[k]):g} at step {self.step}"
                )

    def _bury(self, rows: range, fine: Tensor, scalars: dict[str, Tensor]) -> None:
        """Record members that just diverged; their parameters stay as they are from now on."""
        if bool(fine.all()):
            return
        for k in torch.nonzero(~fine & self.alive[rows.start : rows.stop])[:, 0].tolist():
            index = rows.start + k
            self._log_window([index])
            self.alive[index] = False
            self.stopped_at[index] = self.step
            refused = {name: float(column[k]) for name, column in scalars.items()}
            self.rows.append({"run": self.runs[index].name, "step": self.step, "phase": "diverged", **refused})
            self.report.note(f"{self.runs[index].name} diverged after step {self.step}")

    # -- between updates

    def after_update(self) -> None:
        config, ended = self.config, self.step == self.num_steps or not bool(self.alive.any())
        self.report.step(self.step)
        if self.window.sums and (ended or self.step % config.log_every == 0):
            self._log_window(torch.nonzero(self.alive)[:, 0].tolist())
            self.window = WindowMeans()
            self._show()
        if ended or (config.eval_every and self.step % config.eval_every == 0):
            self._evaluate()
        if not ended and config.checkpoint_every and self.step % config.checkpoint_every == 0:
            self.save()

    def _log_window(self, indices: Sequence[int]) -> None:
        if not self.window.sums:
            return
        effective, means = self.updates.effective_lr(), self.window.means()
        lrs = self.updates.lr.tolist()
        for i in indices:
            row = {"run": self.runs[i].name, "step": self.step, "phase": "train", "lr": lrs[i]}
            row |= {name: values[i] for name, values in means.items()}
            if effective is not None and not math.isnan(float(effective[i])):
                row["effective_lr"] = float(effective[i])
            self.rows.append(row)

    def _show(self) -> None:
        seconds = max(time.perf_counter() - self.session_started, 1e-9)
        per_second = (self.step - self.first) / seconds
        alive = int(self.alive.sum())
        rate = per_second * alive * self.batch_size * (self.task.tokens_per_row or 1)
        unit = "tokens_per_second" if self.task.tokens_per_row else "rows_per_second"
        left = (self.num_steps - self.step) / per_second
        shown = {"step": self.step, "alive": alive, "members": len(self.runs), unit: rate, "seconds_left": left}
        self.report.row(shown)

    def _evaluate(self) -> None:
        alive = torch.nonzero(self.alive)[:, 0].tolist()
        for i, metrics in evaluated(self.task, self.model, self.runs, alive, self.step).items():
            refuse_reserved_names(metrics)
            self.rows.append({"run": self.runs[i].name, "step": self.step, "phase": "eval", **metrics})

    # -- checkpoints

    def save(self) -> None:
        self.seconds = time.perf_counter() - self.started
        if self.directory is None:
            return
        tree = {
            "flat": self.model.flat,
            "buffers": self.model.buffers,
            "updates": None if self.finished else self.updates.state_dict(),
            "settings": self.settings,
            "alive": self.alive,
            "window": self.window.state_dict(),
            "progress": {
                "step": self.step,
                "finished": self.finished,
                "stopped_at": self.stopped_at,
                "rows": self.rows,
                "seconds": self.seconds,
                "sessions": self.sessions,
            },
        }
        write_checkpoint(self.directory, self.step, tree, keep=1 if self.finished else 2)

    def resume(self) -> None:
        found = None if self.directory is None else read_checkpoint(self.directory)
        if found is None:
            return
        path, tree = found
        refuse_other_settings(path, tree["settings"], self.settings)
        self.model.flat.copy_(tree["flat"])
        for name, buffer in self.model.buffers.items():
            buffer.copy_(tree["buffers"][name])
        self.alive.copy_(tree["alive"])
        self.window = WindowMeans(tree["window"], self.device)
        for name, value in tree["progress"].items():
            setattr(self, name, value)
        if not self.finished:
            self.updates.load_state_dict(tree["updates"])
            self.sessions.append(self.step)

    def result(self) -> EnsembleResult:
        updates = sum(self.stopped_at)
        rate = updates * self.batch_size / max(self.seconds, 1e-9)
        tokens = None if self.task.tokens_per_row is None else rate * self.task.tokens_per_row
        return EnsembleResult(
            runs=self.runs,
            rows=self.rows,
            steps=self.stopped_at,
            diverged=[step < self.num_steps for step in self.stopped_at],
            states=[self.model.member_state(i) for i in range(len(self.runs))],
            provenance={
                "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
                "num_threads": torch.get_num_threads(),
                "num_members": len(self.runs),
                "wall_seconds": self.seconds,
                "rows_per_second": rate,
                "tokens_per_second": tokens,
                "resumed_at_steps": self.sessions,
            },
        )

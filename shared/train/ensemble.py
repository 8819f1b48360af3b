"""Train M models of one architecture together: a hyperparameter sweep as one program.

Members differ in optimiser, its hyperparameters, clipping, loss values, seeds and noise; they share architecture, batch
size, number of steps and schedule. Each gives the numbers of a run of its own. A member whose loss or gradient is not
finite keeps its last parameters, is recorded as diverged, and the others go on.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from shared.train.checkpoint import read_checkpoint, write_checkpoint
from shared.train.config import TrainingConfig
from shared.train.interrupt import InterruptLater
from shared.train.member_updates import MemberUpdates
from shared.train.members import Member, check_members
from shared.train.progress import ProgressReport
from shared.train.runtime import limited_threads, own_random_state
from shared.train.settings import refuse_other_settings
from shared.train.stacked import StackedModel

if TYPE_CHECKING:
    import pandas as pd

_FREE_TO_CHANGE = ("checkpoint_every",)
_PER_MEMBER = ("lr", "betas", "eps", "weight_decay", "clip_grad_norm", "seed")  # of TrainingConfig; members bring them


class EnsembleTask(ABC):
    """What an ensemble trains on. One task serves all members; what differs comes in as seeds and values."""

    tokens_per_row: int | None = None  # for the throughput; None where rows are not sequences

    @abstractmethod
    def build(self, seed: int) -> nn.Module:
        """A freshly initialised model; its values depend on `seed` alone."""

    @abstractmethod
    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """Rows `rows` of update `step` in the data order `seed`, along the first dimension; a pure function."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: dict[str, Tensor], values: dict[str, Tensor]) -> Tensor:
        """Mean loss of one member over the rows of its batch.

        It is mapped by torch.vmap: no branches on the values of tensors, no `.item()`, no dropout.
        `values` holds the member's loss values as 0-d tensors.
        """

    def evaluation(self) -> Iterable[dict[str, Tensor]]:
        """Held-out batches, the same for every member and every time."""
        return ()

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars of one member on a held-out batch, means over its rows; mapped like `loss`, in eval mode."""
        return {}


@dataclass(frozen=True, kw_only=True)
class EnsembleResult:
    """Outcome of `train_ensemble`.

    members: as given. rows: logged metrics in the order of logging, with `member` (its name), `step` and `phase`.
        "train" rows hold lr, loss, grad_norm (before clipping) and, where the rule has its own, effective_lr, means
        over the updates since the row before; "eval" rows what the task measured; a "diverged" row ends a member
        and holds what was refused.
    steps: updates done, per member. diverged: per member.
    states: final parameters per member, under the model's names.
    provenance: what varies between equal runs.
    """

    members: Sequence[Member]
    rows: list[dict[str, Any]]
    steps: list[int]
    diverged: list[bool]
    states: list[dict[str, Tensor]]
    provenance: dict[str, Any]

    def table(self) -> "pd.DataFrame":
        """Rows as a frame, with all settings of the member and `diverged` as columns."""
        import pandas as pd

        columns = {m.name: m.columns() | {"diverged": d} for m, d in zip(self.members, self.diverged, strict=True)}
        return pd.DataFrame([{**row, **columns[row["member"]]} for row in self.rows])

    def last(self, metric: str) -> dict[str, float]:
        """Newest logged value of `metric` by member; NaN where there is none."""
        values = {member.name: float("nan") for member in self.members}
        values.update({row["member"]: row[metric] for row in self.rows if metric in row and row["phase"] != "diverged"})
        return values


def train_ensemble(
    task: EnsembleTask,
    members: Sequence[Member],
    config: TrainingConfig,
    *,
    checkpoint_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    stack: int | None = None,
    compiled: bool = False,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    num_threads: int = 1,
    title: str = "ensemble",
    progress: bool = True,
) -> EnsembleResult:
    """Train all members for `config.num_steps` updates; resume from `checkpoint_dir` if it holds a checkpoint.

    Args:
        task, members: what is trained.
        config: lengths, schedule, logging. The schedule multiplies each member's peak lr (an absolute floor `min_lr`
            counts per member). `lr`, `betas`, `eps`, `weight_decay`, `clip_grad_norm` and `seed` belong to members
            here and must be left out.
        checkpoint_dir: folder of this ensemble alone; None saves nothing.
        settings: what else defines the run, JSON values; a checkpoint of others is refused.
        stack: members computed together; all if None. The numbers do not depend on it beyond rounding.
        compiled: losses and gradients through torch.compile (half a minute to start on a CPU).
        device, dtype, num_threads: where and how.
    Raises:
        ValueError: members or settings that do not fit, a model that cannot be mapped, a checkpoint of other settings.
    """
    check_members(members)
    _check_config(config)
    directory = None if checkpoint_dir is None else Path(checkpoint_dir)
    with limited_threads(num_threads), own_random_state(torch.device(device)):
        run = EnsembleRun(
            task, members, config, directory, settings or {}, torch.device(device), dtype, stack, compiled
        )
        run.resume()
        if not run.finished:
            report = ProgressReport(title, config.num_steps, start=run.step, enabled=progress)
            with report, InterruptLater(enabled=directory is not None) as interrupt:
                run.train(report, interrupt)
        return run.result()


def _check_config(config: TrainingConfig) -> None:
    given = [name for name in _PER_MEMBER if name in config.model_fields_set]
    if given:
        raise ValueError(
            f"in an ensemble {', '.join(given)} belong to the members; leave them out of the training block"
        )
    if config.precision == "fp16" or config.grad_accumulation_steps != 1:
        raise ValueError("an ensemble takes precision fp32 or bf16 and no gradient accumulation; use the training loop")


class EnsembleRun:
    """State of one ensemble: what a checkpoint holds, and the stacked model and updates that change it."""

    def __init__(self, task, members, config, directory, settings, device, dtype, stack, compiled):
        self.task, self.members, self.config, self.directory, self.device = task, members, config, directory, device
        built = {seed: task.build(seed) for seed in {m.seed for m in members}}
        _refuse_dropout(template := built[members[0].seed])
        states = [built[m.seed].state_dict(keep_vars=False) for m in members]
        self.model = StackedModel(template, states, device=device, dtype=dtype, stack=stack, compiled=compiled)
        self.model.template.train()
        schedules = [config.model_copy(update={"lr": m.settings["lr"]}).lr_multiplier() for m in members]
        if config.min_lr is None:
            schedules = schedules[:1]
        mask = self.model.decay_mask(config)
        self.updates = MemberUpdates(members, self.model.flat, self.model.stacks, schedules, mask, compiled)
        self.values = {
            k: torch.tensor([m.values[k] for m in members], dtype=dtype, device=device) for k in members[0].values
        }
        self.shared = len({m.stream_seed for m in members}) == 1
        self.needs_loss = any(m.rule.needs_loss for m in members)
        self.settings = _comparable(config, members, settings)
        number = len(members)
        self.step, self.finished = 0, False
        self.alive = torch.ones(number, dtype=torch.bool, device=device)
        self.stopped_at = [config.num_steps] * number
        self.rows: list[dict[str, Any]] = []
        self.sums = {k: torch.zeros(number, dtype=torch.float64, device=device) for k in ("loss", "grad_norm")}
        self.counted = 0  # updates in the sums
        self.seconds = 0.0
        self.sessions: list[int] = []  # steps at which a session resumed

    # -- training

    def train(self, report: ProgressReport, interrupt: InterruptLater) -> None:
        self.started, self.first = time.perf_counter() - self.seconds, self.step
        self.report, self.session_started = report, time.perf_counter()
        while self.step < self.config.num_steps and bool(self.alive.any()):
            self.update()
            self.after_update()
            if interrupt.received is not None and self.step < self.config.num_steps:
                self.save()
                report.note(f"interrupted after step {self.step}; run again to continue from {self.directory}")
                interrupt.leave()
        self.finished = True
        self.save()

    def update(self) -> None:
        """One update of every member that is alive, stack by stack."""
        self.updates.begin(self.step)
        losses, norms = [], []
        batches = self._batches()
        for rows in self.model.stacks:
            part = slice(rows.start, rows.stop)
            batch = batches if self.shared else {k: v[part] for k, v in batches.items()}
            values = {k: v[part] for k, v in self.values.items()}
            loss, grads = self._gradients(rows, batch, values)
            self.updates.add_noise(grads, rows, self.step)
            norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
            self._refuse_negative(rows, loss)
            fine = torch.isfinite(loss)[:, None] & torch.isfinite(norm)
            self._bury(rows, fine[:, 0], loss, norm[:, 0])
            alive = self.alive[part, None]
            self.updates.apply(rows, grads, norm, loss[:, None], None if bool(alive.all()) else alive)
            losses.append(loss)
            norms.append(norm[:, 0])
        for name, parts in (("loss", losses), ("grad_norm", norms)):
            self.sums[name] += torch.where(self.alive, torch.cat(parts).double(), 0.0)
        self.counted += 1
        self.step += 1

    def _gradients(self, rows: range, batch: dict[str, Tensor], values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
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
        rows = range(self.config.batch_size)
        seeds = list(dict.fromkeys(m.stream_seed for m in self.members))
        drawn = {seed: self.task.batch(self.step, rows, seed) for seed in seeds}
        if self.shared:
            return {k: v.to(self.device) for k, v in drawn[seeds[0]].items()}
        ordered = [drawn[m.stream_seed] for m in self.members]
        return {k: torch.stack([batch[k] for batch in ordered]).to(self.device) for k in ordered[0]}

    def _refuse_negative(self, rows: range, loss: Tensor) -> None:
        """Steps that depend on the loss take f >= 0 for granted."""
        if not self.needs_loss or not bool((loss < 0).any()):
            return
        for k in torch.nonzero(loss < 0)[:, 0].tolist():
            member = self.members[rows.start + k]
            if member.rule.needs_loss and self.alive[rows.start + k]:
                raise ValueError(
                    f"{member.optimizer} needs a loss >= 0; {member.name} has {float(loss[k]):g} at step {self.step}"
                )

    def _bury(self, rows: range, fine: Tensor, loss: Tensor, norm: Tensor) -> None:
        """Record members that just diverged; their parameters stay as they are from now on."""
        if bool(fine.all()):
            return
        for k in torch.nonzero(~fine & self.alive[rows.start : rows.stop])[:, 0].tolist():
            index = rows.start + k
            self._log_window([index])
            self.alive[index] = False
            self.stopped_at[index] = self.step
            refused = {"loss": float(loss[k]), "grad_norm": float(norm[k])}
            self.rows.append({"member": self.members[index].name, "step": self.step, "phase": "diverged", **refused})
            self.report.note(f"{self.members[index].name} diverged after step {self.step}")

    # -- between updates

    def after_update(self) -> None:
        config, ended = self.config, self.step == self.config.num_steps or not bool(self.alive.any())
        self.report.step(self.step)
        if self.counted and (ended or self.step % config.log_every == 0):
            self._log_window(torch.nonzero(self.alive)[:, 0].tolist())
            for total in self.sums.values():
                total.zero_()
            self.counted = 0
            self._show()
        if ended or (config.eval_every and self.step % config.eval_every == 0):
            self._evaluate()
        if not ended and config.checkpoint_every and self.step % config.checkpoint_every == 0:
            self.save()

    def _log_window(self, indices: Sequence[int]) -> None:
        if not self.counted:
            return
        effective = self.updates.effective_lr()
        means = {name: (total / self.counted).tolist() for name, total in self.sums.items()}
        lrs = self.updates.lr.tolist()
        for i in indices:
            row = {"member": self.members[i].name, "step": self.step, "phase": "train", "lr": lrs[i]}
            row |= {name: values[i] for name, values in means.items()}
            if effective is not None and not math.isnan(float(effective[i])):
                row["effective_lr"] = float(effective[i])
            self.rows.append(row)

    def _show(self) -> None:
        seconds = max(time.perf_counter() - self.session_started, 1e-9)
        per_second = (self.step - self.first) / seconds
        alive = int(self.alive.sum())
        rate = per_second * alive * self.config.batch_size * (self.task.tokens_per_row or 1)
        unit = "tokens_per_second" if self.task.tokens_per_row else "rows_per_second"
        left = (self.config.num_steps - self.step) / per_second
        shown = {"step": self.step, "alive": alive, "members": len(self.members), unit: rate, "seconds_left": left}
        self.report.row(shown)

    def _evaluate(self) -> None:
        """Metrics of the members that are alive, as means over held-out rows."""
        totals: dict[str, Tensor] = {}
        count = 0
        for batch in self.task.evaluation():
            batch = {k: v.to(self.device) for k, v in batch.items()}
            size = len(next(iter(batch.values())))
            parts = [self.model.metrics(self.task.metrics, batch, rows) for rows in self.model.stacks]
            for name in parts[0]:
                total = torch.cat([part[name] for part in parts]).double() * size
                totals[name] = totals[name] + total if name in totals else total
            count += size
        if not count:
            return
        means = {name: (total / count).tolist() for name, total in totals.items()}
        for i in torch.nonzero(self.alive)[:, 0].tolist():
            values = {name: column[i] for name, column in means.items()}
            self.rows.append({"member": self.members[i].name, "step": self.step, "phase": "eval", **values})

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
            "sums": self.sums,
            "progress": {
                "step": self.step,
                "finished": self.finished,
                "stopped_at": self.stopped_at,
                "rows": self.rows,
                "counted": self.counted,
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
        for name, total in self.sums.items():
            total.copy_(tree["sums"][name])
        for name, value in tree["progress"].items():
            setattr(self, name, value)
        if not self.finished:
            self.updates.load_state_dict(tree["updates"])
            self.sessions.append(self.step)

    def result(self) -> EnsembleResult:
        updates = sum(self.stopped_at)
        rate = updates * self.config.batch_size / max(self.seconds, 1e-9)
        tokens = None if self.task.tokens_per_row is None else rate * self.task.tokens_per_row
        return EnsembleResult(
            members=self.members,
            rows=self.rows,
            steps=self.stopped_at,
            diverged=[step < self.config.num_steps for step in self.stopped_at],
            states=[self.model.member_state(i) for i in range(len(self.members))],
            provenance={
                "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
                "num_threads": torch.get_num_threads(),
                "num_members": len(self.members),
                "wall_seconds": self.seconds,
                "rows_per_second": rate,
                "tokens_per_second": tokens,
                "resumed_at_steps": self.sessions,
            },
        )


def _refuse_dropout(model: nn.Module) -> None:
    for name, module in model.named_modules():
        rate = module.p if isinstance(module, nn.modules.dropout._DropoutNd) else getattr(module, "dropout", 0.0)
        if isinstance(rate, float) and rate > 0:
            raise ValueError(
                f"an ensemble cannot draw the dropout masks of separate runs; set dropout of '{name}' to 0"
                f" (it is {rate:g}) or train its members one by one"
            )


def _comparable(config: TrainingConfig, members: Sequence[Member], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that defines the ensemble, as flat JSON values under dotted keys."""
    flat = {f"training.{k}": v for k, v in config.model_dump(mode="json").items() if k not in _FREE_TO_CHANGE}
    flat |= {f"settings.{k}": v for k, v in settings.items()}
    for i, member in enumerate(members):
        flat |= {f"member {i}.{k}": str(v) for k, v in {"name": member.name, **member.columns()}.items()}
    return json.loads(json.dumps(flat))

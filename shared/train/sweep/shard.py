"""What one job of a sweep reads, whatever its task; a task's own settings are mixed in by subclassing. No torch."""

from typing import Any, ClassVar

from pydantic import Field

from shared.base.settings import StrictModel
from shared.optim.schedules import ScheduleName
from shared.train.config import Precision, TrainingConfig
from shared.train.run import Run
from shared.train.sweep.cost import ModelCost


class SweepSettings(StrictModel):
    """How the runs of a sweep are trained, in terms that hold for every length of run."""

    schedule: ScheduleName = "cosine"
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)  # of a run's updates, rounded, at least 1 if positive
    min_lr: float | None = Field(default=None, ge=0)  # absolute learning rate where the decay ends; None: 0
    precision: Precision = "fp32"

    num_train_points: int = Field(default=20, ge=1)  # logged rows of a training curve (means over their updates)
    num_evaluations: int = Field(default=1, ge=1)  # evaluations of a run, the last one at its end

    num_gpus: int = Field(default=0, ge=0)  # of one job
    alone: bool = False  # one run after another through the training loop: LSTMs, dropout, what torch.vmap refuses
    stack: int | None = Field(default=None, ge=1)  # runs computed together; None: measured on the machine
    extensions: int = Field(default=0, ge=0)  # times a grid whose best value is at its edge is widened
    widen: tuple[str, ...] = ("lr",)  # hyperparameters whose grids are widened
    fresh_seeds: tuple[int, ...] = ()  # seeds on which the best point of every cell is trained once more
    metric: str = "val_loss"  # of the evaluation, lower is better: what decides where the best value is

    def training_for(self, run: Run) -> TrainingConfig:
        """Schedule and logging of a run."""
        warmup = max(1, round(self.warmup_fraction * run.num_steps)) if self.warmup_fraction else 0
        return TrainingConfig(
            schedule=self.schedule,
            warmup_steps=warmup,
            min_lr=self.min_lr,
            precision=self.precision,
            log_every=max(1, run.num_steps // self.num_train_points),
            eval_every=0 if self.num_evaluations == 1 else max(1, run.num_steps // self.num_evaluations),
            checkpoint_every=max(1, run.num_steps // 4),
        )

    def model_cost(self, overrides: dict[str, Any]) -> ModelCost | None:
        """What one model costs under its `model.<name>` values; None where the task does not say."""
        return None


class SweepShard(SweepSettings):
    """Settings of one job: runs of one shape, in the order of the sweep."""

    own_rules: ClassVar[tuple[str, ...]] = ()  # update rules that the task's module registers

    sweep: str  # name of the sweep
    runs: tuple[Run, ...] = Field(min_length=1)

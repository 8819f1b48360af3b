"""How runs are trained: what the runs of one ensemble share; imports without torch."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.base.settings import StrictModel
from shared.optim.schedules import Schedule, ScheduleName, make_schedule
from shared.train.run import Run

Precision = Literal["fp32", "bf16", "fp16"]


class TrainingConfig(StrictModel):
    """Schedule, precision and bookkeeping; optimiser, lengths and seeds are each run's own and stand in `Run`.

    The schedule multiplies a run's peak learning rate.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    grad_accumulation_steps: int = Field(default=1, gt=0)  # backward passes per update; divides batch_size
    weight_decay_on: Literal["matrices", "all"] = "matrices"  # matrices: parameters of two or more dimensions

    schedule: ScheduleName = "constant"
    warmup_steps: int = Field(default=0, ge=0)  # updates of linear warm-up; update s uses lr * (s + 1) / warmup_steps
    decay_steps: int = Field(default=0, ge=0)  # updates of the final decay; schedule wsd only
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)  # where the decay ends, as a share of lr
    min_lr: float | None = Field(default=None, ge=0)  # the same as an absolute learning rate; give one of the two

    precision: Precision = "fp32"  # bf16 and fp16 are mixed: weights and updates stay in float32

    log_every: int = Field(default=50, gt=0)  # updates per logged row; a row is the mean over them
    eval_every: int = Field(default=0, ge=0)  # updates between evaluations; 0: only at the end
    checkpoint_every: int = Field(default=0, ge=0)  # updates between checkpoints; 0: only at the end

    @model_validator(mode="after")
    def _one_floor(self) -> Self:
        if self.min_lr is not None and self.min_lr_ratio != 0.0:
            raise ValueError(
                f"min_lr {self.min_lr} and min_lr_ratio {self.min_lr_ratio} name the same floor twice; keep one"
            )
        return self

    def lr_multiplier(self, run: Run) -> Schedule:
        """The schedule of a run: step -> share of its peak learning rate.

        Raises:
            ValueError: lengths that do not fit together, or a floor above the peak.
        """
        if self.min_lr is not None and self.min_lr > run.lr:
            raise ValueError(f"min_lr {self.min_lr} is above the peak learning rate {run.lr} of '{run.name}'; lower it")
        return make_schedule(
            self.schedule,
            num_steps=run.num_steps,
            warmup_steps=self.warmup_steps,
            floor=self.min_lr_ratio if self.min_lr is None else self.min_lr / run.lr,
            decay_steps=self.decay_steps,
        )

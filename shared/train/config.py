"""Settings of one training run, as they appear under `training:` in a config.yaml."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.base.settings import StrictModel
from shared.optim.schedules import Schedule, ScheduleName, make_schedule

Precision = Literal["fp32", "bf16", "fp16"]


class TrainingConfig(StrictModel):
    """How long, on how many rows, with which optimiser and schedule a model is trained.

    The smallest useful block in YAML is

        training: {num_steps: 2000, batch_size: 64, lr: 3.0e-4, schedule: cosine, warmup_steps: 100}

    `lr`, `betas`, `eps` and `weight_decay` describe the default optimiser, AdamW; a step that brings its own optimiser
    gives the learning rates there, and the schedule multiplies them.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    num_steps: int = Field(gt=0)  # optimiser updates
    batch_size: int = Field(gt=0)  # rows (sequences, images ...) per update, over all processes and accumulation steps
    grad_accumulation_steps: int = Field(default=1, gt=0)  # backward passes per update; divides batch_size

    lr: float = Field(default=1e-3, gt=0)  # peak learning rate
    betas: tuple[float, float] = (0.9, 0.999)  # AdamW's averaging factors, each in [0, 1)
    eps: float = Field(default=1e-8, gt=0)  # AdamW's epsilon, added to the root of the second moment
    weight_decay: float = Field(default=0.0, ge=0)  # decoupled; each update shrinks by lr * weight_decay
    weight_decay_on: Literal["matrices", "all"] = "matrices"  # matrices: parameters of two or more dimensions

    schedule: ScheduleName = "constant"
    warmup_steps: int = Field(default=0, ge=0)  # updates of linear warm-up; update s uses lr * (s + 1) / warmup_steps
    decay_steps: int = Field(default=0, ge=0)  # updates of the final decay; schedule wsd only
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)  # where the decay ends, as a share of lr
    min_lr: float | None = Field(default=None, ge=0)  # the same as an absolute learning rate; give one of the two

    clip_grad_norm: float | None = Field(default=None, gt=0)  # upper bound of the global gradient norm; None: no bound
    precision: Precision = "fp32"  # bf16 and fp16 are mixed: weights and updates stay in float32

    log_every: int = Field(default=50, gt=0)  # updates per logged row; a row is the mean over them
    eval_every: int = Field(default=0, ge=0)  # updates between evaluations; 0: only at the end
    checkpoint_every: int = Field(default=0, ge=0)  # updates between checkpoints; 0: only at the end
    seed: int = 0  # of everything random in the run: batches, dropout, evaluation

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.batch_size % self.grad_accumulation_steps:
            raise ValueError(
                f"batch_size {self.batch_size} is not divisible by grad_accumulation_steps"
                f" {self.grad_accumulation_steps}; choose a divisor, since every backward pass takes as many rows"
            )
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1); got {list(self.betas)}")
        if self.min_lr is not None and self.min_lr_ratio != 0.0:
            raise ValueError(
                f"min_lr {self.min_lr} and min_lr_ratio {self.min_lr_ratio} name the same floor twice; keep one"
            )
        if self.min_lr is not None and self.min_lr > self.lr:
            raise ValueError(f"min_lr {self.min_lr} is above the peak learning rate lr {self.lr}; lower it")
        self.lr_multiplier()  # refuses lengths that do not fit together
        return self

    def lr_multiplier(self) -> Schedule:
        """The schedule: step -> share of the peak learning rate."""
        return make_schedule(
            self.schedule,
            num_steps=self.num_steps,
            warmup_steps=self.warmup_steps,
            floor=self.min_lr_ratio if self.min_lr is None else self.min_lr / self.lr,
            decay_steps=self.decay_steps,
        )

    @property
    def rows_per_pass(self) -> int:
        """Rows of one backward pass, summed over all processes."""
        return self.batch_size // self.grad_accumulation_steps

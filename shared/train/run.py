"""One training run, described once: what a sweep expands to, what the loop and an ensemble train. Imports no torch."""

import math
from dataclasses import dataclass, field

Value = float | int | str | bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that tells one run apart from others; how runs are trained stands in `TrainingConfig`.

    Args:
        name: identifies the run in logs and records.
        optimizer: name of an update rule, as in `shared.optim.registry`.
        settings: the rule's hyperparameters; `lr` is the peak.
        batch_size: rows of an update, over all processes and accumulation steps. num_steps: updates.
        seq_len: tokens of a row; 1 where rows are not sequences.
        seed: of the initial weights.
        data_seed: of the order of the data and of gradient noise; `seed` if None.
        clip_norm: bound on the global gradient norm; None for none.
        noise_scale: standard deviation of Gaussian noise added to every coordinate of the gradient, before clipping.
        values: numbers that the task's loss reads, e.g. {"label_smoothing": 0.1}.
        model: settings of the model that replace the task's own.
    Raises:
        ValueError: a value out of range; the rule's own are checked where it is looked up.
    """

    name: str
    optimizer: str
    settings: dict[str, Value]
    batch_size: int
    num_steps: int
    seq_len: int = 1
    seed: int = 0
    data_seed: int | None = None
    clip_norm: float | None = None
    noise_scale: float = 0.0
    values: dict[str, Value] = field(default_factory=dict)
    model: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm of run '{self.name}' must be positive; got {self.clip_norm:g}")
        if not (math.isfinite(self.noise_scale) and self.noise_scale >= 0):
            raise ValueError(f"noise_scale of run '{self.name}' must be at least 0; got {self.noise_scale:g}")
        for name, count in (("batch_size", self.batch_size), ("num_steps", self.num_steps)):
            if count < 1:
                raise ValueError(f"{name} of run '{self.name}' must be at least 1; got {count}")

    @property
    def lr(self) -> float:
        """Peak learning rate."""
        if "lr" not in self.settings:
            raise ValueError(f"run '{self.name}' has no learning rate; give lr among its settings")
        return float(self.settings["lr"])

    @property
    def stream_seed(self) -> int:
        """Seed of data order and gradient noise."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def shape(self) -> tuple:
        """Runs of one shape can share an ensemble."""
        return (tuple(sorted(self.model.items())), tuple(sorted(self.values)), self.batch_size, self.num_steps)

    @property
    def num_tokens(self) -> int:
        return self.num_steps * self.batch_size * self.seq_len

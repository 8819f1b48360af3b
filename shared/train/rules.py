"""What a run's description means to torch: its update rule, complete hyperparameters, loss values, noise, columns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from shared.base.seeding import torch_generator
from shared.optim.registry import get_rule
from shared.optim.rule import Rule
from shared.train.run import Run


def rule_of(run: Run) -> Rule:
    """The update rule that the run names. Raises: ValueError, unknown name."""
    return get_rule(run.optimizer)


def hyperparameters(run: Run) -> dict[str, float]:
    """All hyperparameters of the run's rule: its own settings, else the rule's defaults.

    Raises:
        ValueError: unknown or missing name, not a number, or a value outside its interval.
    """
    return rule_of(run).resolve({name: _number(run, name, value) for name, value in run.settings.items()})


def _number(run: Run, name: str, value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} of run '{run.name}' must be a number; got {value!r}") from None


def columns_of(run: Run) -> dict[str, Any]:
    """A run's settings as columns: name, shape, `lr`, the rule's hyperparameters, loss and model values."""
    return {
        "run": run.name,
        "batch_size": run.batch_size,
        "num_steps": run.num_steps,
        "num_tokens": run.num_tokens,
        "optimizer": run.optimizer,
        "seed": run.seed,
        "data_seed": run.stream_seed,
        **hyperparameters(run),
        "clip_norm": clip_bound(run),
        "noise_scale": float(run.noise_scale),
        **{name: float(value) for name, value in run.values.items()},
        **{f"model_{name}": value for name, value in run.model.items()},
    }


def clip_bound(run: Run) -> float:
    """Bound on the global gradient norm; infinity for none."""
    return math.inf if run.clip_norm is None else float(run.clip_norm)


def loss_values(run: Run, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The numbers that the task's loss reads, 0-d tensors."""
    return {name: torch.tensor(float(value), dtype=dtype, device=device) for name, value in run.values.items()}


def gradient_noise(run: Run, step: int, size: int, dtype: torch.dtype) -> Tensor:
    """Noise of update `step` before scaling, (size,) standard normal numbers on the CPU, from (data seed, step)."""
    return torch.randn(size, generator=torch_generator(run.stream_seed, "gradient noise", step), dtype=dtype)


def is_fused_adam(rule: Rule, settings: Mapping[str, float]) -> bool:
    """Adam or AdamW with bias correction and zero buffers: what torch's one-pass kernel computes."""
    plain = rule.name in ("adam", "adamw") and settings["bias_correction"] == 1 and settings["gradient_init"] == 0
    return plain and settings["l2"] == 0


def check_runs(runs: Sequence[Run]) -> None:
    """Refuse an empty ensemble, equal names, runs of different shapes, and settings that no rule takes."""
    if not runs:
        raise ValueError("an ensemble needs at least one run; got none")
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"runs need different names; '{twice[0]}' occurs more than once")
    first = runs[0]
    for run in runs:
        hyperparameters(run)
        if set(run.values) != set(first.values):
            raise ValueError(
                f"all runs need the same loss values; '{run.name}' has {sorted(run.values)}"
                f" and '{first.name}' has {sorted(first.values)}"
            )
        if run.shape != first.shape:
            raise ValueError(
                f"runs of one ensemble share model, batch size and number of steps; '{run.name}' has"
                f" {run.batch_size} rows, {run.num_steps} steps and model {dict(run.model)}, '{first.name}' has"
                f" {first.batch_size}, {first.num_steps} and {dict(first.model)}"
            )

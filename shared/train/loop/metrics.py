"""Scalars that a task returns, and their means over a logging window."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

_RESERVED = frozenset({"run", "step", "phase", "lr", "effective_lr", "loss", "grad_norm", "diverged"})


def as_scalars(loss: Tensor, metrics: dict[str, Tensor | float], device: torch.device) -> dict[str, Tensor]:
    """Loss and metrics as detached scalars on `device`, the loss first.

    Raises:
        ValueError: one of them has dimensions, or a metric has a name that the loop itself uses.
    """
    refuse_reserved_names(metrics)
    scalars = {"loss": loss.detach()}
    for name, value in metrics.items():
        scalars[name] = value.detach() if isinstance(value, Tensor) else torch.tensor(float(value), device=device)
    for name, value in scalars.items():
        if value.ndim:
            raise ValueError(f"a task's loss and metrics are scalars, but {name!r} has shape {tuple(value.shape)}")
    return scalars


def refuse_reserved_names(names: Iterable[str]) -> None:
    """Refuse metrics that would overwrite the loop's own columns; `ValueError` names them."""
    clashes = _RESERVED.intersection(names)
    if clashes:
        raise ValueError(
            f"metric names {', '.join(sorted(clashes))} are the training loop's own columns; choose others"
            " (val_loss for a loss on held-out data)"
        )


def window_means(window: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric over the updates of a window.

    Updates where a metric is not finite are left out of its mean (fp16 skips updates whose gradient overflows); NaN
    where none is left.
    """
    return {name: _finite_mean([metrics[name] for metrics in window]) for name in window[0]}


def _finite_mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan

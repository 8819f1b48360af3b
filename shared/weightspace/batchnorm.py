"""Running statistics of BatchNorm after a merge: an average of statistics is not the statistics of the average.

Source: Izmailov et al. 2018 (arXiv 1803.05407), section 3.2; Jordan et al. 2023 (arXiv 2211.08403).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_Norm = nn.modules.batchnorm._BatchNorm


def has_statistics(model: nn.Module) -> bool:
    """Whether the model keeps running statistics."""
    return any(isinstance(module, _Norm) and module.track_running_stats for module in model.modules())


@torch.no_grad()
def reset_statistics(model: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Estimate running means and variances anew, as plain averages over `inputs`, in place; parameters do not change.

    Only the norms run in training mode, so dropout stays off. A model without running statistics is left alone.

    Args:
        inputs: batches that `model(batch)` takes, of equal length: each counts the same.
    Raises:
        ValueError: no input at all.
    """
    norms = [m for m in model.modules() if isinstance(m, _Norm) and m.track_running_stats]
    if not norms:
        return
    training, momenta, seen = [m.training for m in model.modules()], [norm.momentum for norm in norms], 0
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # torch then keeps a cumulative average
    for batch in inputs:
        model(batch)
        seen += 1
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, mode in zip(model.modules(), training, strict=True):
        module.training = mode
    if not seen:
        raise ValueError("statistics cannot be reset without data; give at least one batch")

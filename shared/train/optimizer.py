"""The default optimiser of the training loop."""

from typing import Literal

import torch
from torch import nn

from shared.train.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters of `model`, each in exactly one group.

    With `weight_decay_on: matrices` parameters of fewer than two dimensions (biases, gains) are not decayed, and
    with either choice a parameter whose attribute `no_weight_decay` is true is not.

    Raises:
        ValueError: the model has nothing to train.
    """
    # fused: one kernel for all parameters, on CPU and CUDA; the default on a CPU is a Python loop over them
    return torch.optim.AdamW(
        decay_groups(model, config.weight_decay, config.weight_decay_on),
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )


def decay_groups(model: nn.Module, weight_decay: float, on: Literal["matrices", "all"]) -> list[dict]:
    """Parameter groups that put each trainable parameter under `weight_decay` or under none.

    Raises:
        ValueError: the model has nothing to train.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError("the model has no trainable parameter; set requires_grad on those that should learn")
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in trainable:
        groups.setdefault(weight_decay if _is_decayed(parameter, on) else 0.0, []).append(parameter)
    return [{"params": parameters, "weight_decay": decay} for decay, parameters in groups.items()]


def check_optimizer(optimizer: torch.optim.Optimizer, config: TrainingConfig) -> None:
    """Refuse a ready-made optimiser that contradicts what the settings say explicitly.

    Raises:
        ValueError: lr, betas, eps or weight_decay are set in `config` and differ from the optimiser's.
    """
    for name in ("lr", "betas", "eps", "weight_decay"):
        if name not in config.model_fields_set or name not in optimizer.defaults:
            continue
        wanted, found = getattr(config, name), optimizer.defaults[name]
        if found is not None and (tuple(found) != wanted if name == "betas" else float(found) != wanted):
            raise ValueError(
                f"the settings say {name} = {wanted}, but the {type(optimizer).__name__} that was passed has {found};"
                " build it from the settings or leave the key out"
            )


def _is_decayed(parameter: nn.Parameter, on: str) -> bool:
    if getattr(parameter, "no_weight_decay", False):
        return False
    return on == "all" or parameter.ndim >= 2

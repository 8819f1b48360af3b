"""Which parameters decay, and which learn at a rate of their own; asked by the loop and by ensembles."""

from typing import Literal

from torch import nn


def is_decayed(parameter: nn.Parameter, on: Literal["matrices", "all"]) -> bool:
    """Whether `weight_decay_on: <on>` lets this parameter decay."""
    if getattr(parameter, "no_weight_decay", False):
        return False
    return on == "all" or parameter.ndim >= 2


def lr_scale(parameter: nn.Parameter) -> float:
    """Multiple of the run's learning rate at which the parameter learns: its attribute `lr_scale`, 1 without one."""
    return float(getattr(parameter, "lr_scale", 1.0))

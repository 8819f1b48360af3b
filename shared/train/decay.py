"""Which parameters decay; asked by the loop and by ensembles."""

from typing import Literal

from torch import nn


def is_decayed(parameter: nn.Parameter, on: Literal["matrices", "all"]) -> bool:
    """Whether `weight_decay_on: <on>` lets this parameter decay."""
    if getattr(parameter, "no_weight_decay", False):
        return False
    return on == "all" or parameter.ndim >= 2

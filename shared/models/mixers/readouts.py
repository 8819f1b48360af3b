"""Readout maps phi and normalisers eta of coefficient dynamics.

Shapes: B batch, T time, H heads; pre-activations p and coefficients alpha are (B, H, T, T).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.base.errors import nearest_or_all

READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda p: p,
    "real": lambda p: p.real,  # of complex states that stand for themselves and their conjugates
    "exp": torch.exp,
    "softplus": F.softplus,
    "relu": F.relu,
    "relu2": lambda p: F.relu(p).square(),
    "sigmoid": torch.sigmoid,
    "elu": F.elu,
    "elu1": lambda p: F.elu(p) + 1,
    "square": torch.square,
    "cube": lambda p: p**3,
}
LINEAR = ("identity", "real")
Kind = Literal["one", "sum", "abs_sum", "sum_exp", "floored", "root", "given"]


@dataclass(frozen=True)
class Readout:
    """phi(x) = f(x + offset).

    Raises:
        ValueError: an unknown name.
    """

    name: str
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in READOUTS:
            raise ValueError(f"unknown readout {self.name!r}; {nearest_or_all(self.name, READOUTS)}")

    def __call__(self, p: Tensor) -> Tensor:
        return READOUTS[self.name](p + self.offset if self.offset else p)

    linear = __call__

    def require_linear(self) -> None:
        """ValueError unless one state of fixed size can carry it."""
        if self.name not in LINEAR:
            raise ValueError(
                f"the readout {self.name!r} is not linear, so no state of key width follows it; use the parallel form,"
                f" or one of {', '.join(LINEAR)}"
            )


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """eta_i.

    Args:
        kind: "one"; "sum" of phi(p_ij) over j; "abs_sum" of |phi(p_ij)|; "sum_exp" of exp(p_ij), whatever phi
            is; "floored", max(|sum|, floor); "root",
            sqrt(i + 1); "given".
        eps: added to "sum" and "abs_sum".
        values: the floor, or what is given, (B, T, H).
    Raises:
        ValueError: an unknown kind, or values that are missing.
    """

    kind: Kind = "one"
    eps: float = 0.0
    values: Tensor | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown normaliser {self.kind!r}; {nearest_or_all(self.kind, get_args(Kind))}")
        if (self.kind in ("floored", "given")) != (self.values is not None):
            raise ValueError(f"the normaliser {self.kind!r} {'needs' if self.values is None else 'takes no'} values")

    def divide(self, p: Tensor, readout: Readout) -> Tensor:
        """phi(p) / eta, 0 where j > i; the mask comes after phi."""
        num_steps = p.shape[-1]
        future = torch.ones(num_steps, num_steps, dtype=torch.bool, device=p.device).triu(1)
        softmax = {"sum", "abs_sum"} if readout.offset else {"sum", "abs_sum", "sum_exp"}
        if readout.name == "exp" and self.kind in softmax and not self.eps:
            return (p + readout.offset).masked_fill(future, float("-inf")).softmax(-1)  # with the row maximum taken off
        weights = readout(p).masked_fill(future, 0.0)
        if self.kind == "one":
            return weights
        if self.kind == "sum_exp":
            return weights * torch.exp(-p.masked_fill(future, float("-inf")).logsumexp(-1, keepdim=True))
        if self.kind == "abs_sum":
            return weights / (weights.abs().sum(-1, keepdim=True) + self.eps)
        return weights / self.from_row_sum(weights.sum(-1).transpose(1, 2)).transpose(1, 2).unsqueeze(-1)

    def from_row_sum(self, row_sum: Tensor) -> Tensor:
        """eta from sum_j phi(p_ij), both (B, T, H).

        Raises:
            ValueError: it needs more than the row sum.
        """
        if self.kind in ("abs_sum", "sum_exp"):
            raise ValueError(f"the normaliser '{self.kind}' needs every coefficient; use the parallel form")
        if self.kind == "sum":
            return row_sum + self.eps
        if self.kind == "floored":
            return torch.maximum(row_sum.abs(), self.values)
        if self.kind == "root":
            count = torch.arange(1, row_sum.shape[1] + 1, dtype=row_sum.dtype, device=row_sum.device)
            return count.sqrt()[:, None].expand_as(row_sum)
        return torch.ones_like(row_sum) if self.kind == "one" else self.values

"""The two kinds of parameter vector that an update formula is written for.

A formula in this room is ordinary arithmetic on vectors, and runs unchanged on either of

- a tensor (..., P): the parameters of one model, or of M stacked models as (M, P), in one flat axis.
  Hyperparameters are then numbers, or (M, 1) tensors with one value per member;
- `Leaves`: the separate tensors of one model. Arithmetic runs through `torch._foreach_*`, one kernel for
  many tensors where the device has it. Hyperparameters are numbers, or `Leaves` of numbers when
  parameter groups differ.

Scalars (step sizes, norms, averaged losses) are kept in float64 and meet a vector only through `near`, so
that a factor such as 1 - beta**step is not computed in the precision of the parameters.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Union

import torch
from torch import Tensor

Scalar = Union[float, Tensor, "Leaves"]
Vector = Union[Tensor, "Leaves"]


class Leaves:
    """Tensors (or numbers, one per tensor) that are calculated with as one vector."""

    __slots__ = ("items",)

    def __init__(self, items: Iterable[Any]):
        self.items = list(items)

    @property
    def dtype(self) -> torch.dtype:
        return self.items[0].dtype

    def _holds_vectors(self) -> bool:
        return bool(self.items) and isinstance(self.items[0], Tensor) and self.items[0].dim() > 0

    def _binary(self, other: Any, foreach: Callable | None, plain: Callable) -> "Leaves":
        items = other.items if isinstance(other, Leaves) else other
        if foreach is not None and self._holds_vectors():
            return Leaves(foreach(self.items, items))
        if isinstance(other, Leaves):
            return Leaves([plain(a, b) for a, b in zip(self.items, items, strict=True)])
        return Leaves([plain(a, other) for a in self.items])

    def _unary(self, foreach: Callable, plain: Callable) -> "Leaves":
        return Leaves(foreach(self.items) if self._holds_vectors() else [plain(a) for a in self.items])

    def __add__(self, other: Any) -> "Leaves":
        return self._binary(other, torch._foreach_add, operator.add)

    def __sub__(self, other: Any) -> "Leaves":
        return self._binary(other, torch._foreach_sub, operator.sub)

    def __mul__(self, other: Any) -> "Leaves":
        return self._binary(other, torch._foreach_mul, operator.mul)

    def __truediv__(self, other: Any) -> "Leaves":
        return self._binary(other, torch._foreach_div, operator.truediv)

    def __pow__(self, other: Any) -> "Leaves":
        return self._binary(other, None, operator.pow)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> "Leaves":
        return -self + other

    def __rtruediv__(self, other: Any) -> "Leaves":
        return Leaves([other / a for a in self.items])

    def __neg__(self) -> "Leaves":
        return self._unary(torch._foreach_neg, operator.neg)

    def sqrt(self) -> "Leaves":
        return self._unary(torch._foreach_sqrt, lambda a: a**0.5)

    def sign(self) -> "Leaves":
        return Leaves(torch._foreach_sign(self.items))

    def abs(self) -> "Leaves":
        return self._unary(torch._foreach_abs, abs)


def near(scalar: Scalar, vector: Vector) -> Scalar:
    """`scalar` in the dtype of `vector`, so that a float64 factor does not promote float32 parameters."""
    if isinstance(scalar, Tensor):
        return scalar.to(vector.dtype)
    if isinstance(scalar, Leaves) and isinstance(scalar.items[0], Tensor):
        return Leaves([a.to(vector.dtype) for a in scalar.items])
    return scalar


def above_zero(scalar: Scalar, vector: Vector) -> Scalar:
    """`near`, but at least the smallest normal number of that dtype: what stands beside a root that may be 0.

    A coordinate without a gradient then moves by 0 / tiny = 0, not by 0 / 0; other roots are too large to notice.
    """
    return clamp(near(scalar, vector), low=torch.finfo(vector.dtype).tiny)


def inner(a: Vector, b: Vector) -> Tensor:
    """Inner product over all coordinates of a model, in float64: (M, 1) for (M, P), a 0-d tensor for `Leaves`."""
    if isinstance(a, Leaves):
        parts = [torch.dot(x.reshape(-1), y.reshape(-1)) for x, y in zip(a.items, b.items, strict=True)]
        return torch.stack([part.to(device=parts[0].device, dtype=torch.float64) for part in parts]).sum()
    return (a * b).sum(-1, keepdim=True).to(torch.float64)


def average(old: Any, new: Any, beta: Scalar) -> Any:
    """beta * old + (1 - beta) * new; exactly `new` at beta = 0."""
    if isinstance(old, Tensor) and old.dim() > 0 and isinstance(beta, Tensor):
        return torch.lerp(old, new, near(1 - beta, old))
    if isinstance(old, Tensor) and isinstance(new, Tensor) and isinstance(beta, float | int):
        return torch.lerp(old, new.to(old.dtype), 1.0 - beta)
    if isinstance(old, Leaves) and old._holds_vectors():
        weights = near(1 - beta, old)
        if isinstance(weights, Leaves) and not isinstance(weights.items[0], Tensor):
            return Leaves(torch._foreach_lerp(old.items, new.items, weights.items))
        if not isinstance(weights, Leaves | Tensor):
            return Leaves(torch._foreach_lerp(old.items, new.items, float(weights)))
    return near(beta, old) * old + near(1 - beta, old) * new


def clamp(x: Any, low: Scalar | None = None, high: Scalar | None = None) -> Any:
    """Coordinates (or a scalar) limited to [low, high]; a limit may differ by member or by leaf."""
    if isinstance(x, Leaves):
        lows, highs = _spread(low, len(x.items)), _spread(high, len(x.items))
        return Leaves([clamp(a, lo, hi) for a, lo, hi in zip(x.items, lows, highs, strict=True)])
    if not isinstance(x, Tensor):
        x = x if low is None else max(x, low)
        return x if high is None else min(x, high)
    return torch.clamp(x, *_limits(x, low, high))


def _limits(x: Tensor, low: Scalar | None, high: Scalar | None) -> tuple[Any, Any]:
    """Both limits as tensors as soon as one of them is, which is what torch.clamp accepts."""
    if not (isinstance(low, Tensor) or isinstance(high, Tensor)):
        return low, high
    as_tensor = [None if v is None else torch.as_tensor(v, dtype=x.dtype, device=x.device) for v in (low, high)]
    return as_tensor[0], as_tensor[1]


def minimum(a: Scalar, b: Scalar) -> Scalar:
    """The smaller of two scalars, member by member or leaf by leaf."""
    if isinstance(a, Leaves) or isinstance(b, Leaves):
        length = len(a.items if isinstance(a, Leaves) else b.items)
        pairs = zip(_spread(a, length), _spread(b, length), strict=True)
        return Leaves([minimum(x, y) for x, y in pairs])
    return clamp(a, high=b) if isinstance(a, Tensor) else clamp(b, high=a)


def _spread(value: Any, length: int) -> Sequence[Any]:
    return value.items if isinstance(value, Leaves) else [value] * length

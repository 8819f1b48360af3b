"""An update rule: one formula, its hyperparameters with their ranges, and the state it keeps.

    rule = RULES["signum"]
    state = rule.init(params)
    params, state = rule.step(params, grads, state, {"lr": lr, "beta": 0.9})

`params` and `grads` are vectors as in `vectors.py`: a flat tensor (P,), M members (M, P), or `Leaves`. Nothing is
changed in place. The optimiser classes and the ensembles are thin wrappers over `Rule.step`, and a class takes its
arguments, their defaults, ranges and descriptions from its rule: nothing about a hyperparameter stands twice.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from shared.base.errors import nearest_or_all
from shared.optim.ranges import Range
from shared.optim.vectors import Leaves, Scalar, Vector, near

State = dict[str, Any]
Hyper = Mapping[str, Scalar]
Update = Callable[[Vector, Vector, State, Hyper, Scalar | None], tuple[Vector, State]]


LR = Range(None, closed_low=False, meaning="step length in parameter units")  # no default: no value fits two problems
DECAY = Range(0.0, meaning="decoupled decay, multiplied by the current lr as in AdamW")
L2 = Range(0.0, meaning="coupled decay, added to the gradient as l2 * p")
CLIP = Range(
    math.inf, closed_low=False, closed_high=True, meaning="limit on each |coordinate| of the direction as it is applied"
)
EPS = Range(1e-8, meaning="added outside the root, in gradient units")


def beta(default: float, meaning: str = "averaging factor") -> Range:
    """An averaging factor in [0, 1)."""
    return Range(default, high=1.0, meaning=meaning)


def switch(default: bool, meaning: str) -> Range:
    """Something that is on or off."""
    return Range(float(default), high=1.0, closed_high=True, meaning=meaning, boolean=True)


GRADIENT_INIT = switch(False, "start averages at the first gradient, not at zero")


@dataclass(frozen=True)
class Rule:
    """One optimiser.

    Args:
        name: as in configuration files.
        update: (params, grads, state, hyper, loss) -> (params, state). `state["step"]` is the number of this
            step, from 1. The formula returns only the entries that it changes.
        hyper: hyperparameters by name.
        vectors: state entries shaped like the parameters, zero at the start.
        scalars: state entries with one number per model, zero at the start.
        needs_loss: the formula reads the loss of the batch that gave the gradient, before the update.
        check: further conditions on one model's hyperparameters; raises ValueError.
    """

    name: str
    update: Update
    hyper: Mapping[str, Range]
    vectors: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    needs_loss: bool = False
    check: Callable[[Mapping[str, float]], None] = field(default=lambda values: None)

    def init(self, params: Vector) -> State:
        """State before the first step."""
        if isinstance(params, Leaves):
            like = lambda: Leaves([torch.zeros_like(p) for p in params.items])  # noqa: E731
            number = lambda: params.items[0].new_zeros(())  # noqa: E731
        else:
            like = lambda: torch.zeros_like(params)  # noqa: E731
            number = lambda: params.new_zeros((*params.shape[:-1], 1))  # noqa: E731
        return {"step": 0} | {k: like() for k in self.vectors} | {k: number() for k in self.scalars}

    def step(
        self, params: Vector, grads: Vector, state: State, hyper: Hyper, loss: Scalar | None = None
    ) -> tuple[Vector, State]:
        """One update; returns new parameters and new state, leaves its arguments alone.

        Args:
            params, grads: vectors of one kind and shape.
            state: from `init` or an earlier `step`.
            hyper: every hyperparameter of the rule; a number, or (M, 1) in float64 for M members. The entry
                "decay_mask", a vector of zeros and ones, exempts coordinates from weight decay.
            loss: batch loss before the update, 0-d or (M, 1); only rules with `needs_loss` read it.
        """
        state = state | {"step": state["step"] + 1}
        params, changed = self.update(params, grads, state, hyper, loss)
        for name in self.scalars:  # kept in the parameters' dtype, as torch restores them when a state is loaded
            changed[name] = near(changed[name], grads)
        return params, state | changed

    def defaults(self) -> dict[str, float | None]:
        return {name: limits.default for name, limits in self.hyper.items()}

    def resolve(self, settings: Mapping[str, float]) -> dict[str, float]:
        """`settings` completed with defaults and checked.

        Raises:
            ValueError: unknown or missing name, or a value outside its interval.
        """
        for name in settings:
            if name not in self.hyper:
                hint = nearest_or_all(name, self.hyper)
                raise ValueError(f"unknown hyperparameter '{name}' for optimiser '{self.name}'; {hint}")
        values = {name: settings.get(name, limits.default) for name, limits in self.hyper.items()}
        for name, value in values.items():
            self._check_one(name, value)
        self.check(values)
        return values

    def _check_one(self, name: str, value: Any) -> None:
        limits = self.hyper[name]
        if value is None:
            raise ValueError(f"optimiser '{self.name}' needs a value for '{name}' in {limits}; none was given")
        if isinstance(value, str) or not isinstance(value, float | int | Tensor):
            raise ValueError(f"{name} of optimiser '{self.name}' must be a number in {limits}; got {value!r}")
        if not limits.admits(float(value)):  # NaN compares false and is refused here, too
            raise ValueError(f"{name} of optimiser '{self.name}' must lie in {limits}; got {float(value):g}")


def is_zero(value: Any) -> bool:
    """True for a plain number zero: the term can be left out of the formula altogether."""
    return isinstance(value, float | int) and value == 0


def first(step: Scalar) -> Scalar:
    """1 at the first step, 0 later; a number also where members count their steps apart."""
    return 1.0 * (step == 1)


def decayed(params: Vector, hyper: Hyper, rate: Scalar | None = None) -> Vector:
    """(1 - lr * weight_decay) * params: decay decoupled from the gradient (Loshchilov and Hutter 2019)."""
    if is_zero(hyper["weight_decay"]):
        return params
    rate = hyper["lr"] * hyper["weight_decay"] if rate is None else rate
    mask = hyper.get("decay_mask")
    kept = 1 - rate if mask is None else 1 - near(rate, params) * mask
    return near(kept, params) * params


def with_l2(grads: Vector, params: Vector, hyper: Hyper) -> Vector:
    """grads + l2 * params: decay coupled through the gradient, as `weight_decay` of torch's SGD and Adam."""
    if is_zero(hyper["l2"]):
        return grads
    mask = hyper.get("decay_mask")
    rate = near(hyper["l2"], params)
    return grads + (rate if mask is None else rate * mask) * params

"""torch.optim.Optimizer over an update rule."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from shared.optim.ranges import Range
from shared.optim.rule import Rule
from shared.optim.vectors import Leaves


class RuleOptimizer(torch.optim.Optimizer):
    """Optimiser whose formula is `rule`. A subclass names its rule, which holds its arguments and what they mean.

    Arguments are the parameters, then the rule's hyperparameters in its order; `betas` is the pair beta1, beta2.
    All parameters of all groups are updated in one call of the formula, so a norm or an inner product in it is
    over the whole model however the parameters are grouped. State follows torch: per parameter, `step` as a
    float32 scalar and buffers under torch's names; `state_dict` is all that a resume needs.
    """

    rule: ClassVar[Rule]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__signature__ = _signature(cls.rule)
        cls.__doc__ = _documented(cls.__doc__ or "", cls.rule)

    def __init__(self, params, *args: Any, **settings: Any):
        bound = self.__signature__.bind(params, *args, **settings)
        bound.apply_defaults()
        super().__init__(params, {k: v for k, v in bound.arguments.items() if k != "params"})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As torch's; refuses unknown names and values outside their ranges."""
        settings = {k: v for k, v in param_group.items() if k not in ("params", "param_names", "lr_scale")}
        if "betas" in self.defaults and settings.keys() & set(_PAIR):
            raise ValueError(f"a parameter group of {type(self).__name__} takes the pair 'betas', not beta1 or beta2")
        self.rule.resolve(_flat(self.defaults | settings))
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None, *, loss: Tensor | float | None = None):
        """One update.

        Args:
            closure: evaluates the loss, and the gradients if they are not there yet. `lambda: loss` serves where a
                wrapper passes only closures on.
            loss: loss of the batch that gave the gradients, before the update; the mean over micro-batches and
                over ranks, unscaled. Read only by rules that need it.
        Raises:
            ValueError: sparse gradient; the rule needs a loss and none was given, or it is negative or not finite.
        """
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = [(group, [p for p in group["params"] if p.grad is not None]) for group in self.param_groups]
        params = [p for _, members in groups for p in members]
        if not params:
            return loss
        self._check(params, loss)
        hyper = self._hyper([(_flat(group), len(members)) for group, members in groups if members])
        state = self._gather(params, apart=any(isinstance(value, Leaves) for value in hyper.values()))
        value = loss.detach() if isinstance(loss, Tensor) else loss
        updated, state = self.rule.step(Leaves(params), Leaves([p.grad for p in params]), state, hyper, value)
        torch._foreach_copy_(params, updated.items)
        self._scatter(params, state)
        return loss

    @property
    def effective_lr(self) -> float | None:
        """Step size that the last update used in front of its direction; None before it, or if it is just lr."""
        for state in self.state.values():
            if "effective_lr" in state:
                return float(state["effective_lr"])
        return None

    def _check(self, params: list[Tensor], loss: Tensor | float | None) -> None:
        name = type(self).__name__
        if any(p.grad.is_sparse for p in params):
            raise ValueError(f"{name} takes dense gradients only; build the embedding with sparse=False")
        if not self.rule.needs_loss:
            return
        if loss is None:
            raise ValueError(f"{name}'s step size depends on the batch loss: call step(loss=loss)")
        value = float(loss.detach()) if isinstance(loss, Tensor) else float(loss)
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} needs a finite loss >= 0; got {value:g}")

    def _gather(self, params: list[Tensor], apart: bool) -> dict[str, Any]:
        """State of all parameters as one state of the rule; fresh zeros for parameters without one.

        A number per model is kept by every parameter; `apart` says that groups differ and may hold different ones.
        """
        for p in params:
            if not self.state[p]:
                fresh = self.rule.init(Leaves([p]))
                self.state[p].update({k: fresh[k].items[0] for k in self.rule.vectors})
                self.state[p].update({k: fresh[k] for k in self.rule.scalars})
                self.state[p]["step"] = torch.tensor(0.0)
        states = [self.state[p] for p in params]
        steps = [int(s["step"]) for s in states]
        step = steps[0] if len(set(steps)) == 1 else Leaves(steps)
        return (
            {"step": step}
            | {k: Leaves([s[k] for s in states]) for k in self.rule.vectors}
            | {k: Leaves([s[k] for s in states]) if apart else states[0][k] for k in self.rule.scalars}
        )

    def _scatter(self, params: list[Tensor], state: dict[str, Any]) -> None:
        for i, p in enumerate(params):
            own = self.state[p]
            own["step"] = own["step"] + 1  # a new tensor: a loaded state may still be held by its giver
            own.update({k: state[k].items[i] for k in self.rule.vectors})
            own.update({k: _one(state[k], i).clone() for k in self.rule.scalars})

    def _hyper(self, groups: list[tuple[dict[str, Any], int]]) -> dict[str, Any]:
        """One number per name, or one per parameter where the groups differ."""
        hyper = {}
        for name in self.rule.hyper:
            values = [float(group.get(name, self.rule.hyper[name].default)) for group, _ in groups]
            if all(value == values[0] for value in values):
                hyper[name] = values[0]
            else:
                hyper[name] = Leaves([v for v, (_, count) in zip(values, groups, strict=True) for _ in range(count)])
        return hyper


_PAIR = ("beta1", "beta2")  # one argument, `betas`, as torch's Adam has it


def _signature(rule: Rule) -> inspect.Signature:
    """Arguments of the class of `rule`: `params`, then its hyperparameters with their defaults."""
    kind, defaults = inspect.Parameter.POSITIONAL_OR_KEYWORD, {}
    for name, limits in rule.hyper.items():
        if name == "beta1" and "beta2" in rule.hyper:
            defaults["betas"] = tuple(rule.hyper[key].default for key in _PAIR)
        elif name != "beta2" or "beta1" not in rule.hyper:
            defaults[name] = bool(limits.default) if limits.boolean else limits.default
    given = [inspect.Parameter(k, kind) for k, default in defaults.items() if default is None]
    optional = [inspect.Parameter(k, kind, default=default) for k, default in defaults.items() if default is not None]
    return inspect.Signature([inspect.Parameter("params", kind), *given, *optional])


def _documented(text: str, rule: Rule) -> str:
    """`text` with the arguments of `rule` before its source, or at its end."""
    above, source, below = inspect.cleandoc(text).partition("\nSource:")
    lines = [f"    {name}: {_described(name, rule.hyper)}." for name in list(_signature(rule).parameters)[1:]]
    return "\n".join([above.rstrip(), "", "Args:", *lines]) + source + below


def _described(name: str, hyper: Mapping[str, Range]) -> str:
    if name == "betas":
        first, second = (hyper[key] for key in _PAIR)
        return f"({first.meaning}, {second.meaning}), each in {first}"
    values = "on or off" if hyper[name].boolean else f"in {hyper[name]}"
    return f"{hyper[name].meaning}; {values}" if hyper[name].meaning else values


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with torch's `betas` pair spelt as the rule's beta1 and beta2."""
    flat = {k: v for k, v in settings.items() if k not in ("betas", "params", "param_names", "initial_lr")}
    if "betas" in settings:
        try:
            flat["beta1"], flat["beta2"] = settings["betas"]
        except (TypeError, ValueError):
            raise ValueError(f"betas must be a pair of numbers in [0, 1); got {settings['betas']!r}") from None
    return flat


def _one(value: Any, i: int) -> Tensor:
    return value.items[i] if isinstance(value, Leaves) else value

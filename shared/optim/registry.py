"""Optimisers by the names that configuration files use.

An optimiser is a rule and a class that names it, in one of the modules below; nothing else lists it.
"""

from collections.abc import Iterable
from typing import Any

from shared.base.errors import nearest_or_all
from shared.optim import adam, ngn, polyak, root_mean_square, sgd, sign
from shared.optim.base import RuleOptimizer
from shared.optim.rule import Rule

MODULES = (sgd, sign, adam, root_mean_square, ngn, polyak)

OPTIMIZERS: dict[str, type[RuleOptimizer]] = {
    value.rule.name: value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, RuleOptimizer) and value is not RuleOptimizer
}
RULES: dict[str, Rule] = {name: cls.rule for name, cls in OPTIMIZERS.items()}

# Of papers: apart from the library's own, which its battery of tests covers.
_REGISTERED: dict[str, type[RuleOptimizer]] = {}


def register_rule(rule: Rule) -> Rule:
    """Make a rule of a paper known by its name to ensembles and sweeps of this process; returns it.

    Call it where the rule is defined, and import that module from the task's, so that worker processes know it, too.
    Raises: ValueError, the name belongs to another rule.
    """
    known = (OPTIMIZERS | _REGISTERED).get(rule.name)
    if known is not None and known.rule is not rule:
        raise ValueError(f"an optimiser called '{rule.name}' exists already; give the rule another name")
    if known is None:
        _REGISTERED[rule.name] = type(rule.name, (RuleOptimizer,), {"rule": rule})
    return rule


def _class(name: str) -> type[RuleOptimizer]:
    known = OPTIMIZERS | _REGISTERED
    if name not in known:
        raise ValueError(f"unknown optimiser '{name}'; {nearest_or_all(name, known)}")
    return known[name]


def get_rule(name: str) -> Rule:
    """The update rule called `name`, the library's or a registered one. Raises: ValueError, with the nearest name."""
    return _class(name).rule


def build_optimizer(name: str, params: Iterable, **settings: Any) -> RuleOptimizer:
    """The torch optimiser called `name`, the library's or of a registered rule, over `params`, which may be groups.

    Settings are the class's arguments; `beta1` and `beta2` are accepted for `betas`, as in rules.
    Raises: ValueError, unknown, missing or doubled setting, unknown name, or a value outside its range.
    """
    cls = _class(name)
    accepted = list(cls.__signature__.parameters)[1:]
    if {"beta1", "beta2"} & settings.keys() and "betas" in accepted and "betas" not in settings:
        defaults = cls.rule.defaults()
        settings["betas"] = tuple(settings.pop(key, defaults[key]) for key in ("beta1", "beta2"))
    try:
        return cls(params, **settings)
    except TypeError as error:
        raise ValueError(f"optimiser '{name}' takes {', '.join(accepted)}; got {', '.join(settings)}") from error

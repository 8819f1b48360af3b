"""Optimisers by the names that configuration files use."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch

from shared.base.errors import nearest_or_all
from shared.optim import adam, ngn, polyak, root_mean_square, sgd, sign
from shared.optim.base import RuleOptimizer
from shared.optim.rule import Rule

_MODULES = (sgd, sign, adam, root_mean_square, ngn, polyak)

RULES: dict[str, Rule] = {
    value.name: value for module in _MODULES for value in vars(module).values() if isinstance(value, Rule)
}

OPTIMIZERS: dict[str, type[RuleOptimizer]] = {
    "sgd": sgd.SGD,
    "sgd_ema": sgd.SGDEMA,
    "signsgd": sign.SignSGD,
    "signum": sign.Signum,
    "soft_signum": sign.SoftSignum,
    "emasign": sign.EMASign,
    "lion": sign.Lion,
    "adam": adam.Adam,
    "adamw": adam.AdamW,
    "adam_sigma2": adam.AdamSigma2,
    "adavar": adam.AdaVar,
    "adabelief": adam.AdaBelief,
    "adabound": adam.AdaBound,
    "rmsprop": root_mean_square.RMSprop,
    "adagrad": root_mean_square.Adagrad,
    "ngn": ngn.NGN,
    "ngn_m": ngn.NGNM,
    "ngn_m_v2": ngn.NGNM,
    "ngn_d": ngn.NGND,
    "ngn_md": ngn.NGNMD,
    "ngn_md_v2": ngn.NGNMD,
    "ngn_mdw": ngn.NGNMD,
    "momo": polyak.MoMo,
    "momo_adam": polyak.MoMoAdam,
    "momsps": polyak.MomSPS,
    "alr_smag": polyak.ALRSMAG,
}

# Rules that share a class with another: the arguments that select them.
_FIXED = {
    "ngn_m_v2": {"version": 2},
    "ngn_md_v2": {"version": 2},
    "ngn_mdw": {"weight_decay_mode": "proximal"},
}

RULES["adamw"] = RULES["adam"]  # one formula: AdamW is Adam with `weight_decay`

_REGISTERED: dict[str, Rule] = {}  # of papers: apart from the library's own, which its battery of tests covers


def register_rule(rule: Rule) -> Rule:
    """Make a rule of a paper known by its name to ensembles and sweeps of this process; returns it.

    Call it where the rule is defined, and import that module from the task's, so that worker processes know it, too.
    Raises: ValueError, the name belongs to another rule.
    """
    if RULES.get(rule.name, rule) is not rule or _REGISTERED.get(rule.name, rule) is not rule:
        raise ValueError(f"an optimiser called '{rule.name}' exists already; give the rule another name")
    _REGISTERED[rule.name] = rule
    return rule


def _named(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise ValueError(f"unknown optimiser '{name}'; {nearest_or_all(name, table)}")
    return table[name]


def get_rule(name: str) -> Rule:
    """The update rule called `name`, the library's or a registered one. Raises: ValueError, with the nearest name."""
    return _named(RULES | _REGISTERED, name)


def build_optimizer(name: str, params: Iterable, **settings: Any) -> torch.optim.Optimizer:
    """The torch optimiser called `name` over `params`, which may be groups.

    Settings are the class's arguments; `beta1` and `beta2` are accepted for `betas`, as in rules. A registered rule has
    no class of its own and takes its hyperparameters.
    Raises: ValueError, unknown name or setting, or a value outside its range.
    """
    if name in _REGISTERED:
        rule = _REGISTERED[name]
        return type(name, (RuleOptimizer,), {"rule": rule})(params, **{**rule.defaults(), **settings})
    cls = _named(OPTIMIZERS, name)
    if {"beta1", "beta2"} & settings.keys() and "betas" in inspect.signature(cls).parameters:
        defaults = cls.rule.defaults()
        pair = [settings.pop(key, defaults.get(key)) for key in ("beta1", "beta2")]
        settings["betas"] = tuple(pair)
    try:
        return cls(params, **settings, **_FIXED.get(name, {}))
    except TypeError as error:
        accepted = list(inspect.signature(cls).parameters)[1:]
        raise ValueError(f"optimiser '{name}' takes {', '.join(accepted)}; got {', '.join(settings)}") from error

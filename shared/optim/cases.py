"""Rows of optimisers and settings: what the battery of tests and the equality tests of ensembles run over.

An optimiser without a row of its own has one with its defaults, so that a new one is tested as soon as it is declared.
Settings are spelt as in rules. `scaling` says what multiplying the loss by a does when eps is 0: "invariant", the
iterates stay the same; "inverse_lr", they stay the same if lr is divided and the decay multiplied by a; None, neither.
"""

from dataclasses import dataclass
from typing import Any

from shared.optim.registry import RULES


@dataclass(frozen=True)
class Case:
    name: str
    settings: dict[str, Any]
    scaling: str | None

    @property
    def id(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v:g}' for k, v in self.settings.items())})"


def _case(name: str, scaling: str | None, **settings: float) -> Case:
    return Case(name, settings, scaling)


_CHOSEN = (
    _case("sgd", "inverse_lr", lr=0.05),
    _case("sgd", "inverse_lr", lr=0.02, momentum=0.9),
    _case("sgd", "inverse_lr", lr=0.02, momentum=0.9, nesterov=1.0),
    _case("sgd", "inverse_lr", lr=0.1, momentum=0.9, dampening=0.9, weight_decay=0.01),
    _case("sgd", None, lr=0.05, momentum=0.8, l2=0.01, clip_value=0.5),
    _case("sgd_ema", "inverse_lr", lr=0.2, momentum=0.9),
    _case("sgd_ema", None, lr=0.2, momentum=0.9, weight_decay=0.01, clip_value=0.5),
    _case("signsgd", "invariant", lr=0.02),
    _case("signum", "invariant", lr=0.02, beta=0.9, weight_decay=0.1),
    _case("signum", "invariant", lr=0.02, beta=0.8, gradient_init=1.0),
    _case("soft_signum", None, lr=0.02, beta=0.9, eps_inside=1e-3),
    _case("soft_signum", None, lr=0.02, beta=0.9, eps_inside=0.0, eps=0.1),
    _case("emasign", "invariant", lr=0.02, beta=0.9),
    _case("lion", "invariant", lr=0.02, weight_decay=0.1),
    _case("adam", "invariant", lr=0.05),
    _case("adam", None, lr=0.05, beta1=0.9, beta2=0.95, l2=0.01),
    _case("adam", "invariant", lr=0.05, beta1=0.9, beta2=0.95, bias_correction=0.0, gradient_init=1.0),
    _case("adamw", "invariant", lr=0.05, beta1=0.8, beta2=0.99, weight_decay=0.1),
    _case("adam_sigma2", "invariant", lr=0.05, beta=0.9),
    _case("adavar", "invariant", lr=0.05, beta=0.9, tau=0.95, gamma=0.5),
    _case("adabelief", "invariant", lr=0.05, eps=1e-12),
    _case("adabound", None, lr=0.01, weight_decay=0.1),
    _case("rmsprop", "invariant", lr=0.02, alpha=0.9),
    _case("rmsprop", "invariant", lr=0.01, alpha=0.95, momentum=0.5, bias_correction=1.0),
    _case("adagrad", "invariant", lr=0.3, lr_decay=0.01),
    _case("ngn", "inverse_lr", lr=1.0),
    _case("ngn", "inverse_lr", lr=1.0, weight_decay=0.01),
    _case("ngn_m", "inverse_lr", lr=1.0, momentum=0.9),
    _case("ngn_m", "inverse_lr", lr=1.0, momentum=0.5, weight_decay=0.01),
    _case("ngn_m_v2", "inverse_lr", lr=0.5, momentum=0.9),
    _case("ngn_d", "invariant", lr=0.2),
    _case("ngn_md", "invariant", lr=0.2),
    _case("ngn_md", "invariant", lr=0.2, beta1=0.5, beta2=0.95, weight_decay=0.1),
    _case("ngn_md_v2", "invariant", lr=0.2, weight_decay=0.1),
    _case("ngn_mdw", "invariant", lr=0.2, weight_decay=0.1),
    _case("momo", "inverse_lr", lr=1.0, beta=0.9),
    _case("momo", "inverse_lr", lr=1.0, beta=0.9, weight_decay=0.01),
    _case("momo_adam", "invariant", lr=0.1),
    _case("momo_adam", "invariant", lr=0.1, beta2=0.95, weight_decay=0.1),
    _case("momsps", "inverse_lr", lr=1.0, momentum=0.9),
    _case("alr_smag", "inverse_lr", lr=0.1, beta=0.9, weight_decay=0.01),
)

CASES: tuple[Case, ...] = (
    *_CHOSEN,
    *(_case(name, None, lr=0.02) for name in sorted(set(RULES) - {case.name for case in _CHOSEN})),
)

"""One member of an ensemble: the settings in which it may differ from the others."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from shared.optim.registry import get_rule
from shared.optim.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Member:
    """Settings of one run inside an ensemble.

    Args:
        name: identifies the run in logs and records.
        optimizer: name of an update rule, as in `shared.optim.registry.RULES`.
        settings: the rule's hyperparameters; `lr` is the peak.
        seed: of the initial weights.
        data_seed: of the order of the data and of gradient noise; `seed` if None.
        clip_norm: bound on the global gradient norm; infinity for none.
        noise_scale: standard deviation of Gaussian noise added to every coordinate of the gradient, before clipping.
        values: numbers that the task's loss reads, e.g. {"label_smoothing": 0.1}.
    """

    name: str
    optimizer: str
    settings: Mapping[str, float]
    seed: int = 0
    data_seed: int | None = None
    clip_norm: float = math.inf
    noise_scale: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rule.resolve(self.settings)
        if not self.clip_norm > 0:
            raise ValueError(f"clip_norm of member '{self.name}' must be positive; got {self.clip_norm:g}")
        if not (math.isfinite(self.noise_scale) and self.noise_scale >= 0):
            raise ValueError(f"noise_scale of member '{self.name}' must be at least 0; got {self.noise_scale:g}")

    @property
    def rule(self) -> Rule:
        return get_rule(self.optimizer)

    @property
    def stream_seed(self) -> int:
        """Seed of data order and gradient noise."""
        return self.seed if self.data_seed is None else self.data_seed

    def columns(self) -> dict[str, Any]:
        """All settings as flat columns of a record."""
        resolved = self.rule.resolve(self.settings)
        own = {"optimizer": self.optimizer, "seed": self.seed, "data_seed": self.stream_seed}
        return {**own, **resolved, "clip_norm": self.clip_norm, "noise_scale": self.noise_scale, **self.values}


def check_members(members: Sequence[Member]) -> None:
    """Refuse an empty ensemble, equal names, and loss values that only some members have."""
    if not members:
        raise ValueError("an ensemble needs at least one member; got none")
    names = [member.name for member in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"members need different names; '{twice[0]}' occurs more than once")
    keys = set(members[0].values)
    for member in members:
        if set(member.values) != keys:
            raise ValueError(
                f"all members need the same loss values; '{member.name}' has {sorted(member.values)}"
                f" and '{members[0].name}' has {sorted(keys)}"
            )


def column(numbers: Sequence[float], device: torch.device) -> Tensor | float:
    """(M, 1) in float64; a plain number where all members agree, which lets a formula leave terms out."""
    if all(number == numbers[0] for number in numbers):
        return float(numbers[0])
    return torch.tensor(numbers, dtype=torch.float64, device=device)[:, None]


def rule_spans(members: Sequence[Member]) -> list[tuple[Rule, range]]:
    """Runs of neighbouring members with one rule; sort members by optimiser to keep them few."""
    spans: list[tuple[Rule, range]] = []
    for index, member in enumerate(members):
        if spans and spans[-1][0] is member.rule:
            spans[-1] = (member.rule, range(spans[-1][1].start, index + 1))
        else:
            spans.append((member.rule, range(index, index + 1)))
    return spans

"""Checks of a claim: a number, its noise, and the threshold it is held against; and the verdict they come to.

A check is clear of its threshold if the two-sided 95% interval of its value does not hold the threshold: by Student's t
over the repetitions, for an exact value always. A value whose spread is unknown (noise nan) is never clear.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from shared.artifacts.estimates import Estimate

HOLDS, FAILS, NOISE, NOT_TESTABLE = "holds", "fails", "within noise", "not testable at this scale"
VERDICTS = (HOLDS, FAILS, NOISE, NOT_TESTABLE)
Relation = Literal["at most", "at least", "less than", "greater than", "within"]


@dataclass(frozen=True)
class Check:
    """A number of a claim beside its threshold.

    Args:
        name: what is measured, as a key of claims.json.
        estimate: value with its noise.
        relation: to the threshold.
        threshold: a number, or the interval (low, high) of "within".
        decisive: whether the verdict rests on it.
    """

    name: str
    estimate: Estimate
    relation: Relation
    threshold: float | tuple[float, float]
    decisive: bool = True

    def __post_init__(self) -> None:
        limits = self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)
        for what, value in (("value", self.estimate.value), *(("threshold", limit) for limit in limits)):
            if isinstance(value, str | bool) or value is None or math.isnan(value):
                raise ValueError(f"the {what} of check '{self.name}' is {value!r}; a check needs numbers")

    @property
    def satisfied(self) -> bool:
        """Whether the value itself meets the threshold."""
        return bool(
            self.distance() > 0 or (self.distance() == 0 and self.relation not in ("less than", "greater than"))
        )

    def distance(self) -> float:
        """How far the value lies on the right side of its threshold; negative on the wrong side."""
        value = self.estimate.value
        if self.relation == "within":
            low, high = self.threshold
            return min(_minus(value, low), _minus(high, value))
        gap = _minus(self.threshold, value)
        return gap if self.relation in ("at most", "less than") else -gap

    @property
    def clear(self) -> bool:
        """Whether the value's interval leaves the threshold out."""
        margin = self.estimate.margin()
        return margin == 0 or abs(self.distance()) > margin

    def entry(self) -> dict:
        """The check in claims.json; `margins` is the distance in half widths of the interval, None where exact."""
        margin, noise = self.estimate.margin(), self.estimate.noise
        return {
            "name": self.name,
            "value": rounded(self.estimate.value),
            "relation": self.relation,
            "threshold": [rounded(x) for x in self.threshold] if self.relation == "within" else rounded(self.threshold),
            "noise": None if noise is None else rounded(noise),
            "n": self.estimate.n,
            "half_width": None if noise is None else rounded(margin),
            "standard_errors": rounded(self.distance() / noise) if noise and math.isfinite(noise) else None,
            "satisfied": self.satisfied,
            "clear": self.clear,
            "decisive": self.decisive,
        }


def _minus(a: float, b: float) -> float:
    """a - b; 0 for equal infinities."""
    return 0.0 if a == b else float(a - b)


def _check(
    name: str, value: float | Estimate, relation: Relation, threshold, noise: float | None, decisive: bool
) -> Check:
    estimate = value if isinstance(value, Estimate) else Estimate(_number(name, value), noise)
    if isinstance(value, Estimate) and noise is not None:
        raise ValueError(f"check '{name}' has an estimate and a noise of its own; give one of them")
    return Check(name, estimate, relation, threshold, decisive)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool | np.bool_ | str) or not isinstance(value, int | float | np.number):
        raise ValueError(f"the value of check '{name}' is {value!r}; a check compares numbers (count what is wrong)")
    return float(value)


def at_most(name: str, value: float | Estimate, threshold: float, *, noise=None, decisive: bool = True) -> Check:
    """value <= threshold. `noise`: standard error of a plain number, nan if unknown; None says that it is exact."""
    return _check(name, value, "at most", float(threshold), noise, decisive)


def at_least(name: str, value: float | Estimate, threshold: float, *, noise=None, decisive: bool = True) -> Check:
    """value >= threshold; see `at_most`."""
    return _check(name, value, "at least", float(threshold), noise, decisive)


def less(name: str, value: float | Estimate, threshold: float, *, noise=None, decisive: bool = True) -> Check:
    """value < threshold; see `at_most`."""
    return _check(name, value, "less than", float(threshold), noise, decisive)


def greater(name: str, value: float | Estimate, threshold: float, *, noise=None, decisive: bool = True) -> Check:
    """value > threshold; see `at_most`."""
    return _check(name, value, "greater than", float(threshold), noise, decisive)


def within(name: str, value: float | Estimate, low: float, high: float, *, noise=None, decisive: bool = True) -> Check:
    """low <= value <= high; see `at_most`."""
    return _check(name, value, "within", (float(low), float(high)), noise, decisive)


@dataclass(frozen=True)
class Note:
    """A number or a short text beside the checks; nothing is decided by it."""

    name: str
    value: float | int | str


def note(name: str, value: float | int | str) -> Note:
    """Evidence that decides nothing."""
    return Note(name, value)


@dataclass(frozen=True)
class Untestable:
    """Says that these tables cannot decide the claim."""

    reason: str


def untestable(reason: str) -> Untestable:
    """The claim cannot be decided on these tables; the reason goes into the evidence."""
    return Untestable(reason)


def at_edges(table: pd.DataFrame) -> Iterator[Untestable]:
    """Untestable if a tuned row's best value lies at an edge of its grid: it is a bound, and decides nothing.

    Args:
        table: rows that the claim rests on, named by their first two columns, with a column `edge` (see sweeps.py), or
            `at_edge`, the names of those optima that lie at one.
    """
    column = "at_edge" if "at_edge" in table else "edge"
    found = table[table[column].notna() & ~table[column].isin(["", "inside"])]
    if len(found):
        named = "; ".join(f"{row.iloc[0]}, {row.iloc[1]}: {row[column]}" for _, row in found.iterrows())
        yield untestable(f"the best learning rate lies at an edge of its grid ({named})")


Finding = Check | Note | Untestable


def verdict_of(findings: list[Finding]) -> str:
    """The verdict that the checks come to; see the module."""
    if any(isinstance(item, Untestable) for item in findings):
        return NOT_TESTABLE
    checks = [item for item in findings if isinstance(item, Check) and item.decisive]
    if any(check.clear and not check.satisfied for check in checks):
        return FAILS
    return HOLDS if all(check.clear and check.satisfied for check in checks) else NOISE


def rounded(value: object) -> object:
    """Floats as the tables have them, NumPy's numbers as Python's."""
    if hasattr(value, "item"):
        value = value.item()
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value

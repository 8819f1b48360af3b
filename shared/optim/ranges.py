"""Ranges of hyperparameters, and the list of every optimiser's without torch: what planning checks a sweep by."""

import functools
import json
import math
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shared.base.cache import build_once, cache_dir, sha256_of, short_key
from shared.base.errors import nearest_or_all
from shared.base.paths import repo_root


@dataclass(frozen=True)
class Range:
    """Default, admissible interval and meaning of one hyperparameter; `default=None` means that it must be given.

    `boolean` says that it switches something, 0 off and 1 on: numbers in rules, so that members may differ in it.
    """

    default: float | None
    low: float = 0.0
    high: float = math.inf
    closed_low: bool = True
    closed_high: bool = False
    meaning: str = ""
    boolean: bool = False

    def meant(self, meaning: str) -> "Range":
        """The same range, described otherwise."""
        return replace(self, meaning=meaning)

    def admits(self, value: float) -> bool:
        above = value >= self.low if self.closed_low else value > self.low
        below = value <= self.high if self.closed_high else value < self.high
        return above and below

    def __str__(self) -> str:
        opening, closing = "[" if self.closed_low else "(", "]" if self.closed_high else ")"
        return f"{opening}{self.low:g}, {self.high:g}{closing}"


@functools.cache
def known_ranges() -> dict[str, dict[str, Range]]:
    """Optimiser -> hyperparameter -> its range, of the library's optimisers.

    Rules are written with torch, whose import a plan does not wait for: a process of its own lists them once for each
    state of their sources, into the cache.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    key = short_key(*((path.name, sha256_of(path)) for path in sources))
    path = build_once(cache_dir() / "optimisers" / f"{key}.json", _list_them)
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: {key: Range(**value) for key, value in hyper.items()} for name, hyper in content.items()}


def _list_them(path: Path) -> None:
    ask = (
        "import dataclasses, json, sys; from shared.optim.registry import RULES; json.dump({name: {key:"
        " dataclasses.asdict(value) for key, value in rule.hyper.items()} for name, rule in RULES.items()}, sys.stdout)"
    )
    environment = {**os.environ, "PYTHONPATH": str(repo_root())}
    result = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, encoding="utf-8")
    if result.returncode:
        raise ValueError(f"shared/optim does not import: {result.stderr.strip().splitlines()[-1]}")
    path.write_text(result.stdout, encoding="utf-8")


def check_hyperparameters(optimizer: str, settings: Mapping[str, object], own: Collection[str] = ()) -> None:
    """Refuse what no rule of that name takes, before a job starts; a rule's conditions on several values come then.

    Args:
        optimizer: name of an update rule.
        settings: hyperparameter -> value.
        own: names of rules that the paper registers itself; their ranges are not known here.
    Raises:
        ValueError: unknown optimiser or hyperparameter, a missing one, or a value outside its range.
    """
    known = known_ranges()
    if optimizer in own:
        return
    if optimizer not in known:
        raise ValueError(f"unknown optimiser '{optimizer}'; {nearest_or_all(optimizer, [*known, *own])}")
    ranges = known[optimizer]
    for name, value in settings.items():
        if name not in ranges:
            hint = nearest_or_all(name, ranges)
            raise ValueError(f"unknown hyperparameter '{name}' for optimiser '{optimizer}'; {hint}")
        _check_one(optimizer, name, value, ranges[name])
    for name, limits in ranges.items():
        if limits.default is None and name not in settings:
            raise ValueError(f"optimiser '{optimizer}' needs a value for '{name}' in {limits}; none was given")


def _check_one(optimizer: str, name: str, value: object, limits: Range) -> None:
    try:
        number = float("nan") if isinstance(value, bool) and not limits.boolean else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not limits.admits(number):  # NaN compares false
        raise ValueError(f"{name} of optimiser '{optimizer}' must be a number in {limits}; got {value!r}")

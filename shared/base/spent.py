"""What runs have cost over all of their processes: a run that goes on from a checkpoint counts what led up to it."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spent:
    """CPU seconds of all threads, and seconds of wall time."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.cpu_seconds + other.cpu_seconds, self.wall_seconds + other.wall_seconds)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.cpu_seconds - other.cpu_seconds, self.wall_seconds - other.wall_seconds)


_begun: dict[Path, Spent] = {}  # folder of a run -> this process's clocks when it took the run up
_before: dict[Path, Spent] = {}  # folder of a run -> what other processes had spent on it


def _now() -> Spent:
    return Spent(time.process_time(), time.perf_counter())


def take_up(folder: Path, before: Spent) -> None:
    """This process works on the run in `folder` from here on, for which others have spent `before`."""
    folder = folder.resolve()
    if folder not in _begun:
        _begun[folder], _before[folder] = _now(), before


def spent_on(folder: Path) -> Spent:
    """What the run in `folder` has cost so far."""
    take_up(folder, Spent())
    return _before[folder.resolve()] + _now() - _begun[folder.resolve()]


def spent_before() -> Spent:
    """What other processes had spent on all runs that this one has taken up."""
    return sum(_before.values(), Spent())

"""How a shard is run on this machine: stack size, compilation and processes, from a quick measurement.

Stacking pays where dispatch dominates (few tokens a step), compiling where a run is long enough to earn back the half
minute that it costs, processes where there are cores. Which holds is measured once per shape and machine and kept.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from shared.base.files import write_text
from shared.train.config import TrainingConfig
from shared.train.ensemble import EnsembleRun, EnsembleTask
from shared.train.members import Member

_COMPILE_PAYS = 4.0  # times its own cost that eager training must take before compiling is tried at all
_COMPILE_SECONDS = 60.0  # before it has been measured here
_MIN_SECONDS = 0.3  # of each measurement


@dataclass(frozen=True)
class Execution:
    """stack: members computed together; 1 is one model after another. processes: that share the members."""

    stack: int
    compiled: bool = False
    processes: int = 1


@dataclass(frozen=True)
class Measured:
    """Seconds of one update of one member, and of getting ready (compilation)."""

    seconds: float
    ready_seconds: float = 0.0


def choose_execution(
    task: EnsembleTask,
    members: Sequence[Member],
    config: TrainingConfig,
    *,
    num_cores: int | None = None,
    cache: Path | None = None,
    allow_compile: bool = True,
) -> Execution:
    """The way to run these members that a quick measurement predicts to be fastest.

    Measures eager stacks of 1, 2, 4, ... members, until a larger one is clearly worse; and, if the whole training is
    predicted to take several times as long as compiling, the compiled form of the best two. Seconds for small models.

    Args:
        num_cores: processes that may run; the usable cores if None.
        cache: file of earlier measurements; `default_cache()` if None.
    """
    cores = num_cores or len(os.sched_getaffinity(0))
    processes = max(1, min(cores, len(members)))
    share = -(-len(members) // processes)  # members of one process
    book = _Book(cache or default_cache(), _key(task, members, config))
    eager = _eager(book, task, members, config, share)
    best = min(eager, key=lambda size: eager[size].seconds)
    total = eager[best].seconds * share * config.num_steps
    choice = Execution(best, False, processes)
    if not allow_compile or total < _COMPILE_PAYS * book.compile_seconds():
        return choice
    for size in dict.fromkeys((min(share, max(best, 8)), min(share, 32))):
        found = book.measure(Execution(size, True), lambda size=size: measure(task, members, config, size, True))
        predicted = found.seconds * share * config.num_steps + found.ready_seconds
        if predicted < total:
            total, choice = predicted, Execution(size, True, processes)
    return choice


def _eager(book: "_Book", task, members, config, share: int) -> dict[int, Measured]:
    """Measurements by stack size, doubling until it gets clearly worse or all members of a process are in."""
    found: dict[int, Measured] = {}
    size = 1
    while True:
        found[size] = book.measure(Execution(size), lambda size=size: measure(task, members, config, size, False))
        best = min(m.seconds for m in found.values())
        if size == share or (size > 4 and found[size].seconds > 1.3 * best):
            return found
        size = min(2 * size, share)


def measure(
    task: EnsembleTask, members: Sequence[Member], config: TrainingConfig, stack: int, compiled: bool
) -> Measured:
    """Time updates of one stack of the first members, after a warm-up; the fastest of a few.

    CPU seconds of one thread: on an idle core they are wall seconds, and on a shared one they do not count the others.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        chosen = [replace(member) for member in members[:stack]]
        start = time.perf_counter()
        run = EnsembleRun(task, chosen, config, None, {}, torch.device("cpu"), torch.float32, stack, compiled)
        run.update()
        ready = time.perf_counter() - start if compiled else 0.0
        run.update()
        seconds, spent = [], 0.0
        while spent < _MIN_SECONDS or len(seconds) < 3:
            start = time.process_time()
            run.update()
            seconds.append(time.process_time() - start)
            spent += seconds[-1]
        return Measured(min(seconds) / stack, ready)
    finally:
        torch.set_num_threads(before)


def default_cache() -> Path:
    """Where measurements of this machine are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "paper-artifacts" / "ensemble-speed.json"


class _Book:
    """Measurements of one shape, in a file that holds those of many; a file that cannot be written is no error."""

    def __init__(self, path: Path, key: str):
        self.path, self.key = path, key
        try:
            self.content: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            self.content = {}

    def measure(self, execution: Execution, measured: Any) -> Measured:
        label = f"{'compiled' if execution.compiled else 'eager'} {execution.stack}"
        known = self.content.setdefault(self.key, {})
        if label not in known:
            known[label] = asdict(measured())
            self._save()
        return Measured(**known[label])

    def compile_seconds(self) -> float:
        """Longest compilation seen on this machine."""
        seen = [m["ready_seconds"] for shape in self.content.values() for m in shape.values() if m["ready_seconds"]]
        return max(seen, default=_COMPILE_SECONDS)

    def _save(self) -> None:
        try:
            write_text(self.path, json.dumps(self.content, indent=1, sort_keys=True))
        except OSError:
            return


def _key(task: EnsembleTask, members: Sequence[Member], config: TrainingConfig) -> str:
    """What the speed depends on: shapes of model and batch, rules, machine, version of torch."""
    model = task.build(members[0].seed)
    batch = task.batch(0, range(config.batch_size), members[0].stream_seed)
    described = {
        "task": f"{type(task).__module__}.{type(task).__qualname__}",
        "model": str(model),
        "parameters": [[name, list(p.shape)] for name, p in model.named_parameters()],
        "batch": [[name, list(t.shape), str(t.dtype)] for name, t in batch.items()],
        "rules": sorted({member.optimizer for member in members}),
        "clipped": any(member.clip_norm != float("inf") for member in members),
        "shared": len({member.stream_seed for member in members}) == 1,
        "torch": torch.__version__,
        "machine": [platform.machine(), platform.processor(), _cpu_name(), torch.backends.cpu.get_cpu_capability()],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")

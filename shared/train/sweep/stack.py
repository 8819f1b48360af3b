"""How many runs of a job are computed together, from a quick measurement.

Stacking pays where dispatch dominates (few tokens a step); where there are many, a large stack's activations leave the
cache. Which holds is measured once per shape and machine and kept.
"""

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from shared.base.cache import cache_dir
from shared.base.files import write_text
from shared.train.config import TrainingConfig
from shared.train.ensemble.state import EnsembleRun
from shared.train.loop.runtime import limited_threads
from shared.train.run import Run
from shared.train.task import Task

_MIN_SECONDS = 0.3  # of each measurement
_CLEARLY_WORSE = 1.3  # times the best: a larger stack is not tried


def choose_stack(task: Task, runs: Sequence[Run], config: TrainingConfig, *, cache: Path | None = None) -> int:
    """The number of runs computed together that a quick measurement predicts to be fastest; seconds for small models.

    Measures stacks of 1, 2, 4, ... runs, until a larger one is clearly worse.

    Args:
        cache: file of earlier measurements; one in the cache folder if None.
    """
    path, key = cache or cache_dir() / "ensemble-speed.json", _key(task, runs, config)
    known = _read(path)
    seconds = known.setdefault(key, {})  # stack size as text -> seconds of one update of one run
    size = 1
    while True:
        if str(size) not in seconds:
            seconds[str(size)] = seconds_per_update(task, runs[:size], config)
            write_text(path, json.dumps(known, indent=1, sort_keys=True))
        best = min(seconds.values())
        if size == len(runs) or (size > 4 and seconds[str(size)] > _CLEARLY_WORSE * best):
            break
        size = min(2 * size, len(runs))
    fits = {int(text): value for text, value in seconds.items() if int(text) <= len(runs)}
    return min(fits, key=fits.__getitem__)


def seconds_per_update(task: Task, runs: Sequence[Run], config: TrainingConfig) -> float:
    """Seconds of one update of one run when all of `runs` are one stack, after a warm-up; the fastest of a few.

    CPU seconds of one thread: on an idle core they are wall seconds, and on a shared one they do not count the others.
    """
    with limited_threads(1):
        ensemble = EnsembleRun(task, runs, config)
        ensemble.update()
        taken: list[float] = []
        while sum(taken) < _MIN_SECONDS or len(taken) < 3:
            start = time.process_time()
            ensemble.update()
            taken.append(time.process_time() - start)
    return min(taken) / len(runs)


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or written by another version
        return {}


def _key(task: Task, runs: Sequence[Run], config: TrainingConfig) -> str:
    """What the speed depends on: shapes of model and batch, rules, machine, version of torch."""
    first = runs[0]
    model, batch = task.build(first.seed), task.batch(0, range(first.batch_size), first.stream_seed)
    described = {
        "task": f"{type(task).__module__}.{type(task).__qualname__}",
        "model": str(model),
        "parameters": [[name, list(p.shape)] for name, p in model.named_parameters()],
        "batch": [[name, list(t.shape), str(t.dtype)] for name, t in batch.items()],
        "rules": sorted({run.optimizer for run in runs}),
        "clipped": any(run.clip_norm is not None for run in runs),
        "shared": len({run.stream_seed for run in runs}) == 1,
        "precision": config.precision,
        "torch": torch.__version__,
        "machine": [platform.machine(), platform.processor(), _cpu_name(), torch.backends.cpu.get_cpu_capability()],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")

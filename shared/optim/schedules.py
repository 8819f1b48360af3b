"""Learning-rate schedules: pure functions of the step that return a multiplier of the peak learning rate.

`step` counts finished updates: the first update of a run has step 0, the last one step num_steps - 1.

Warm-up: update `step` uses (step + 1) / warmup_steps, so the first update is not wasted on a learning rate of 0 and
update warmup_steps - 1 is the first one at the peak. warmup_steps = 0 starts at the peak.

Decay: progress is (step - warmup_steps) / (num_steps - warmup_steps). It is 0 (the peak) at step = warmup_steps and
would be 1 (the floor) at step = num_steps, one past the last update; so a floor of 0 wastes no update either. Steps
beyond num_steps stay at the floor.

A schedule holds no state: `make_schedule(...)` returns a callable that fits `torch.optim.lr_scheduler.LambdaLR`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

Schedule = Callable[[int], float]
ScheduleName = Literal["constant", "cosine", "linear", "wsd", "stages"]


def constant(step: int, *, warmup_steps: int = 0) -> float:
    """Warm-up, then 1 for ever."""
    return _warmup(step, warmup_steps)


def cosine(step: int, *, num_steps: int, warmup_steps: int = 0, floor: float = 0.0) -> float:
    """Warm-up, then half a cosine from 1 to `floor`: floor + (1 - floor) (1 + cos(pi progress)) / 2.

    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), eq. 5 without restarts.
    """
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    progress = _progress(step, warmup_steps, num_steps)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def linear(step: int, *, num_steps: int, warmup_steps: int = 0, floor: float = 0.0) -> float:
    """Warm-up, then a straight line from 1 to `floor`."""
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    return floor + (1.0 - floor) * (1.0 - _progress(step, warmup_steps, num_steps))


def warmup_stable_decay(
    step: int, *, num_steps: int, decay_steps: int, warmup_steps: int = 0, floor: float = 0.0
) -> float:
    """Warm-up, 1 until step num_steps - decay_steps, then a straight line to `floor`.

    Source: Hu et al. 2024 (arXiv 2404.06395), section 4; they leave the decay's form open, ours is linear.
    """
    decay_starts = num_steps - decay_steps
    if step < decay_starts:
        return _warmup(step, warmup_steps)
    return floor + (1.0 - floor) * (1.0 - _progress(step, decay_starts, num_steps))


def stages(step: int, *, num_steps: int, warmup_steps: int = 0, num_stages: int = 3, factor: float = 0.1) -> float:
    """Warm-up, then `num_stages` equal parts of the whole run, each at `factor` times the one before.

    Source: He et al. 2016 (arXiv 1512.03385); three stages of a tenth are their 90 epochs with a step every 30.
    """
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    return factor ** min(step * num_stages // num_steps, num_stages - 1)


def make_schedule(
    name: ScheduleName,
    *,
    num_steps: int,
    warmup_steps: int = 0,
    floor: float = 0.0,
    decay_steps: int = 0,
) -> Schedule:
    """The named schedule as a callable of the step alone.

    Args:
        name: "constant", "cosine", "linear", "wsd" (warm-up, stable, decay) or "stages" (three, of a tenth each).
        num_steps: updates in the whole run.
        warmup_steps: updates in the warm-up; 0 for none.
        floor: multiplier that the decay ends at, in [0, 1]; for an absolute floor give min_lr / peak_lr.
        decay_steps: length of the final decay; "wsd" needs it, the others must leave it at 0.
    Returns:
        A callable step -> multiplier in [0, 1]; it can be pickled and holds no state.
    Raises:
        ValueError: an unknown name, a step count or a floor out of range.
    """
    _check(name, num_steps, warmup_steps, floor, decay_steps)
    if name == "constant":
        return partial(constant, warmup_steps=warmup_steps)
    if name == "stages":
        return partial(stages, num_steps=num_steps, warmup_steps=warmup_steps)
    common = {"num_steps": num_steps, "warmup_steps": warmup_steps, "floor": floor}
    if name == "cosine":
        return partial(cosine, **common)
    if name == "linear":
        return partial(linear, **common)
    return partial(warmup_stable_decay, decay_steps=decay_steps, **common)


def _warmup(step: int, warmup_steps: int) -> float:
    return (step + 1) / warmup_steps if step < warmup_steps else 1.0


def _progress(step: int, start: int, end: int) -> float:
    """Share of the decay from `start` to `end` that lies behind `step`, in [0, 1]."""
    return 1.0 if step >= end else (step - start) / (end - start)


def _check(name: str, num_steps: int, warmup_steps: int, floor: float, decay_steps: int) -> None:
    if name not in get_args(ScheduleName):
        raise ValueError(f"unknown schedule {name!r}; the schedules are {', '.join(get_args(ScheduleName))}")
    if num_steps < 1:
        raise ValueError(f"a schedule needs num_steps of at least 1; got {num_steps}")
    if not 0 <= warmup_steps <= num_steps:
        raise ValueError(f"warmup_steps must lie between 0 and num_steps = {num_steps}; got {warmup_steps}")
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"the floor is a share of the peak learning rate, so it lies in [0, 1]; got {floor}")
    if name in ("constant", "stages") and floor != 0.0:
        raise ValueError(f"schedule {name!r} does not decay to a floor, so it takes none; got {floor}")
    if name == "wsd" and not 1 <= decay_steps <= num_steps - warmup_steps:
        raise ValueError(
            f"schedule 'wsd' needs decay_steps between 1 and num_steps - warmup_steps = {num_steps - warmup_steps};"
            f" got {decay_steps}"
        )
    if name != "wsd" and decay_steps != 0:
        raise ValueError(f"decay_steps belongs to schedule 'wsd'; leave it at 0 for {name!r} (got {decay_steps})")

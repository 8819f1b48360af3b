"""Cut a sweep into jobs: the packer of the workflow, and therefore of the plan; imports without torch."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.base.errors import nearest_or_all
from shared.base.settings import in_words
from shared.optim.ranges import check_hyperparameters
from shared.train.run import Run
from shared.train.sweep.config import SweepConfig, expand
from shared.train.sweep.shard import SweepSettings, SweepShard

Shard = TypeVar("Shard", bound=SweepShard)


def sweep_shards(
    kind: type[Shard], settings: SweepSettings, sweep: SweepConfig, *, name: str, max_members: int = 64, **extra: Any
) -> dict[str, Shard]:
    """Shard name -> what its job reads; each shard holds runs of one shape.

    Runs that differ in nothing but their seed and the hyperparameters that may be widened stay in one shard, since a
    job that widens a grid has to see all of it; with `max_members` 1 each run is a job of its own, and no grid can be
    widened.

    Args:
        kind: the shard's model, fed the fields of `settings`, `sweep` (its name), `runs` and `extra`.
        name: of the sweep; shards are called after it, and after their batch size where there are several shapes.
    Raises:
        ValueError: a cell that has more runs than `max_members`; a name to widen that no run has; a run with an
            optimiser, a hyperparameter, a model or a schedule that there is not.
    """
    runs = list(expand(sweep))
    _check_runs(settings, runs, kind.own_rules, name)
    _check_widening(settings, runs, max_members)
    shapes: dict[tuple, list[Run]] = {}
    for run in runs:
        shapes.setdefault(run.shape, []).append(run)
    packed: list[tuple[str, list[Run]]] = []
    for members in shapes.values():
        label = f"{name}-b{members[0].batch_size}" if len(shapes) > 1 else name
        cells = [[run] for run in members] if max_members == 1 else cells_of(members, settings.widen)
        packed += [(label, job) for job in _packed(cells, max_members)]
    first = kind(**{**settings.model_dump(), **extra, "sweep": name, "runs": packed[0][1]})  # checked once: the others
    numbers: Counter[str] = Counter()  # differ in their runs alone
    found: dict[str, Shard] = {}
    for label, job in packed:
        found[f"{label}-{numbers[label]:02d}"] = first.model_copy(update={"runs": tuple(job)})
        numbers[label] += 1
    return found


def _check_runs(settings: SweepSettings, runs: Sequence[Run], own_rules: Sequence[str], name: str) -> None:
    """ValueError for a run that could not start; it names the run."""
    models: dict[str, Run] = {}
    methods: dict[str, Run] = {}  # seeds share what is checked
    for run in runs:
        models.setdefault(repr(run.model), run)
        methods.setdefault(repr((run.optimizer, run.settings, run.num_steps)), run)
    for run in methods.values():
        try:
            check_hyperparameters(run.optimizer, run.settings, own_rules)
            if "lr" in run.settings:
                settings.training_for(run).lr_multiplier(run)
        except ValueError as error:
            raise ValueError(f"run '{run.name}' of sweep '{name}': {error}") from None
    for run in models.values():
        try:
            settings.model_cost(run.model)
        except ValidationError as error:
            raise ValueError(f"run '{run.name}' of sweep '{name}': model: {in_words(error)}") from None


def _check_widening(settings: SweepSettings, runs: Sequence[Run], max_members: int) -> None:
    if not settings.extensions:
        return
    if max_members == 1:
        raise ValueError("extensions need all values of a grid in one job; raise max_members or set extensions: 0")
    known = {name for run in runs for name in run.settings}
    for name in settings.widen:
        if name not in known:
            raise ValueError(
                f"no run of the sweep has the hyperparameter '{name}' to widen; {nearest_or_all(name, known)}"
            )


def cells_of(runs: Sequence[Run], widen: Sequence[str]) -> list[list[Run]]:
    """Runs that agree in all but their seed and the hyperparameters `widen`, in order of first appearance."""
    cells: dict[tuple, list[Run]] = {}
    for run in runs:
        settings = tuple(sorted((name, value) for name, value in run.settings.items() if name not in widen))
        others = (run.data_seed, run.clip_norm, run.noise_scale, tuple(sorted(run.values.items())), run.shape)
        cells.setdefault((run.optimizer, settings, *others), []).append(run)
    return list(cells.values())


def _packed(cells: Sequence[list[Run]], max_members: int) -> list[list[Run]]:
    """Whole cells in order, in as few lists of at most `max_members` as that allows, of nearly equal length."""
    largest = max(len(cell) for cell in cells)
    if largest > max_members:
        raise ValueError(
            f"one cell has {largest} runs (its seeds and the values of grids that may be widened), and a job may have"
            f" {max_members}; raise max_members"
        )
    total = sum(len(cell) for cell in cells)
    target = math.ceil(total / math.ceil(total / max_members))
    packed: list[list[Run]] = [[]]
    for cell in cells:
        if packed[-1] and len(packed[-1]) + len(cell) > max(target, largest):
            packed.append([])
        packed[-1] += cell
    return packed

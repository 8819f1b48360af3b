"""What one job of a sweep does: train its runs, widen grids, return one tidy table; of any task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from shared.train.checkpoint import run_folder
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit
from shared.train.rules import columns_of
from shared.train.run import Run
from shared.train.sweep.shard import SweepSettings, SweepShard
from shared.train.sweep.stack import choose_stack
from shared.train.sweep.widening import follow_best
from shared.train.task import Task

if TYPE_CHECKING:
    import pandas as pd

_NOT_DEFINING = {
    "runs",
    "sweep",
    "extensions",
    "widen",
    "fresh_seeds",
    "metric",
    "stack",
}  # of a shard: the runs compute the same


@dataclass(frozen=True)
class SweepOutcome:
    """table: one row per run and logged step (`columns_of` its run, then what was logged).

    states: final parameters by name of the run. provenance: what varies between equal jobs.
    """

    table: "pd.DataFrame"
    states: dict[str, dict[str, Tensor]]
    provenance: dict[str, Any]


def train_shard(
    shard: SweepShard,
    task: Task,
    *,
    checkpoint_dir: Path | None = None,
    num_threads: int = 1,
    title: str | None = None,
    progress: bool = True,
) -> SweepOutcome:
    """Train the runs of a shard; a killed call resumes from `checkpoint_dir`.

    They are one ensemble, or go through the training loop one after another: where the shard says `alone`, and where a
    single run has GPUs (several processes, mixed precision). Where the best value of a grid in `shard.widen` lies at
    its end, runs beyond that end are added, up to `shard.extensions` times; then the best point of every cell is
    trained on each of `shard.fresh_seeds`, where the column `fresh` is true.
    """
    title = shard.sweep if title is None else title
    states, provenance = {}, {}

    def train(pending: Sequence[Run], name: str) -> "pd.DataFrame":
        alone = shard.alone or (shard.num_gpus > 0 and len(pending) == 1)
        how = {"parent": checkpoint_dir, "name": name, "num_threads": num_threads, "progress": progress}
        trained = (_train_alone if alone else _train_together)(shard, task, pending, title=f"{title} {name}", **how)
        states.update(trained.states)
        provenance[name] = trained.provenance
        return trained.table

    table = follow_best(train, shard.runs, shard.extensions, shard.fresh_seeds, widen=shard.widen, metric=shard.metric)
    return SweepOutcome(table, states, provenance)


def _train_together(
    shard: SweepShard,
    task: Task,
    runs: Sequence[Run],
    *,
    parent: Path | None,
    name: str,
    num_threads: int,
    **shown: Any,
) -> SweepOutcome:
    training, stack = shard.training_for(runs[0]), shard.stack
    if stack is None and not shard.num_gpus:
        stack = choose_stack(task, runs, training)
    result = train_ensemble(
        task,
        runs,
        training,
        checkpoint_dir=_folder(parent, name, shard, runs),
        settings=_defining(shard),
        stack=None if stack is None else min(stack, len(runs)),
        device=_device(shard),
        num_threads=num_threads,
        **shown,
    )
    diverged = dict(zip([run.name for run in runs], result.diverged, strict=True))
    rows = {run.name: columns_of(run) | {"diverged": diverged[run.name]} for run in runs}
    table = _frame([rows[row["run"]] | _measured(row) for row in result.rows])
    states = {run.name: state for run, state in zip(runs, result.states, strict=True)}
    return SweepOutcome(table, states, result.provenance)


def _train_alone(
    shard: SweepShard, task: Task, runs: Sequence[Run], *, parent: Path | None, name: str, title: str, **options: Any
) -> SweepOutcome:
    rows, states, provenance = [], {}, {}
    for run in runs:
        result = fit(
            task,
            run,
            shard.training_for(run),
            checkpoint_dir=_folder(parent, name, shard, [run]),
            settings=_defining(shard),
            device=_device(shard),
            title=title if len(runs) == 1 else f"{title} {run.name}",
            **options,
        )
        columns = columns_of(run) | {"diverged": result.diverged}
        rows += [columns | _measured(row) for row in result.rows]
        states[run.name] = {key: tensor.detach().cpu() for key, tensor in result.model.state_dict().items()}
        provenance[run.name] = result.provenance
    return SweepOutcome(_frame(rows), states, next(iter(provenance.values())) if len(runs) == 1 else provenance)


def _measured(row: dict[str, Any]) -> dict[str, Any]:
    """What a logged row adds to the columns of its run; the column `lr` is the peak."""
    return {name: value for name, value in row.items() if name not in ("run", "lr")}


def _frame(rows: list[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(rows)


def _device(shard: SweepShard) -> str:
    return "cuda" if shard.num_gpus else "cpu"


def _defining(shard: SweepShard) -> dict[str, Any]:
    """The task's own settings: what a checkpoint must agree with, apart from runs and their training."""
    return shard.model_dump(mode="json", exclude=set(SweepSettings.model_fields) | {"sweep", "runs"})


def _folder(parent: Path | None, name: str, shard: SweepShard, runs: Sequence[Run]) -> Path | None:
    if parent is None:
        return None
    settings = shard.model_dump(mode="json", exclude=_NOT_DEFINING)
    return run_folder(parent, name, settings | {"runs": [columns_of(run) for run in runs]})

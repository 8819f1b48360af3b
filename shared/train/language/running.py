"""What one job of a language-model sweep does: train its runs, widen learning-rate grids, return one tidy table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from shared.optim.registry import build_optimizer
from shared.train.checkpoint import run_folder
from shared.train.ensemble import train_ensemble
from shared.train.language.config import LanguageShard, grouped_by_cell, widened
from shared.train.language.task import LanguageTask, SingleRun
from shared.train.loop import fit
from shared.train.optimizer import decay_groups
from shared.train.sweep.config import Run
from shared.train.sweep.execution import choose_execution
from shared.train.sweep.running import to_member

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SweepOutcome:
    """table: one row per run and logged step (`columns_of` its run, then what was logged).

    states: final parameters by name of the run. provenance: what varies between equal jobs, by ensemble.
    """

    table: "pd.DataFrame"
    states: dict[str, dict[str, Tensor]]
    provenance: dict[str, Any]


def train_language_shard(
    shard: LanguageShard,
    *,
    checkpoint_dir: Path | None = None,
    make_task: Callable[[LanguageShard, dict[str, Any], int], LanguageTask] = LanguageTask,
    num_threads: int = 1,
    title: str = "sweep",
    progress: bool = True,
) -> SweepOutcome:
    """Train the runs of a shard; a killed call resumes from `checkpoint_dir`.

    On a CPU, or with several runs on a GPU, they are one ensemble; a single run on GPUs goes through the training loop
    (several processes, mixed precision). Where the best learning rate of a cell lies at an end of its grid, one more
    beyond that end is trained, up to `shard.extensions` times.
    """
    import pandas as pd

    first = shard.runs[0]
    task = make_task(shard, dict(first.model), first.batch_size)
    runs, pending, frames, states, provenance = list(shard.runs), list(shard.runs), [], {}, {}
    for attempt in range(shard.extensions + 1):
        name = "runs" if attempt == 0 else f"extension-{attempt}"
        folder = None if checkpoint_dir is None else _folder(checkpoint_dir, name, shard, pending)
        trained = _train(task, shard, pending, folder, num_threads, f"{title} {name}", progress)
        frames.append(trained.table.assign(extension=attempt))
        states |= trained.states
        provenance[name] = trained.provenance
        pending = [] if attempt == shard.extensions else beyond_the_edges(runs, pd.concat(frames))
        runs += pending
        if not pending:
            break
    return SweepOutcome(pd.concat(frames, ignore_index=True), states, provenance)


def beyond_the_edges(runs: Sequence[Run], table: "pd.DataFrame", metric: str = "val_loss") -> list[Run]:
    """Runs that widen each grid whose best seed-mean lies at an end; diverged runs count as infinitely bad.

    A cell whose every run diverged is widened towards smaller learning rates.
    """
    final = table[table.phase == "eval"].groupby("run", sort=False)[metric].last()
    diverged = table.groupby("run")["diverged"].first()
    added = []
    for cell in grouped_by_cell(runs):
        rates = sorted({float(run.settings["lr"]) for run in cell})
        if len(rates) < 2:
            continue
        means = []
        for lr in rates:
            names = [run.name for run in cell if run.settings["lr"] == lr]
            values = [math.inf if diverged[n] or not math.isfinite(final.get(n, math.inf)) else final[n] for n in names]
            means.append(sum(values) / len(values))
        best = means.index(min(means))
        if best in (0, len(rates) - 1):
            added += widened(cell, low=best == 0)
    return added


def columns_of(run: Run) -> dict[str, Any]:
    """A run's settings as columns: name, shape, `lr`, the optimiser's hyperparameters, member and model values."""
    member = to_member(run)
    shape = {"batch_size": run.batch_size, "num_steps": run.num_steps, "num_tokens": run.num_tokens}
    return {"run": run.name, **shape, **member.columns(), **{f"model_{k}": v for k, v in run.model.items()}}


def _train(
    task: LanguageTask,
    shard: LanguageShard,
    runs: list[Run],
    folder: Path | None,
    threads: int,
    title: str,
    progress: bool,
) -> SweepOutcome:
    if shard.num_gpus and len(runs) == 1:
        return train_alone(task, shard, runs[0], folder, title, progress)
    training = shard.training_for(runs[0])
    members = [to_member(run) for run in runs]
    stack = shard.stack
    if stack is None and not shard.num_gpus:
        stack = choose_execution(task, members, training, num_cores=1, allow_compile=False).stack
    result = train_ensemble(
        task,
        members,
        training,
        checkpoint_dir=folder,
        settings=_defining(shard),
        stack=None if stack is None else min(stack, len(members)),
        device="cuda" if shard.num_gpus else "cpu",
        num_threads=threads,
        title=title,
        progress=progress,
    )
    by_name = {run.name: columns_of(run) for run in runs}
    diverged = dict(zip([m.name for m in members], result.diverged, strict=True))
    rows = [
        {
            **by_name[row["member"]],
            "diverged": diverged[row["member"]],
            **{k: v for k, v in row.items() if k not in ("member", "lr")},
        }
        for row in result.rows
    ]
    states = {member.name: state for member, state in zip(members, result.states, strict=True)}
    return SweepOutcome(_frame(rows), states, result.provenance)


def train_alone(
    task: LanguageTask,
    shard: LanguageShard,
    run: Run,
    folder: Path | None,
    title: str,
    progress: bool,
    device: str = "cuda",
) -> SweepOutcome:
    """One run through the training loop, with the torch form of its optimiser."""
    member = to_member(run)
    if member.noise_scale:
        raise ValueError(f"'{run.name}' adds gradient noise, which only ensembles do; put more runs into its job")
    model = task.build(member.seed)
    clip = None if math.isinf(member.clip_norm) else member.clip_norm
    training = shard.training_for(run).model_copy(
        update={"lr": member.settings["lr"], "clip_grad_norm": clip, "seed": member.stream_seed}
    )
    settings = dict(member.settings)
    groups = decay_groups(model, float(settings.pop("weight_decay", 0.0)), training.weight_decay_on)
    optimizer = build_optimizer(run.optimizer, groups, **settings)
    result = fit(
        model,
        SingleRun(task, member.stream_seed),
        training,
        checkpoint_dir=folder,
        optimizer=optimizer,
        settings=_defining(shard) | {"run": run.name},
        device=device,
        title=title,
        progress=progress,
    )
    columns = columns_of(run)
    rows = [
        {**columns, "diverged": result.diverged, **{k: v for k, v in row.items() if k != "lr"}} for row in result.rows
    ]
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return SweepOutcome(_frame(rows), {run.name: state}, result.provenance)


def _frame(rows: list[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(rows)


def _defining(shard: LanguageShard) -> dict[str, Any]:
    """What a checkpoint must agree with, apart from members and lengths."""
    return shard.model_dump(
        mode="json", include={"text", "vocab_size", "seq_len", "backbone", "tie_embeddings", "embedding_std"}
    )


def _folder(parent: Path, name: str, shard: LanguageShard, runs: Sequence[Run]) -> Path:
    settings = shard.model_dump(mode="json", exclude={"runs", "extensions", "stack"})
    return run_folder(parent, name, settings | {"runs": [columns_of(run) | {"member": None} for run in runs]})

"""Step: train the models of one shard, all seeds of a model as one program, and measure them.

python -m papers.fixed_point_rnn.train --scale cpu --shard dial-0
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from torch import Tensor

from papers.fixed_point_rnn.config import TrainShard
from papers.fixed_point_rnn.evaluate import by_cap, by_length, parallel_and_sequential
from papers.fixed_point_rnn.network import SequenceModel
from papers.fixed_point_rnn.settings import Entry, Study
from papers.fixed_point_rnn.tasks import SequenceTask, Source, source_of
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.models.mixers.base import count_parameters
from shared.train.checkpoint import run_folder
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit
from shared.train.run import Run
from shared.train.sweep.widening import follow_best

UNMAPPED = ("lstm", "gru")  # torch's kernels of these have no batching rule: their seeds train one after another


class Trained(NamedTuple):
    """All runs of one model: rows logged while training, final states by name of the run, seconds per update and run.

    table: a row per run and logged window, with phase, lr, seed, diverged, fresh: whether the seed is one that judges.
    """

    table: pd.DataFrame
    states: dict[str, dict[str, Tensor]]
    update_seconds: float


def runs_of(study: Study, entry: Entry) -> list[Run]:
    """A run per seed; with several learning rates one per rate and tuning seed."""
    decay = {"weight_decay": study.weight_decay, "beta1": study.betas[0], "beta2": study.betas[1]}
    lengths = {"batch_size": study.batch_size, "num_steps": study.num_steps, "seq_len": study.task.train_len}
    common = {"optimizer": "adamw", "clip_norm": study.clip_norm, **lengths}
    seeds = study.seeds if len(study.lrs) == 1 else study.tuning_seeds
    return [
        Run(name=f"{entry.name} lr={lr:g} seed={seed}", seed=seed, settings=decay | {"lr": lr}, **common)
        for lr in study.lrs
        for seed in seeds
    ]


def train_entry(study: Study, entry: Entry, task: SequenceTask, checkpoints: Path, **options: Any) -> Trained:
    """Train a model at every learning rate on the tuning seeds, then at its best one on the seeds that judge."""
    unused = {"models", "reference", "seeds", "evaluation", "models_per_shard", "lrs", "tuning_seeds", "extensions"}
    described = {"study": study.model_dump(mode="json", exclude=unused), "entry": entry.model_dump()}
    states, seconds = {}, []

    def train(runs: Sequence[Run], name: str) -> pd.DataFrame:
        # a program iterates until its slowest member stops: runs of one rate, which need about as many, share one
        groups = [list(own) for _, own in groupby(runs, key=lambda run: run.lr)]
        trained = [_train_runs(study, entry, task, own, checkpoints, settings=described, **options) for own in groups]
        found = [result for results, _ in trained for result in results]
        seconds.append(sum(took for _, took in trained) / (len(runs) * study.num_steps))
        states.update({run.name: result.state for run, result in zip(runs, found, strict=True)})
        return pd.concat([_rows(run, result) for run, result in zip(runs, found, strict=True)])

    tuned = len(study.lrs) > 1
    fresh, extensions = (study.seeds, study.extensions) if tuned else ((), 0)
    table = follow_best(train, runs_of(study, entry), extensions, fresh, metric="loss")
    return Trained(table if tuned else table.assign(fresh=True), states, seconds[-1])


class _Result(NamedTuple):
    """Of one run."""

    state: dict[str, Tensor]
    rows: list[dict[str, Any]]
    diverged: bool


def _train_runs(
    study: Study, entry: Entry, task: SequenceTask, runs: Sequence[Run], checkpoints: Path, **options: Any
) -> tuple[list[_Result], float]:
    """The runs as one program, or one after another where the model cannot be stacked; seconds of all."""
    if study.stacked and entry.model.baseline.get("name") not in UNMAPPED:
        named = {"settings": options["settings"], "runs": [run.name for run in runs]}
        folder = run_folder(checkpoints, entry.name, named)
        found = train_ensemble(task, runs, study.training, checkpoint_dir=folder, title=entry.name, **options)
        rows = {run.name: [row for row in found.rows if row["run"] == run.name] for run in runs}
        each = zip(found.states, rows.values(), found.diverged, strict=True)
        return [_Result(*one) for one in each], found.provenance["wall_seconds"]
    results, seconds = [], 0.0
    for run in runs:
        folder = run_folder(checkpoints, run.name, options["settings"])
        fitted = fit(task, run, study.training, checkpoint_dir=folder, **options)
        state = {name: v.cpu() for name, v in fitted.model.state_dict().items()}
        results.append(_Result(state, fitted.rows, fitted.diverged))
        seconds += fitted.provenance["wall_seconds"]
    return results, seconds


def _rows(run: Run, result: _Result) -> pd.DataFrame:
    """The logged rows of a run, and one of phase eval: batches are fresh, so the last window's loss evaluates it."""
    logged = [row for row in result.rows if row["phase"] == "train"]
    last = {"phase": "eval", "loss": logged[-1]["loss"] if logged else float("nan")}
    own = {"run": run.name, "seed": run.seed, "lr": run.lr, "diverged": result.diverged}
    return pd.DataFrame([row | own for row in [*logged, last]])


def measured(name: str, model: SequenceModel, source: Source, study: Study) -> dict[str, list[dict]]:
    """Part of the record -> rows of one trained model."""
    found = {"lengths": list(by_length(model, source, study.evaluation))}
    found["caps"] = list(by_cap(model, source, study.evaluation))
    if name in study.evaluation.sequential:
        found["sequential"] = list(parallel_and_sequential(model, source, study.evaluation))
    return found


@step
def train(settings: TrainShard, device: str, threads: int, checkpoints: Path, provenance: Provenance) -> dict:
    """Train and measure the models of one shard."""
    parts: dict[str, list[dict]] = {}
    study, source = settings.study, source_of(settings.study.task)
    for entry in settings.entries:
        task = SequenceTask(study, entry, source)
        trained = train_entry(study, entry, task, checkpoints, device=device, num_threads=threads)
        model_key = {"study": settings.name, "model": entry.name, "l_max": entry.model.solver.l_max}
        for _, rows in trained.table.groupby("run", sort=False):
            own = {"lr": float(rows.lr.iloc[0]), "diverged": bool(rows.diverged.iloc[0])}
            own["train_loss"] = float(rows.loss[rows.phase == "eval"].iloc[0])
            key = model_key | {"seed": int(rows.seed.iloc[0])}
            if not rows.fresh.iloc[0]:
                parts.setdefault("tuning", []).append(key | own)
                continue
            model = task.build(key["seed"])
            model.load_state_dict(trained.states[rows.run.iloc[0]], strict=False)
            model = model.to(device).eval()
            curve = rows[rows.phase == "train"]
            own |= {"num_params": count_parameters(model), "num_layers": entry.model.num_layers}
            own |= {"scans": _scans(curve, entry.model.num_layers), "update_seconds": trained.update_seconds}
            found = {"runs": [own], "curves": list(_curves(curve)), **measured(entry.name, model, source, study)}
            for part, measurements in found.items():
                parts.setdefault(part, []).extend(key | row for row in measurements)
    return {part: rows for part, rows in parts.items() if rows}


def _counts(curve: pd.DataFrame) -> pd.DataFrame:
    """Iterations of every layer, a column each."""
    return curve.filter(like="iterations_").dropna(axis=1, how="all")


def _curves(curve: pd.DataFrame) -> Iterator[dict]:
    """A row per logged window and layer that iterates."""
    for layer, name in enumerate(_counts(curve)):
        for step_, count, loss in zip(curve.step, curve[name], curve.loss, strict=True):
            yield {"step": int(step_), "layer": layer, "iterations": count, "loss": loss}


def _scans(curve: pd.DataFrame, num_layers: int) -> float:
    """Scans over time of a mean update: evaluations of each layer's map, summed; of the logged windows.

    A layer without an iteration is one scan.
    """
    sums = _counts(curve).sum(axis=1)
    return float(sums.mean()) if sums.any() else float(num_layers)


if __name__ == "__main__":
    train.main()

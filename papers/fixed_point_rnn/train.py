"""Step: train the models of one shard, all seeds of a model as one program, and measure them.

python -m papers.fixed_point_rnn.train --scale cpu --shard dial-0
"""

from pathlib import Path

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

UNMAPPED = ("lstm", "gru")  # torch's kernels of these have no batching rule: their seeds train one after another


def runs_of(study: Study, entry: Entry) -> list[Run]:
    """A run per seed."""
    settings = {"lr": study.lr, "weight_decay": study.weight_decay, "beta1": study.betas[0], "beta2": study.betas[1]}
    lengths = {"batch_size": study.batch_size, "num_steps": study.num_steps, "seq_len": study.task.train_len}
    common = {"optimizer": "adamw", "settings": settings, "clip_norm": study.clip_norm, **lengths}
    return [Run(name=f"{entry.name} seed {seed}", seed=seed, **common) for seed in study.seeds]


def train_entry(study: Study, entry: Entry, source: Source, checkpoints: Path, device: str, threads: int):
    """The task, trained states by seed, logged rows by seed, whether each diverged, seconds per update and seed."""
    task, runs = SequenceTask(study, entry, source), runs_of(study, entry)
    own = study.model_dump(mode="json", exclude={"models", "seeds", "evaluation", "models_per_shard"})
    described = {"study": own, "entry": entry.model_dump()}
    options = {"settings": described, "device": device, "num_threads": threads}
    if study.stacked and entry.model.baseline.get("name") not in UNMAPPED:
        folder = run_folder(checkpoints, entry.name, described)
        found = train_ensemble(task, runs, study.training, checkpoint_dir=folder, title=entry.name, **options)
        states, diverged, rows = found.states, found.diverged, found.rows
        seconds = found.provenance["wall_seconds"]
    else:
        fitted = []
        for run in runs:
            folder = run_folder(checkpoints, run.name, described)
            fitted.append(fit(task, run, study.training, checkpoint_dir=folder, **options))
        states = [{name: v.cpu() for name, v in result.model.state_dict().items()} for result in fitted]
        diverged = [result.diverged for result in fitted]
        rows = [{"run": run.name, **row} for run, result in zip(runs, fitted, strict=True) for row in result.rows]
        seconds = sum(result.provenance["wall_seconds"] for result in fitted)
    logged = {seed: [r for r in rows if r["run"] == run.name] for seed, run in zip(study.seeds, runs, strict=True)}
    return task, dict(zip(study.seeds, states, strict=True)), logged, diverged, seconds / (len(runs) * study.num_steps)


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
    parts: dict[str, list[dict]] = {"runs": [], "curves": [], "lengths": [], "caps": [], "sequential": []}
    study, source = settings.study, source_of(settings.study.task)
    for entry in settings.entries:
        task, states, logged, diverged, seconds = train_entry(study, entry, source, checkpoints, device, threads)
        for (seed, state), gone in zip(states.items(), diverged, strict=True):
            model = task.build(seed)
            model.load_state_dict(state, strict=False)
            model = model.to(device).eval()
            key = {"study": settings.name, "model": entry.name, "l_max": entry.model.solver.l_max, "seed": seed}
            curve = [row for row in logged[seed] if row["phase"] == "train"]
            last = curve[-1] if curve else {}
            own = {"num_params": count_parameters(model), "num_layers": entry.model.num_layers, "diverged": gone}
            own |= {"train_loss": last.get("loss", float("nan")), "scans": _scans(curve, entry.model.num_layers)}
            parts["runs"].append(key | own | {"update_seconds": seconds})
            for row in curve:
                counts = [v for k, v in row.items() if k.startswith("iterations_")]
                for layer, count in enumerate(counts):
                    parts["curves"].append(
                        key | {"step": row["step"], "layer": layer, "iterations": count, "loss": row["loss"]}
                    )
            for part, rows in measured(entry.name, model, source, study).items():
                parts[part] += [key | row for row in rows]
    return {part: rows for part, rows in parts.items() if rows}


def _scans(curve: list[dict], num_layers: int) -> float:
    """Scans over time of a mean update: evaluations of each layer's map, summed; of the logged windows.

    A layer without an iteration is one scan.
    """
    sums = [sum(v for k, v in row.items() if k.startswith("iterations_")) for row in curve]
    return sum(sums) / len(sums) if sums and sums[0] else float(num_layers)


if __name__ == "__main__":
    train.main()

"""Step: train the runs of one shard, one after another; each resumes by itself.

python -m papers.gidd.train --scale cpu --shard markov-00 --out RECORD --weights FILE --checkpoints FOLDER
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from papers.gidd.config import Run, StudyShard
from papers.gidd.study import CorpusData, run_columns
from papers.gidd.task import AutoregressiveTask, DiffusionTask, StudyTask
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.train.checkpoint import run_folder, save_tree
from shared.train.launch.devices import require_device
from shared.train.loop.fit import fit
from shared.train.loop.result import TrainingResult


def build_task(data: CorpusData, shard: StudyShard, run: Run) -> StudyTask:
    """Network, batches and loss of a run."""
    return (AutoregressiveTask if run.objective == "ar" else DiffusionTask)(data, shard, run)


def train_run(
    data: CorpusData, shard: StudyShard, run: Run, checkpoints: Path, device: str, num_threads: int
) -> TrainingResult:
    """One run, resumed from `checkpoints` where there are some."""
    settings = shard.model_dump(mode="json", include={"corpus", "noise", "sizes", "training"})
    settings |= {"run": run.model_dump()}
    return fit(
        build_task(data, shard, run),
        run.described(shard.training, data.corpus.seq_len),
        shard.training,
        checkpoint_dir=run_folder(checkpoints, run.id, settings),
        settings=settings,
        device=device,
        num_threads=num_threads,
        title=f"{shard.study} {run.id}",
    )


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Shard of step train, e.g. markov-00.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    weights: Annotated[Path, typer.Option(help="Trained weights to write, one entry per run.")],
    checkpoints: Annotated[Path, typer.Option(help="Folder that a killed job resumes from.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Train the runs of one shard."""
    settings: StudyShard = load_shard("gidd", "train", scale, shard)
    device = require_device("cuda" if settings.num_gpus else "cpu")
    provenance = Provenance(device=device, num_threads=threads)
    data = CorpusData(settings.corpus)
    frames, trained, measured = [], {}, {}
    for run in settings.runs:
        result = train_run(data, settings, run, checkpoints, device, threads)
        frames.append(result.table().assign(**run_columns(settings, run)))
        trained[run.id] = {name: tensor.cpu() for name, tensor in result.model.state_dict().items()}
        measured[run.id] = result.provenance
    save_tree(trained, weights)
    provenance.add(runs=measured)
    write_record(out, pd.concat(frames, ignore_index=True), provenance)


if __name__ == "__main__":
    typer.run(main)

"""Step: train the runs of one shard, one after another; each resumes by itself.

python -m papers.gidd.train --scale cpu --shard markov-00 --out RECORD --weights FILE --checkpoints FOLDER
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from papers.gidd.config import Run, StudyShard
from papers.gidd.study import CorpusData, build_network, build_process, run_columns
from papers.gidd.task import AutoregressiveTask, DiffusionTask
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.train.checkpoint import run_folder, save_tree
from shared.train.config import TrainingConfig
from shared.train.devices import require_device
from shared.train.loop import fit
from shared.train.result import TrainingResult
from shared.train.task import TrainingTask


def build_task(data: CorpusData, shard: StudyShard, run: Run, training: TrainingConfig) -> TrainingTask:
    """Batches and loss of a run."""
    if run.objective == "ar":
        return AutoregressiveTask(data, run, training.batch_size)
    process = build_process(shard, run, data.vocab_size)
    return DiffusionTask(data, process, run, shard.noise, training.batch_size)


def train_run(data: CorpusData, shard: StudyShard, run: Run, checkpoints: Path, device: str, num_threads: int):
    """(network, result) of one run, resumed from `checkpoints` where there are some."""
    update = {"seed": run.seed, "weight_decay": run.weight_decay, "num_steps": run.num_steps}
    training = shard.training.model_copy(update=update)
    network = build_network(shard, run, data.vocab_size)
    settings = shard.model_dump(mode="json", include={"corpus", "noise", "sizes"}) | {"run": run.model_dump()}
    folder = run_folder(checkpoints, run.id, settings | {"training": training.model_dump(mode="json")})
    result: TrainingResult = fit(
        network, build_task(data, shard, run, training), training, checkpoint_dir=folder,
        settings=settings, device=device, num_threads=num_threads, title=f"{shard.study} {run.id}",
    )  # fmt: skip
    return network, result


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
        network, result = train_run(data, settings, run, checkpoints, device, threads)
        frames.append(result.table().assign(**run_columns(settings, run)))
        trained[run.id] = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        measured[run.id] = result.provenance
    save_tree(trained, weights)
    provenance.add(runs=measured)
    write_record(out, pd.concat(frames, ignore_index=True), provenance)


if __name__ == "__main__":
    typer.run(main)

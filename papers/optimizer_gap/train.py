"""Step: train the runs of one shard of a sweep as an ensemble.

python -m papers.optimizer_gap.train --scale cpu --shard main-b16-00 --out RECORD --checkpoints FOLDER
"""

from pathlib import Path
from typing import Annotated

import typer

from papers.optimizer_gap.config import GapShard
from papers.optimizer_gap.task import GapTask
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.train.launch.devices import require_device
from shared.train.sweep.running import train_shard


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Shard of step train, e.g. main-b16-00.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    checkpoints: Annotated[Path, typer.Option(help="Folder that a killed job resumes from.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Train the runs of one shard."""
    settings: GapShard = load_shard("optimizer_gap", "train", scale, shard)
    provenance = Provenance(device=require_device("cuda" if settings.num_gpus else "cpu"), num_threads=threads)
    task = GapTask.of_shard(settings)
    outcome = train_shard(settings, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(runs=outcome.provenance)
    write_record(out, outcome.table.assign(sweep=settings.sweep), provenance)


if __name__ == "__main__":
    typer.run(main)

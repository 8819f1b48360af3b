"""Step: train the language models of one shard of a study.

python -m papers.signed_adam.sweep --scale cpu --shard main-00 --out RECORD
"""

from pathlib import Path
from typing import Annotated

import typer

from papers.signed_adam.config import SweepShard
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.train.language.task import LanguageTask
from shared.train.sweep.running import train_shard


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Shard, e.g. main-00.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu, paper or paper-lite.")] = "cpu",
    checkpoints: Annotated[Path | None, typer.Option(help="Folder to resume from.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Train and write the record: one row per run and logged step."""
    settings: SweepShard = load_shard("signed_adam", "sweep", scale, shard)
    provenance = Provenance(num_threads=threads)
    task = LanguageTask.of_shard(settings)
    outcome = train_shard(settings, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(ensembles=outcome.provenance)
    table = outcome.table.assign(study=settings.sweep)
    write_record(out, table.assign(run=f"{settings.sweep} " + table.run), provenance)


if __name__ == "__main__":
    typer.run(main)

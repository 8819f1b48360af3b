"""Step: train the language models of one shard of a study.

python -m papers.signed_adam.sweep --scale cpu --shard main-00
"""

from pathlib import Path

import pandas as pd

from papers.signed_adam import heavy_ball  # noqa: F401 - registers its rule
from papers.signed_adam.settings import SweepShard
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.language.task import LanguageTask
from shared.train.sweep.running import train_shard


@step
def sweep(settings: SweepShard, shard: str, threads: int, checkpoints: Path, provenance: Provenance) -> pd.DataFrame:
    """Train; one row per run and logged step."""
    task = LanguageTask.of_shard(settings)
    outcome = train_shard(settings, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(ensembles=outcome.provenance)
    table = outcome.table.assign(study=settings.sweep)
    return table.assign(run=f"{settings.sweep} " + table.run)


if __name__ == "__main__":
    sweep.main()

"""Step: train the language models of one shard of a study.

python -m papers.signed_adam.sweep --scale cpu --shard main-00
"""

from pathlib import Path

import pandas as pd

from papers.signed_adam.config import SweepShard
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.language.running import train_language_shard


@step
def sweep(settings: SweepShard, shard: str, threads: int, checkpoints: Path, provenance: Provenance) -> pd.DataFrame:
    """Train; one row per run and logged step."""
    outcome = train_language_shard(settings, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(ensembles=outcome.provenance)
    table = outcome.table.assign(study=settings.study)
    return table.assign(run=f"{settings.study} " + table.run)


if __name__ == "__main__":
    sweep.main()

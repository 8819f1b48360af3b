"""Step: train the runs of one shard of a sweep as an ensemble.

python -m papers.optimizer_gap.train --scale cpu --shard main-b16-00
"""

from pathlib import Path

import pandas as pd

from papers.optimizer_gap.settings import GapShard
from papers.optimizer_gap.task import GapTask
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.sweep.running import train_shard


@step(after=["runs/data/corpus.parquet"])  # made first, so that no two trainings build it at once
def train(settings: GapShard, shard: str, threads: int, checkpoints: Path, provenance: Provenance) -> pd.DataFrame:
    """Train the runs of one shard: one row per run and logged step."""
    task = GapTask.of_shard(settings)
    outcome = train_shard(settings, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(runs=outcome.provenance)
    return outcome.table.assign(sweep=settings.sweep)


if __name__ == "__main__":
    train.main()

"""Step: train the image classifiers of one shard of a study.

python -m papers.ngn_m.classify --scale cpu --shard mlp-00
"""

from pathlib import Path

import pandas as pd

from papers.ngn_m.studies import ClassifyShard
from papers.ngn_m.untrained import with_untrained
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.images.task import ImageTask
from shared.train.sweep.running import train_shard


@step
def classify(
    settings: ClassifyShard, shard: str, threads: int, checkpoints: Path, provenance: Provenance
) -> pd.DataFrame:
    """Train; one row per run and logged step, and the scores before training."""
    task = ImageTask.of_shard(settings)
    outcome = train_shard(settings, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(ensembles=outcome.provenance)
    return with_untrained(outcome.table, task, settings)


if __name__ == "__main__":
    classify.main()

"""Step: train the language models of one shard of a study.

python -m papers.ngn_m.predict --scale cpu --shard lm-00
"""

from pathlib import Path

import pandas as pd

from papers.ngn_m.studies import PredictShard
from papers.ngn_m.untrained import with_untrained
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.language.task import LanguageTask
from shared.train.sweep.running import train_shard


@step
def predict(
    settings: PredictShard, shard: str, threads: int, checkpoints: Path, provenance: Provenance
) -> pd.DataFrame:
    """Train; one row per run and logged step, and the scores before training."""
    task = LanguageTask.of_shard(settings)
    outcome = train_shard(settings, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    provenance.add(ensembles=outcome.provenance)
    return with_untrained(outcome.table, task, settings)


if __name__ == "__main__":
    predict.main()

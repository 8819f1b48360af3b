"""Step: train the runs of one shard, one after another; each resumes by itself.

python -m papers.gidd.train --scale cpu --shard markov-00
"""

from pathlib import Path

import pandas as pd

from papers.gidd.settings import Run, StudyShard
from papers.gidd.study import CorpusData, run_columns
from papers.gidd.task import build_task
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.checkpoint import run_folder, save_tree
from shared.train.loop.fit import fit
from shared.train.loop.result import TrainingResult


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


@step(outputs={"weights": "weights/{shard}.safetensors"}, after=("runs/data/{study}.parquet",))
def train(
    settings: StudyShard, device: str, threads: int, checkpoints: Path, weights: Path, provenance: Provenance
) -> pd.DataFrame:
    """Train the runs of one shard; the corpus is there first, so that no two jobs build it at once."""
    data = CorpusData(settings.corpus)
    frames, trained, measured = [], {}, {}
    for run in settings.runs:
        result = train_run(data, settings, run, checkpoints, device, threads)
        frames.append(result.table().assign(**run_columns(settings, run)))
        trained[run.id] = {name: tensor.cpu() for name, tensor in result.model.state_dict().items()}
        measured[run.id] = result.provenance
    save_tree(trained, weights)
    provenance.add(runs=measured)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    train.main()

"""Step: train the runs of one shard, alone or in stacks; each resumes by itself.

python -m papers.gidd.train --scale cpu --shard markov-00
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from torch import Tensor

from papers.gidd.settings import Run, StudyShard
from papers.gidd.stacked import StackedTask, groups
from papers.gidd.study import CorpusData, run_columns
from papers.gidd.task import build_task
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.checkpoint import run_folder, save_tree
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit

Trained = tuple[pd.DataFrame, dict[str, Tensor], dict]  # rows of a run, its weights, provenance


def train_alone(
    data: CorpusData, shard: StudyShard, run: Run, checkpoints: Path, device: str, num_threads: int
) -> Trained:
    """One run, resumed from `checkpoints` where there are some."""
    settings = _defining(shard) | {"run": run.model_dump()}
    result = fit(
        build_task(data, shard, run),
        run.described(shard.training, data.corpus.seq_len),
        shard.training,
        checkpoint_dir=run_folder(checkpoints, run.id, settings),
        settings=settings,
        device=device,
        num_threads=num_threads,
        title=f"{shard.study} {run.id}",
    )
    return result.table(), result.model.state_dict(), result.provenance


def train_stacked(
    data: CorpusData, shard: StudyShard, runs: Sequence[Run], checkpoints: Path, device: str, num_threads: int
) -> dict[str, Trained]:
    """Run id -> what `train_alone` gives, to rounding, for runs that differ in weights, decay and seed alone."""
    task, settings = StackedTask(data, shard, runs), _defining(shard) | {"runs": [run.model_dump() for run in runs]}
    result = train_ensemble(
        task,
        [task.described(run) for run in runs],
        shard.training,
        checkpoint_dir=run_folder(checkpoints, f"stacked-{runs[0].id}", settings),
        settings=settings,
        device=device,
        num_threads=num_threads,
        title=f"{shard.study} {runs[0].id} and {len(runs) - 1} more",
    )
    table = pd.DataFrame(result.rows)
    states = zip(runs, result.states, strict=True)
    return {run.id: (table[table.run == run.id].drop(columns="run"), state, result.provenance) for run, state in states}


def _defining(shard: StudyShard) -> dict:
    return shard.model_dump(mode="json", include={"corpus", "noise", "sizes", "training"})


@step(outputs={"weights": "weights/{shard}.safetensors"}, after=("runs/data/{study}.parquet",))
def train(
    settings: StudyShard, device: str, threads: int, checkpoints: Path, weights: Path, provenance: Provenance
) -> pd.DataFrame:
    """Train the runs of one shard; the corpus is there first, so that no two jobs build it at once."""
    data, trained = CorpusData(settings.corpus), {}
    for group in groups(settings.runs):
        how = (checkpoints, device, threads)
        if settings.stacked and group[0].objective != "ar":
            trained |= train_stacked(data, settings, group, *how)
        else:
            trained |= {run.id: train_alone(data, settings, run, *how) for run in group}
    save_tree(
        {name: {key: tensor.cpu() for key, tensor in found[1].items()} for name, found in trained.items()}, weights
    )
    provenance.add(runs={name: found[2] for name, found in trained.items()})
    frames = [trained[run.id][0].assign(**run_columns(settings, run)) for run in settings.runs]
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    train.main()

"""Step: train the runs of one shard, one after another; each resumes by itself.

python -m papers.gidd.train --scale cpu --shard markov-00
"""

from pathlib import Path

import pandas as pd

from papers.gidd.config import Run, StudyShard
from papers.gidd.study import CorpusData, build_network, run_columns
from papers.gidd.task import build_task
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.checkpoint import run_folder, save_tree
from shared.train.loop import fit


def train_run(data: CorpusData, shard: StudyShard, run: Run, checkpoints: Path, device: str, num_threads: int):
    """(network, result) of one run, resumed from `checkpoints` where there are some."""
    update = {"seed": run.seed, "weight_decay": run.weight_decay, "num_steps": run.num_steps}
    training = shard.training.model_copy(update=update)
    network = build_network(shard, run, data.vocab_size)
    settings = shard.model_dump(mode="json", include={"corpus", "noise", "sizes"}) | {"run": run.model_dump()}
    folder = run_folder(checkpoints, run.id, settings | {"training": training.model_dump(mode="json")})
    result = fit(
        network, build_task(data, shard, run, training), training, checkpoint_dir=folder,
        settings=settings, device=device, num_threads=num_threads, title=f"{shard.study} {run.id}",
    )  # fmt: skip
    return network, result


@step(outputs={"weights": "weights/{shard}.safetensors"}, after=("runs/data/{study}.parquet",))
def train(
    settings: StudyShard, device: str, threads: int, checkpoints: Path, weights: Path, provenance: Provenance
) -> pd.DataFrame:
    """Train the runs of one shard; the corpus is there first, so that no two jobs build it at once."""
    data = CorpusData(settings.corpus)
    frames, trained, measured = [], {}, {}
    for run in settings.runs:
        network, result = train_run(data, settings, run, checkpoints, device, threads)
        frames.append(result.table().assign(**run_columns(settings, run)))
        trained[run.id] = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        measured[run.id] = result.provenance
    save_tree(trained, weights)
    provenance.add(runs=measured)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    train.main()

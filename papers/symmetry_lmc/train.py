"""Step: train the networks of one study, or its narrower ones.

python -m papers.symmetry_lmc.train --scale cpu --shard vit
"""

from pathlib import Path

import pandas as pd

from papers.symmetry_lmc.parents import task_of
from papers.symmetry_lmc.settings import Augmentation, AugmentedShard, ParentsShard
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.checkpoint import save_tree
from shared.train.language.config import LanguageShard
from shared.train.sweep.running import train_shard


@step(outputs={"weights": "weights/{shard}.safetensors"})
def train(
    settings: ParentsShard, shard: str, threads: int, checkpoints: Path, weights: Path, provenance: Provenance
) -> pd.DataFrame:
    """One row per network and logged update; their weights by name."""
    how = {"sweep": shard, "runs": settings.runs(settings.width)}
    if settings.language is None:
        augmentation = settings.model_dump(include=set(Augmentation.model_fields))
        described = settings.images.model_dump() | {"num_gpus": settings.num_gpus}
        job = AugmentedShard(**described, **augmentation, **how)
    else:
        described = settings.language.model_dump() | {"num_gpus": settings.num_gpus}
        job = LanguageShard(**described, **how)
    task = task_of(settings, width=settings.width)
    outcome = train_shard(job, task, checkpoint_dir=checkpoints, num_threads=threads, title=shard)
    save_tree({name: {k: v.cpu() for k, v in state.items()} for name, state in outcome.states.items()}, weights)
    provenance.add(ensembles=outcome.provenance)
    num_params = sum(p.numel() for p in task.build(0).parameters())
    return outcome.table.assign(study=settings.study, width=settings.width or 0, num_params=num_params)


if __name__ == "__main__":
    train.main()

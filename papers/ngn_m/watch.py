"""Step: effective steps and update sizes of single layers along training.

python -m papers.ngn_m.watch --scale cpu --shard cnn
"""

from collections.abc import Iterator

from papers.ngn_m.layers import watch_layers
from papers.ngn_m.names import METHODS
from papers.ngn_m.studies import WatchShard
from shared.artifacts.step import step
from shared.train.images.task import ImageTask
from shared.train.language.task import LanguageTask


@step
def watch(settings: WatchShard, shard: str, device: str) -> Iterator[dict]:
    """One training per optimiser, learning rate and seed."""
    kind, own = (ImageTask, settings.images) if settings.language is None else (LanguageTask, settings.language)
    task = kind(own, {}, settings.batch_size)
    how = {"batch_size": settings.batch_size, "num_steps": settings.num_steps, "clip_norm": settings.clip_norm}
    every = max(1, settings.num_steps // settings.num_points)
    for optimizer in settings.optimizers:
        for lr in settings.lrs:
            for seed in range(settings.seeds):
                labels = {"watched": shard, "method": METHODS[optimizer], "lr": lr, "seed": seed}
                rows = watch_layers(task, optimizer, lr, settings.layers, seed=seed, every=every, device=device, **how)
                yield from (labels | row for row in rows)


if __name__ == "__main__":
    watch.main()

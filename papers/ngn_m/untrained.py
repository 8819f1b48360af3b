"""Scores of the models before training: what a diverged run counts as."""

import pandas as pd

from shared.train.sweep.shard import SweepShard
from shared.train.task import Task


def with_untrained(table: pd.DataFrame, task: Task, shard: SweepShard) -> pd.DataFrame:
    """`table` with columns `study` and `untrained_<metric>`, the score of each run's model at initialisation."""
    scores = {seed: task.evaluate(task.build(seed).eval(), 0) for seed in sorted({run.seed for run in shard.runs})}
    names = list(next(iter(scores.values())))
    columns = {f"untrained_{name}": table.seed.map({seed: own[name] for seed, own in scores.items()}) for name in names}
    return table.assign(study=shard.sweep, **columns)

"""Step: train the runs of one shard of a sweep as an ensemble, and the best settings again on fresh seeds.

python -m papers.optimizer_gap.train --scale cpu --shard main-b16-00
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from papers.optimizer_gap.comparing import chosen_runs, ended
from papers.optimizer_gap.settings import GapShard
from papers.optimizer_gap.task import GapTask
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.run import Run
from shared.train.sweep.running import train_shard


def on_fresh_seeds(settings: GapShard, table: pd.DataFrame) -> list[Run]:
    """Runs of the settings that were best in `table`, the logged rows of the shard's own runs, on the fresh seeds.

    A shared best-of-a-cell rule does not do: methods overlap in their runs, and each has a best setting of its own.

    Raises:
        ValueError: a fresh seed that has chosen.
    """
    if taken := sorted({run.seed for run in settings.runs} & set(settings.fresh_seeds)):
        raise ValueError(f"seed {taken[0]} chooses the settings and cannot measure them; give fresh_seeds without it")
    chosen = chosen_runs(ended(table.assign(fresh=False)))
    runs: dict[str, Run] = {}
    for _, row in chosen[chosen.seed == settings.runs[0].seed].iterrows():
        like = next(run for run in settings.runs if _same_rule(run, row))
        own = {name: float(row[name]) if name in row else value for name, value in like.settings.items()}
        for seed in settings.fresh_seeds:
            name = row.run.removesuffix(f"seed={like.seed}") + f"seed={seed}"
            runs[name] = replace(like, name=name, seed=seed, settings=own)
    return list(runs.values())


def _same_rule(run: Run, row: pd.Series) -> bool:
    share = run.settings.get("clip_share")
    return run.optimizer == row.optimizer and (share is None or share == row.clip_share)


@step(after=["runs/data/corpus.parquet"])  # made first, so that no two trainings build it at once
def train(settings: GapShard, shard: str, threads: int, checkpoints: Path, provenance: Provenance) -> pd.DataFrame:
    """Train the runs of one shard: one row per run and logged step; `fresh` where seeds measure what others chose."""
    task, how = GapTask.of_shard(settings), {"checkpoint_dir": checkpoints, "num_threads": threads, "title": shard}
    assert task.windows  # cut now: a text with fewer of them is refused before training, not after it
    outcome = train_shard(settings.model_copy(update={"fresh_seeds": ()}), task, **how)
    provenance.add(runs=outcome.provenance)
    table = outcome.table.assign(fresh=False)
    if settings.fresh_seeds:
        again = {"runs": tuple(on_fresh_seeds(settings, table)), "extensions": 0, "fresh_seeds": ()}
        measured = train_shard(settings.model_copy(update=again), task, **how)
        provenance.add(fresh=measured.provenance)
        table = pd.concat([table, measured.table.assign(fresh=True)], ignore_index=True)
    return table.assign(sweep=settings.sweep)


if __name__ == "__main__":
    train.main()

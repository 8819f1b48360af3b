"""Step: train the parts of one job, then ask what was trained.

python -m papers.ar_scaling.train --scale cpu --shard train-00
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from papers.ar_scaling.evaluate import TestSet
from papers.ar_scaling.probes import ProbedRecallTask
from papers.ar_scaling.studies import Part, TestPlan, TrainShard
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.data.synthetic.config import MQARConfig
from shared.train.recall.task import RecallTask
from shared.train.rules import columns_of
from shared.train.sweep.running import SweepOutcome, train_shard


@step
def train(settings: TrainShard, threads: int, checkpoints: Path, provenance: Provenance) -> pd.DataFrame:
    """Rows of the training curves (phase train, eval, diverged) and of the test (phase test), part by part."""
    frames, measured = [], {}
    for part in settings.parts:
        recall = part.recall
        task = (ProbedRecallTask if isinstance(recall.data, MQARConfig) else RecallTask).of_shard(recall)
        run = recall.runs[0]
        named = f"{part.study} {part.task} {' '.join(f'{name}={value}' for name, value in run.model.items())}"
        outcome = train_shard(recall, task, checkpoint_dir=checkpoints, num_threads=threads, title=named)
        measured[named] = outcome.provenance
        tested = pd.DataFrame(list(_tested(part, settings.test, task, outcome)))
        columns = {"study": part.study, "task": part.task, "params": sum(p.numel() for p in task.build(0).parameters())}
        frames += [outcome.table.assign(**columns), tested.assign(**columns)]
    provenance.add(parts=measured)
    return pd.concat(frames, ignore_index=True)


def _tested(part: Part, plan: TestPlan, task: RecallTask, outcome: SweepOutcome) -> Iterator[dict]:
    """Rows of the test of every run; a diverged run is asked with its last parameters."""
    device = "cuda" if part.recall.num_gpus else "cpu"
    test, model = TestSet(part.recall, plan, part.num_pairs).to(device), task.build(0).to(device).eval()
    diverged = outcome.table.groupby("run").diverged.first()
    for run in part.recall.runs:
        model.load_state_dict(outcome.states[run.name], strict=False)  # an ensemble names a tied head once
        columns = columns_of(run) | {"diverged": bool(diverged[run.name]), "step": run.num_steps, "phase": "test"}
        yield from (columns | row for row in test.rows(model))


if __name__ == "__main__":
    train.main()

"""Step: trunks, their branches, and what merging these gives.

python -m papers.merging_noise.branch --scale cpu --shard momentum
"""

from collections.abc import Iterator
from pathlib import Path

from papers.merging_noise.merging import Labelled, Merger
from papers.merging_noise.settings import BranchJob, ImageBranches, LanguageBranches
from papers.merging_noise.task import MergeTask, pretrained_starts
from shared.artifacts.step import step
from shared.train.checkpoint import run_folder
from shared.train.ensemble.fork import train_forked
from shared.train.language.task import LanguageTask
from shared.train.rules import columns_of

STACK = 20  # models that are computed together where the settings do not say


@step
def branch(settings: BranchJob, *, device: str, threads: int, checkpoints: Path) -> dict[str, list[dict]]:
    """Train and merge the branches of one job's ensembles, one after the other."""
    parts: dict[str, list[dict]] = {}
    for name, shard in {**settings.images, **settings.language}.items():
        for part, row in forked(name, shard, device, threads, checkpoints):
            parts.setdefault(part, []).append(row)
    return parts


def forked(
    name: str, shard: ImageBranches | LanguageBranches, device: str, threads: int, checkpoints: Path
) -> Iterator[Labelled]:
    """Rows of one ensemble."""
    plan, runs, stack = shard.plan, shard.runs, shard.stack or STACK
    overrides, batch_size = dict(runs[0].model), runs[0].batch_size
    labels = {"study": shard.sweep, "schedule": shard.schedule}
    if isinstance(shard, LanguageBranches):
        task = LanguageTask(shard, overrides, batch_size)
        labels |= {"model": "gpt", "augmentation": "none"}
    else:
        seeds = sorted({run.seed for run in runs})
        starts = pretrained_starts(shard, overrides, seeds, device) if shard.pretraining else None
        task = MergeTask(shard, overrides, batch_size, starts, device)
        labels |= {"model": shard.kind, "augmentation": shard.augmentation}
    described = shard.model_dump(mode="json", exclude={"runs", "stack"}) | {"runs": [columns_of(run) for run in runs]}
    merger = Merger(task, runs, plan, labels, device=device, stack=stack)
    forks = train_forked(
        task,
        runs,
        shard.training_for(runs[0]),
        steps=plan.forks,
        number=plan.branches,
        changes=[{"lr": lr} for lr in plan.lr_after] or [{}],
        same_order=plan.same_order,
        checkpoint_dir=run_folder(checkpoints.parent, name, described),  # whichever job it is packed into
        stack=stack,
        device=device,
        num_threads=threads,
        title=name,
    )
    for fork in forks:
        yield from merger.rows(fork)


if __name__ == "__main__":
    branch.main()

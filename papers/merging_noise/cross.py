"""Step: two tasks fine-tuned from one base, merged at every pair of learning rates.

python -m papers.merging_noise.cross --scale cpu --shard all
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from papers.merging_noise.settings import CrossTasks, Images
from papers.merging_noise.task import MergeTask, pretrained_starts, without_head
from shared.artifacts.step import step
from shared.train.ensemble.stacked import balanced
from shared.train.ensemble.training import train_ensemble
from shared.train.run import Run
from shared.weightspace.interpolation import evaluate_states
from shared.weightspace.task_vectors import add, task_vector, ties_vector, total

STACK = 64
State = Mapping[str, Tensor]


@step
def cross(settings: CrossTasks, *, device: str, threads: int) -> dict[str, list[dict]]:
    """Accuracies of merges on both tasks, over both learning rates, method, scale and seed."""
    seeds = list(range(settings.seeds))
    bases = trained_bases(settings, seeds, device) if settings.base else None
    tasks, tuned = [], []
    for own in task_images(settings):
        tasks.append(MergeTask(own, {}, settings.batch_size, bases, device))
        tuned.append(fine_tuned(tasks[-1], settings, seeds, device, threads))
    templates = [task.build(0).to(device) for task in tasks]
    bases = bases or dict.fromkeys(seeds, without_head(tasks[0].build(0).to(device)))
    rows = []
    for seed in seeds:
        found = merged_rows(settings, tasks, tuned, bases[seed], templates, seed, device)
        rows += [{"seed": seed} | row for row in found]
    return {"merged": rows}


def trained_bases(settings: CrossTasks, seeds: list[int], device: str) -> dict[int, dict[str, Tensor]]:
    """Seed -> base, with the head that seed 0 draws; it is never trained and no part of the state."""
    images = settings.images.model_copy(update={"pretraining": settings.base, "freeze_head": True})
    return pretrained_starts(images, {}, seeds, device)


def task_images(settings: CrossTasks) -> Iterator[Images]:
    """What each task is trained and tested on."""
    names = settings.datasets or (settings.images.dataset,) * 2
    common = {"freeze_head": settings.base is not None, "pretraining": None, "label_noise": 0.0}
    for dataset, classes, turns in zip(names, settings.classes, settings.quarter_turns, strict=True):
        own = common | {"dataset": dataset, "classes": classes, "quarter_turns": turns}
        yield settings.images.model_copy(update=own)


def fine_tuned(task: MergeTask, settings: CrossTasks, seeds: list[int], device: str, threads: int) -> dict:
    """(learning rate, seed) -> state after training on one task."""
    how = {"optimizer": settings.optimizer, "batch_size": settings.batch_size, "num_steps": settings.num_steps}
    keys = list(itertools.product(settings.lrs, seeds))
    runs = [
        Run(name=f"lr={lr:g} seed={seed}", settings={"lr": lr} | settings.fixed, seed=seed, **how) for lr, seed in keys
    ]
    training = task.settings.training_for(runs[0])
    computed = {"device": device, "num_threads": threads, "stack": settings.stack}
    result = train_ensemble(task, runs, training, title="tuned", **computed)
    return dict(zip(keys, result.states, strict=True))


def merged_rows(
    settings: CrossTasks, tasks: Sequence[MergeTask], tuned: Sequence[Mapping], base: State,
    templates: Sequence[nn.Module], seed: int, device: str,
) -> Iterator[dict]:  # fmt: skip
    """Rows of one seed: accuracies in per cent on both tasks, absolute and over what the fine-tuned model has.

    What the base lacks, a head of a task's own, is not merged: each task is judged with its fine-tuned model's.
    """
    how = {"device": device, "stack": settings.stack or STACK}
    single = {}
    for index, (task, models, template) in enumerate(zip(tasks, tuned, templates, strict=True)):
        found = evaluate_states(task, [models[lr, seed] for lr in settings.lrs], template, **how)
        single[index] = {lr: row["val_accuracy"] for lr, row in zip(settings.lrs, found, strict=True)}
    every = list(itertools.product(settings.lrs, settings.lrs))
    for part in balanced(len(every), how["stack"]):
        pairs = every[part.start : part.stop]
        models = [[own[lr, seed] for own, lr in zip(tuned, pair, strict=True)] for pair in pairs]
        ends = [[task_vector({name: own[name] for name in base}, base) for own in pair] for pair in models]
        heads = [[{name: own[name] for name in own if name not in base} for own in pair] for pair in models]
        for method in ("task arithmetic", "TIES"):
            vectors = [ties_vector(pair, settings.keep) if method == "TIES" else total(pair) for pair in ends]
            for scale in settings.scales:
                merges = [add(base, vector, scale) for vector in vectors]
                found = []
                for index, (task, template) in enumerate(zip(tasks, templates, strict=True)):
                    whole = [merge | own[index] for merge, own in zip(merges, heads, strict=True)]
                    found.append(evaluate_states(task, whole, template, **how))
                for (one, other), first, second in zip(pairs, *found, strict=True):
                    about = {"method": method, "scale": scale, "lr_1": one, "lr_2": other}
                    accuracy = [first["val_accuracy"], second["val_accuracy"]]
                    shares = [accuracy[0] / single[0][one], accuracy[1] / single[1][other]]
                    about |= {"single_1": 100 * single[0][one], "single_2": 100 * single[1][other]}
                    yield about | {"accuracy": 50 * sum(accuracy), "normalised": 50 * sum(shares)}


if __name__ == "__main__":
    cross.main()

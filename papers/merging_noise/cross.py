"""Step: two tasks fine-tuned from one base, merged at every pair of learning rates.

python -m papers.merging_noise.cross --scale cpu --shard all
"""

import itertools
from collections.abc import Iterator, Mapping

from torch import Tensor

from papers.merging_noise.settings import CrossTasks, Images
from papers.merging_noise.task import MergeTask, pretrained_starts
from shared.artifacts.step import step
from shared.train.ensemble.training import train_ensemble
from shared.train.run import Run
from shared.weightspace.interpolation import evaluate_states
from shared.weightspace.task_vectors import add, task_vector, ties_vector, total

STACK = 64
State = Mapping[str, Tensor]


@step
def cross(settings: CrossTasks, *, device: str, threads: int) -> dict[str, list[dict]]:
    """Accuracies of merges on both tasks, over both learning rates, method, scale and seed.

    Every base and every fine-tuned model has the head that seed 0 draws; it is never trained.
    """
    base_images = settings.images.model_copy(update={"pretraining": settings.base, "freeze_head": True})
    seeds = list(range(settings.seeds))
    bases = pretrained_starts(base_images, {}, seeds, device)
    tasks, tuned = [], []
    for classes, turns in zip(settings.classes, settings.quarter_turns, strict=True):
        own = {"classes": classes, "quarter_turns": turns, "freeze_head": True, "pretraining": None, "label_noise": 0.0}
        tasks.append(MergeTask(settings.images.model_copy(update=own), {}, settings.batch_size, bases, device))
        tuned.append(fine_tuned(tasks[-1], settings, seeds, device, threads))
    template = tasks[0].build(0)
    rows = []
    for seed in seeds:
        rows += [
            {"seed": seed} | row for row in merged_rows(settings, tasks, tuned, bases[seed], template, seed, device)
        ]
    return {"merged": rows}


def fine_tuned(task: MergeTask, settings: CrossTasks, seeds: list[int], device: str, threads: int) -> dict:
    """(learning rate, seed) -> state after training on one task."""
    how = {"optimizer": "sgd", "batch_size": settings.batch_size, "num_steps": settings.num_steps}
    keys = list(itertools.product(settings.lrs, seeds))
    runs = [Run(name=f"lr={lr:g} seed={seed}", settings={"lr": lr}, seed=seed, **how) for lr, seed in keys]
    images: Images = task.settings
    result = train_ensemble(task, runs, images.training_for(runs[0]), device=device, num_threads=threads, title="tuned")
    return dict(zip(keys, result.states, strict=True))


def merged_rows(settings, tasks, tuned, base: State, template, seed: int, device: str) -> Iterator[dict]:
    """Rows of one seed: accuracies in per cent on both tasks, absolute and over what the fine-tuned model has."""
    how = {"device": device, "stack": STACK}
    single = {}
    for index, (task, models) in enumerate(zip(tasks, tuned, strict=True)):
        found = evaluate_states(task, [models[lr, seed] for lr in settings.lrs], template, **how)
        single[index] = {lr: row["val_accuracy"] for lr, row in zip(settings.lrs, found, strict=True)}
    pairs = list(itertools.product(settings.lrs, settings.lrs))
    ends = [[task_vector(models[lr, seed], base) for models, lr in zip(tuned, pair, strict=True)] for pair in pairs]
    for method in ("task arithmetic", "TIES"):
        vectors = [ties_vector(pair, settings.keep) if method == "TIES" else total(pair) for pair in ends]
        for scale in settings.scales:
            merges = [add(base, vector, scale) for vector in vectors]
            found = [evaluate_states(task, merges, template, **how) for task in tasks]
            for (one, other), first, second in zip(pairs, *found, strict=True):
                about = {"method": method, "scale": scale, "lr_1": one, "lr_2": other}
                accuracy = [first["val_accuracy"], second["val_accuracy"]]
                shares = [accuracy[0] / single[0][one], accuracy[1] / single[1][other]]
                about |= {"single": 50 * (single[0][one] + single[1][other])}
                yield about | {"accuracy": 50 * sum(accuracy), "normalised": 50 * sum(shares)}


if __name__ == "__main__":
    cross.main()

"""Step: independent models at several noise levels, before and after weight matching.

python -m papers.merging_noise.align --scale cpu --shard digits
"""

from collections.abc import Iterator

from torch import nn

from papers.merging_noise.merging import on_cpu, with_own_statistics
from papers.merging_noise.noise import noise_scale
from papers.merging_noise.settings import Alignment
from papers.merging_noise.task import MergeTask
from shared.artifacts.step import step
from shared.train.ensemble.training import train_ensemble
from shared.train.run import Run
from shared.weightspace.batchnorm import has_statistics
from shared.weightspace.interpolation import barrier, evaluate_states, grid, path
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.symmetry import transform
from shared.weightspace.weight_matching import match_weights

STACK = 20


@step
def align(settings: Alignment, *, device: str, threads: int) -> dict[str, list[dict]]:
    """Losses on the line between two models of different initialisation and data order, and the barriers there."""
    task = MergeTask(settings.images, {}, settings.batch_size, device=device)
    how = {"optimizer": "sgd", "batch_size": settings.batch_size, "num_steps": settings.num_steps}
    seeds = range(2 * settings.pairs)
    keys = [(lr, seed) for lr in settings.lrs for seed in seeds]
    runs = [Run(name=f"lr={lr:g} seed={seed}", settings={"lr": lr}, seed=seed, **how) for lr, seed in keys]
    training = settings.images.training_for(runs[0])
    stack = settings.images.stack or STACK
    result = train_ensemble(task, runs, training, device=device, num_threads=threads, stack=stack, title="independent")
    models = {key: (on_cpu(state), gone) for key, state, gone in zip(keys, result.states, result.diverged, strict=True)}
    template = task.build(0).to(device).eval()
    lines, barriers = [], []
    for lr in settings.lrs:
        for pair in range(settings.pairs):
            (a, gone_a), (b, gone_b) = models[lr, 2 * pair], models[lr, 2 * pair + 1]
            about = {"lr": lr, "noise": noise_scale(lr, settings.batch_size), "pair": pair}
            if not (gone_a or gone_b):
                found = list(line_rows(task, template, a, b, settings.path_points, device))
                lines += [about | row for row in found]
                barriers.append(about | barriers_of(found))
    return {"lines": lines, "barriers": barriers}


def barriers_of(rows: list[dict]) -> dict[str, float]:
    """Barrier of the test loss, nats, plain and after alignment."""
    found = {}
    for name, aligned in (("barrier_plain", False), ("barrier_aligned", True)):
        own = [row for row in rows if row["aligned"] == aligned]
        found[name] = float(barrier([row["alpha"] for row in own], [row["loss"] for row in own]))
    return found


def line_rows(task: MergeTask, template: nn.Module, a, b, num_points: int, device: str) -> Iterator[dict]:
    """Test loss (nats) and accuracy (%) from A to B as it is and after its units were matched to A's."""
    symmetry = symmetry_of(template).as_permutations()
    moved = transform(symmetry, b, match_weights(symmetry, a, b).elements)
    alphas = grid(num_points)
    for aligned, end in ((False, b), (True, moved)):
        states = path(a, end, alphas)
        if has_statistics(template):
            states = [with_own_statistics(task, template, state) for state in states]
        found = evaluate_states(task, states, template, device=device)
        for alpha, row in zip(alphas, found, strict=True):
            accuracy = 100 * row["val_accuracy"]
            yield {"aligned": aligned, "alpha": float(alpha), "loss": row["val_loss"], "accuracy": accuracy}


if __name__ == "__main__":
    align.main()

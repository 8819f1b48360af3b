"""Step: three networks at once; the loss over the plane that they span.

python -m papers.symmetry_lmc.merge --scale cpu --shard vit
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from papers.symmetry_lmc.names import LM, VANILLA, WM
from papers.symmetry_lmc.pairs import batches, one, stacked
from papers.symmetry_lmc.parents import mean_loss, task_of
from papers.symmetry_lmc.settings import MergeShard
from shared.artifacts.step import step
from shared.train.checkpoint import load_tree
from shared.train.task import Task
from shared.weightspace.canonical import to_circuits
from shared.weightspace.circuits import STREAM
from shared.weightspace.interpolation import evaluate_states
from shared.weightspace.learned_matching import LearnedMatching, dirichlet, learn_matching
from shared.weightspace.states import State, combined
from shared.weightspace.symmetry import transform
from shared.weightspace.weight_matching import match_many


@step(inputs={"weights": "weights/{shard}.safetensors"})
def merge(settings: MergeShard, device: str, weights: Path) -> Iterator[dict]:
    """One row per method, triple and point of the simplex: loss, and how far it lies above the plane of the three."""
    task = task_of(settings.parents)
    states = list(load_tree(weights).values())[: 3 * settings.num_triples]
    architecture = task.build(0).eval()
    circuits = [to_circuits(architecture, state) for state in states]
    template, flat = circuits[0].eval(), [{k: v.detach() for k, v in c.state_dict().items()} for c in circuits]
    symmetry, triples = template.symmetry().squared(), range(settings.num_triples)
    matched = []
    for k in triples:
        own = flat[3 * k : 3 * k + 3]
        elements, _ = match_many(
            symmetry, own, rounds=settings.rounds, max_sweeps=settings.num_sweeps, averaged=[STREAM]
        )
        matched.append([transform(symmetry, s, e) for s, e in zip(own, elements, strict=True)])
    refined = refine(settings, template, symmetry, matched, device)
    for k in triples:
        yield from simplex(settings, task, architecture, VANILLA, k, states[3 * k : 3 * k + 3], device)
        yield from simplex(settings, task, template, WM, k, matched[k], device)
        yield from simplex(settings, task, template, LM, k, refined[k], device)


def refine(settings: MergeShard, template, symmetry, matched: Sequence[Sequence[State]], device: str) -> list[list]:
    """All models of a triple learn together: the loss above the plane at weights from a Dirichlet distribution."""
    learning = settings.learning
    task = task_of(settings.parents, batch_size=learning.batch_size)
    how = LearnedMatching(
        num_steps=learning.num_steps, lr=learning.lr, permutation_lr=learning.permutation_lr, above_ends=True
    )
    models = [stacked([own[position] for own in matched], device) for position in range(3)]
    found = learn_matching(
        template.to(device), symmetry, models, [0, 1, 2], lambda model, batch: mean_loss(model, batch, task),
        batches(task, len(matched), learning, device), dirichlet(settings.concentration, 3), how,
    )  # fmt: skip
    return [
        [transform(symmetry, own[position], one(found[position], k)) for position in range(3)]
        for k, own in enumerate(matched)
    ]


def simplex(
    settings: MergeShard, task: Task, template: torch.nn.Module, method: str, triple: int, models, device: str
) -> Iterator[dict]:
    """The loss at every point of a grid on the simplex of three models."""
    steps = settings.num_points - 1
    points = [(i, j, steps - i - j) for i, j in itertools.product(range(steps + 1), repeat=2) if i + j <= steps]
    weights = [tuple(i / steps for i in point) for point in points]
    merged = [combined(models, lambda *x, w=w: sum(a * b for a, b in zip(w, x, strict=True))) for w in weights]
    losses = [row["val_loss"] for row in evaluate_states(task, merged, template, device=device, stack=16)]
    corners = [losses[points.index(tuple(steps * (i == k) for i in range(3)))] for k in range(3)]
    for w, loss in zip(weights, losses, strict=True):
        plane = sum(a * b for a, b in zip(w, corners, strict=True))
        row = {"study": settings.study, "method": method, "triple": triple} | {f"lam{k + 1}": w[k] for k in range(3)}
        yield row | {"loss": loss, "deviation": loss - plane}


if __name__ == "__main__":
    merge.main()

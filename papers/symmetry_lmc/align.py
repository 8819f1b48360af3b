"""Step: align the networks of one study in pairs, by every method; the loss along each path.

python -m papers.symmetry_lmc.align --scale cpu --shard vit
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from papers.symmetry_lmc.names import ACTIVATION, CIRCUITS, LM, ORTHOGONAL, PERMUTATION, WM, WM_PERM
from papers.symmetry_lmc.pairs import Pairs, Watch, learn
from papers.symmetry_lmc.parents import task_of
from papers.symmetry_lmc.settings import AlignShard
from shared.artifacts.step import step
from shared.train.checkpoint import load_tree, save_tree
from shared.train.task import Task
from shared.weightspace.circuits import STREAM
from shared.weightspace.symmetry import as_matrix, transform


@step(inputs={"weights": "weights/{shard}.safetensors"}, outputs={"aligned": "aligned/{shard}.safetensors"})
def align(settings: AlignShard, device: str, weights: Path, aligned: Path) -> dict[str, list[dict]]:
    """paths, sweeps, curves, angles, moved, checks; and B in A's frame, as plain circuit networks."""
    states = list(load_tree(weights).values())
    learning_task = task_of(settings.parents, batch_size=settings.learning.batch_size)
    end = 2 * settings.num_pairs
    firsts, seconds = states[:end:2], states[1:end:2]
    points = (settings.num_points, settings.coarse_points)
    pairs = Pairs(task_of(settings.parents), firsts, seconds, *points, device=device)
    inputs = inputs_of(learning_task, settings.num_samples)
    parts: dict[str, list[dict]] = {"paths": list(pairs.plain_paths())}
    moved = {CIRCUITS: pairs.b, ACTIVATION: pairs.moved(pairs.match_activations(inputs))}
    sweeps = {WM_PERM: pairs.match(False, settings.num_sweeps), WM: pairs.match(True, settings.num_sweeps)}
    moved |= {name: pairs.moved([own[-1] for own in found]) for name, found in sweeps.items()}
    parts["sweeps"] = list(sweep_rows(pairs, sweeps, settings.shown_sweeps))
    parts |= {"curves": [], "moved": []}
    rotations = {"O_WM": [own[-1][STREAM] for own in sweeps[WM]]}
    soft = set()
    for name, variant in settings.variants.items():
        start = pairs.b if not variant.matched else moved[WM if variant.orthogonal else WM_PERM]
        symmetry = pairs.group(variant.orthogonal)
        steps = settings.watch_steps if variant.watched else ()
        watch = Watch(pairs, symmetry, start, steps, name)
        elements = learn(pairs, learning_task, variant, settings.learning, start, watch)
        parts["curves"] += watch.rows
        moved[name] = [transform(symmetry, s, e) for s, e in zip(start, elements, strict=True)]
        soft |= {name} if variant.soft else set()
        parts["moved"] += list(moved_rows(name, elements)) if not variant.soft else []
        if name == LM:
            rotations["O_diff"] = [own[STREAM] for own in elements]
    for name in [name for name in moved if name != CIRCUITS]:
        parts["paths"] += list(pairs.paths(name, moved[name]))
    parts["angles"] = list(angle_rows(rotations))
    parts["checks"] = [
        {"method": name, "pair": pair, "logit_error": error}
        for name in moved
        if name not in soft
        for pair, error in enumerate(pairs.logit_error(moved[name], inputs))
    ]
    kept = {name: dict(enumerate(moved[name])) for name in (WM, LM) if name in moved}
    save_tree({name: {str(k): state for k, state in own.items()} for name, own in kept.items()}, aligned)
    return {part: [{"study": settings.study} | row for row in rows] for part, rows in parts.items()}


def inputs_of(task: Task, num_samples: int) -> Tensor:
    """Training inputs, the first batches of an order of their own."""
    size, found = task.batch_size, []
    for step in range(-(-num_samples // size)):
        batch = task.batch(step, range(size), 999)
        found.append(batch["images"] if "images" in batch else batch["tokens"][:, :-1])
    return torch.cat(found)[:num_samples]


def sweep_rows(pairs: Pairs, sweeps: dict, shown: tuple[int, ...]):
    """Barriers after some numbers of sweeps; a descent that has settled stays where it is."""
    for method, group in ((WM, ORTHOGONAL), (WM_PERM, PERMUTATION)):
        before: dict[tuple, list[float]] = {}
        for sweep in shown:
            reached = tuple(min(sweep, len(own)) for own in sweeps[method])
            if reached not in before:
                elements = [own[k - 1] if k else {} for k, own in zip(reached, sweeps[method], strict=True)]
                before[reached] = pairs.barriers(pairs.moved(elements))
            for pair, height in enumerate(before[reached]):
                yield {"group": group, "pair": pair, "sweep": sweep, "barrier": height}


def moved_rows(method: str, elements: list[dict]):
    """Share of heads and hidden units that learned matching moved."""
    for pair, own in enumerate(elements):
        row = {"method": method, "pair": pair}
        for kind in ("heads", "hidden"):
            found = [as_matrix(e).diagonal().round() for name, e in own.items() if name.startswith(kind)]
            row[f"{kind}_moved"] = float((torch.cat(found) == 0).double().mean())
        yield row


def angle_rows(rotations: dict[str, list[Tensor]]):
    """Angles of the eigenvalues of a rotation, in [-pi, pi]; sorted by size."""
    for matrix, found in rotations.items():
        for pair, rotation in enumerate(found):
            values = torch.linalg.eigvals(rotation.double()).numpy()
            for rank, angle in enumerate(sorted(np.angle(values), key=abs)):
                yield {"matrix": matrix, "pair": pair, "rank": rank, "angle": float(angle)}


if __name__ == "__main__":
    align.main()

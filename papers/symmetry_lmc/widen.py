"""Step: narrow networks made as wide as model A, and aligned to it.

python -m papers.symmetry_lmc.widen --scale cpu --shard gpt-width32
"""

from collections.abc import Iterator
from pathlib import Path

from papers.symmetry_lmc.names import CIRCUITS, LM, WM
from papers.symmetry_lmc.pairs import Pairs, learn
from papers.symmetry_lmc.parents import task_of
from papers.symmetry_lmc.settings import Variant, WidenShard
from shared.artifacts.step import step
from shared.base.seeding import torch_generator
from shared.train.checkpoint import load_tree
from shared.weightspace.canonical import to_circuits
from shared.weightspace.symmetry import transform
from shared.weightspace.widths import widened


@step(inputs={"narrow": "weights/{shard}.safetensors", "wide": "weights/{wide_shard}.safetensors"})
def widen(settings: WidenShard, device: str, narrow: Path, wide: Path) -> Iterator[dict]:
    """Paths from the widened narrow networks (lam = 0) to wide ones (lam = 1): in a random frame, matched, learned."""
    count, alignment = settings.num_pairs, settings.alignment
    small, large = (list(load_tree(path).values())[:count] for path in (narrow, wide))
    task, narrow_task = (task_of(settings.parents, width=width) for width in (settings.wide, settings.width))
    architectures = task.build(0).eval(), narrow_task.build(0).eval()
    a = [to_circuits(architectures[0], state) for state in large]
    width = a[0].config.d_model
    b = [
        widened(to_circuits(architectures[1], state), width, torch_generator(seed, "frame"))
        for seed, state in enumerate(small)
    ]
    pairs = Pairs(task, large, small, alignment.num_points, circuits=(a, b), device=device)
    start = pairs.moved([own[-1] for own in pairs.match(True, alignment.num_sweeps)])
    variant = Variant(sampler=settings.sampler)
    learning_task = task_of(settings.parents, batch_size=alignment.learning.batch_size)
    elements = learn(pairs, learning_task, variant, alignment.learning, start, None)
    learned = [transform(pairs.symmetry, s, e) for s, e in zip(start, elements, strict=True)]
    for method, moved in ((CIRCUITS, pairs.b), (WM, start), (LM, learned)):
        yield from ({"width": settings.width, "wide": width} | row for row in pairs.paths(method, moved))


if __name__ == "__main__":
    widen.main()

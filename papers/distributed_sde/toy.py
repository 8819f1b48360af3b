"""Step: the methods on (L0, L1)-smooth test functions under affine and Cauchy noise.

python -m papers.distributed_sde.toy --scale cpu --shard toy-00
"""

from collections.abc import Iterator

from papers.distributed_sde import toys
from papers.distributed_sde.cells import cell_rows
from papers.distributed_sde.settings import ToyShard
from shared.artifacts.step import step


@step
def toy(settings: ToyShard, device: str) -> Iterator[dict]:
    """Run the cells of one shard."""
    toys.toy(settings.toys.function).check_smoothness()
    for cell in settings.toys.cells:
        yield from cell_rows(cell, settings.toys, device)


if __name__ == "__main__":
    toy.main()

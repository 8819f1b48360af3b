"""Step: SGD, Adam and Signum on block quadratics over batch sizes, under two models of gradient noise.

python -m papers.optimizer_gap.quadratics --scale cpu --shard descents
"""

from collections.abc import Iterator

from papers.optimizer_gap.descents import descent_rows
from papers.optimizer_gap.problems import Quadratics
from shared.artifacts.step import step


@step
def quadratics(settings: Quadratics) -> Iterator[dict]:
    """Run all descents, on one thread: nine numbers a vector, a second one only waits."""
    return descent_rows(settings)


if __name__ == "__main__":
    quadratics.main()

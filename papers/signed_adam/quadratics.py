"""Step: SGD, Signum and Adam on block quadratics, for one rotation of the blocks.

python -m papers.signed_adam.quadratics --scale cpu --shard draw-0
"""

from papers.signed_adam.descents import landscape_parts
from papers.signed_adam.settings import QuadraticsShard
from shared.artifacts.step import step
from shared.optim.quadratics import LANDSCAPES


@step
def quadratics(settings: QuadraticsShard) -> dict[str, list[dict]]:
    """Descend on both landscapes."""
    found: dict[str, list[dict]] = {}
    for landscape in LANDSCAPES:
        labels = {"landscape": landscape, "draw": settings.draw}
        for part, rows in landscape_parts(landscape, settings).items():
            found.setdefault(part, []).extend(labels | row for row in rows)
    return found


if __name__ == "__main__":
    quadratics.main()

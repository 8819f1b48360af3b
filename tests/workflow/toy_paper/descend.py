"""Step: gradient descent on a one-dimensional quadratic.

python -m papers.toy.descend --scale smoke --shard curvature=1
"""

import os
import time
from collections.abc import Iterator

from papers.toy.config import Shard
from papers.toy.method import loss_path
from shared.artifacts.step import step


@step
def descend(settings: Shard, shard: str) -> Iterator[dict]:
    """Descend; one row per step."""
    if os.environ.get("TOY_STALLS") == shard:
        time.sleep(600)  # until a test kills it
    losses = loss_path(settings.curvature, settings.descent.lr, settings.descent.num_steps)
    for step, loss in enumerate(losses):
        yield {"curvature": settings.curvature, "step": step, "loss": loss}


if __name__ == "__main__":
    descend.main()

"""Step: learning rates of grid search and of Hyma, each over a grid of its own, on validation pairs.

python -m papers.hyma.tune --scale cpu --shard rates
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from papers.hyma.connectors import Layers
from papers.hyma.embeddings import Embeddings
from papers.hyma.searching import Study
from papers.hyma.settings import TuneShard
from papers.hyma.training import Diverged, train_grid
from shared.artifacts.step import step


@step(inputs={"embeddings": "zoo/zoo.safetensors"})
def tune(settings: TuneShard, embeddings: Path, device: str) -> Iterator[dict]:
    """Mean and best validation score over the pairs for each learning rate; a seed that no result uses."""
    zoo, plan = Embeddings.load(embeddings, device), settings.search
    for depth in settings.depths:
        study = Study(zoo, plan, depth, plan.tuning_seed, device)
        pairs = study.within(*plan.tuning_size)
        for lr in plan.lrs_grid:
            grid = plan.grid.model_copy(update={"lr": lr})
            *_, (_, layers) = train_grid(study.problem, pairs, grid, study.plan.grid_steps, plan.tuning_seed)
            yield {"depth": depth, "method": "grid", "lr": lr, "used": lr == plan.grid.lr} | _summary(
                study, pairs, layers
            )
        for lr in plan.lrs_hyma:
            hyma = plan.hyma.model_copy(update={"lr": lr})
            try:
                *_, (_, layers) = study.joint(pairs, hyma, study.plan.hyma_steps)
            except Diverged:
                layers = None
            yield {"depth": depth, "method": "hyma", "lr": lr, "used": lr == plan.hyma.lr} | _summary(
                study, pairs, layers
            )


def _summary(study: Study, pairs: list[int], layers: Layers | None) -> dict:
    if layers is None:
        return {"mean_score": np.nan, "best_score": np.nan}
    scores = [row["score"] for row in study.rows(pairs, layers, "validation")]
    return {"mean_score": float(np.mean(scores)), "best_score": float(np.max(scores))}


if __name__ == "__main__":
    tune.main()

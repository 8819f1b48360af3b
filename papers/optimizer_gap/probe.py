"""Step: watch the trainings of one shard: slope and sharpness of their updates, and the gradient's noise.

python -m papers.optimizer_gap.probe --scale cpu --shard probe-b16
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from papers.optimizer_gap.comparing import at_best
from papers.optimizer_gap.settings import ProbeShard
from papers.optimizer_gap.watching import watch
from shared.artifacts.step import step


@step(inputs={"main": "runs/train/{main_shard}.parquet"}, after=["runs/data/corpus.parquet"])
def probe(settings: ProbeShard, device: str, main: Path | None) -> Iterator[dict]:
    """Watch the trainings of one shard at the settings that the main sweep chose; parts: step, taylor and noise."""
    runs = settings.runs if main is None else tuple(at_best(settings.runs, pd.read_parquet(main)))
    return watch(settings.model_copy(update={"runs": runs}), device)


if __name__ == "__main__":
    probe.main()

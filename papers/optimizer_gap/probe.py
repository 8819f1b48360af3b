"""Step: watch the trainings of one shard: slope and sharpness of their updates, and the gradient's noise.

python -m papers.optimizer_gap.probe --scale cpu --shard probe-b16-00
"""

from collections.abc import Iterator

from papers.optimizer_gap.settings import ProbeShard
from papers.optimizer_gap.watching import watch
from shared.artifacts.step import step


@step(after=["runs/data/corpus.parquet"])
def probe(settings: ProbeShard, device: str) -> Iterator[dict]:
    """Watch the trainings of one shard; the parts are step, taylor and noise."""
    return watch(settings, device)


if __name__ == "__main__":
    probe.main()

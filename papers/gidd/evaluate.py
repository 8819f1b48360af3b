"""Step: likelihood of trained runs, and whether they repair corrupted sequences.

python -m papers.gidd.evaluate --scale cpu --shard markov-00
"""

from collections.abc import Iterator
from pathlib import Path

from papers.gidd.measures import likelihood_rows, repair_rows
from papers.gidd.settings import StudyShard
from papers.gidd.study import CorpusData, load_networks, run_columns
from shared.artifacts.step import step

COLUMNS = ["metric", "num_corrupted", "value", "standard_error"]


@step(inputs={"weights": "weights/{shard}.safetensors"})
def evaluate(settings: StudyShard, device: str, weights: Path) -> Iterator[dict]:
    """Evaluate the runs of one shard; one row per run and metric."""
    data = CorpusData(settings.corpus)
    networks = load_networks(settings, settings.runs, weights, data.vocab_size, device)
    for run in settings.runs:
        for measure in (likelihood_rows, repair_rows):
            for row in measure(networks[run.id], data, settings, run, device):
                yield run_columns(settings, run) | dict.fromkeys(COLUMNS) | row


if __name__ == "__main__":
    evaluate.main()

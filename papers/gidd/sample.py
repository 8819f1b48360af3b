"""Step: draw samples from trained runs, let them correct themselves, and measure both.

python -m papers.gidd.sample --scale cpu --shard markov-00
"""

from pathlib import Path

import pandas as pd

from papers.gidd.sampler import Sampler
from papers.gidd.settings import StudyShard
from papers.gidd.study import CorpusData, build_scorer, load_networks, run_columns
from shared.artifacts.records import write_record
from shared.artifacts.step import step

TEXT_COLUMNS = ["study", "run", "p_u", "seed", "num_steps", "tau", "sample", "num_changed", "text"]


@step(
    inputs={"weights": "weights/{shard}.safetensors", "scorer": "weights/{scorer_shard}.safetensors"},
    outputs={"texts": "runs/texts/{shard}.parquet"},
)
def sample(settings: StudyShard, device: str, weights: Path, scorer: Path | None, texts: Path) -> list[dict]:
    """Sample from the runs of one shard and correct the samples; a few are kept as texts."""
    data = CorpusData(settings.corpus)
    networks = load_networks(settings, settings.runs, weights, data.vocab_size, device)
    judge = build_scorer(settings, data, scorer, device)
    samplers = [Sampler(settings, run, networks[run.id], data, judge, device) for run in settings.runs]
    rows = [run_columns(settings, sampler.run) | row for sampler in samplers for row in sampler.rows()]
    kept = [row for sampler in samplers for row in sampler.texts]
    write_record(texts, pd.DataFrame(kept, columns=TEXT_COLUMNS))
    return rows


if __name__ == "__main__":
    sample.main()

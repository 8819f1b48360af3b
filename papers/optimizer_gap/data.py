"""Step: prepare the corpus and record its frequency groups.

python -m papers.optimizer_gap.data --scale cpu --shard corpus --out RECORD
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from papers.optimizer_gap.config import DataShard
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.data.frequency import frequency_groups, token_counts
from shared.data.text import load_text_data


def group_rows(counts: np.ndarray, num_groups: int) -> list[dict]:
    """Per group: tokens in it, share of the training text, and the range of frequencies of its tokens."""
    groups, share = frequency_groups(counts, num_groups), counts / counts.sum()
    rows = []
    for group in range(groups.max() + 1):
        own = share[groups == group]
        rows.append(
            {
                "group": group,
                "num_types": len(own),
                "mass": own.sum(),
                "most_frequent": own.max(),
                "least_frequent": own.min(),
            }
        )
    return rows


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="corpus, the only one.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Prepare the corpus."""
    settings: DataShard = load_shard("optimizer_gap", "data", scale, shard)
    provenance = Provenance()
    data = load_text_data(settings.text)
    counts = token_counts(data.train.tokens, settings.num_symbols)
    share = counts[counts > 0] / counts.sum()
    facts = {
        "train_tokens": int(counts.sum()),
        "vocab_size": settings.num_symbols,
        "unigram_entropy_nats": float(-(share * np.log(share)).sum()),
    }
    write_record(out, [facts | row for row in group_rows(counts, settings.num_groups)], provenance)


if __name__ == "__main__":
    typer.run(main)

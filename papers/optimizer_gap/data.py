"""Step: prepare the corpus and record its frequency groups.

python -m papers.optimizer_gap.data --scale cpu --shard corpus
"""

from collections.abc import Iterator

import numpy as np

from papers.optimizer_gap.settings import DataShard
from shared.artifacts.step import step
from shared.data.frequency import frequency_groups, token_counts
from shared.data.text import load_text_data


@step
def data(settings: DataShard) -> Iterator[dict]:
    """Prepare the corpus; per group: tokens in it, share of the training text, range of its tokens' frequencies."""
    counts = token_counts(load_text_data(settings.text).train.tokens, settings.num_symbols)
    groups, share = frequency_groups(counts, settings.num_groups), counts / counts.sum()
    seen = counts[counts > 0] / counts.sum()
    facts = {
        "train_tokens": int(counts.sum()),
        "vocab_size": settings.num_symbols,
        "unigram_entropy_nats": float(-(seen * np.log(seen)).sum()),
    }
    for group in range(groups.max() + 1):
        own = share[groups == group]
        found = {"num_types": len(own), "mass": own.sum(), "most_frequent": own.max(), "least_frequent": own.min()}
        yield {**facts, "group": group, **found}


if __name__ == "__main__":
    data.main()

"""Step: prepare a study's corpus and record what it is.

python -m papers.gidd.data --scale cpu --shard text --out RECORD
"""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from papers.gidd.config import StudyShard
from papers.gidd.study import CorpusData
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence


def describe(data: CorpusData) -> dict:
    """Facts of a corpus: size, vocabulary, and the floor that its likelihood cannot go below where it is known.

    `identity` is a digest of the held-out sequences: runs on different machines compare only if it agrees.
    """
    validation = data.validation()
    facts = {
        "vocab_size": data.vocab_size,
        "seq_len": data.corpus.seq_len,
        "num_validation_tokens": int(data.is_token(validation).sum()),
        "identity": hashlib.sha256(validation.numpy().tobytes()).hexdigest()[:16],
        "train_tokens": float("nan"),
        "floor_nats_per_token": float("nan"),
        "characters_per_token": float("nan"),
    }
    if data.corpus.markov:
        # exact: -log p of whole sequences, the stationary first symbol included
        floor = -data.chain.sequence_log_likelihood(validation).mean() / data.corpus.seq_len
        return facts | {"floor_nats_per_token": float(floor)}
    texts = [data.decode(row) for row in validation]
    return facts | {
        "train_tokens": float(len(data.text.train.tokens)),
        "characters_per_token": sum(map(len, texts)) / validation.numel(),
    }


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Study: markov or text.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Prepare the corpus of one study."""
    settings: StudyShard = load_shard("gidd", "data", scale, shard)
    provenance = Provenance()
    write_record(out, [{"study": settings.study} | describe(CorpusData(settings.corpus))], provenance)


if __name__ == "__main__":
    typer.run(main)

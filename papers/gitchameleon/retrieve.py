"""Step: how good BM25 finds a problem's own references, for k = 1 and 3: a row per problem and k.

    python -m papers.gitchameleon.retrieve --scale cpu --shard mini --out RECORD

The benchmark names its references by URL; without their texts the words of the URL are what can be found.
"""

from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.config import Retrieve
from papers.gitchameleon.data.problems import load_benchmark
from papers.gitchameleon.metrics.scoring import retrieval_rows
from papers.gitchameleon.protocols.prompts import problem_text
from papers.gitchameleon.protocols.retrieval import BM25, documents_of
from papers.gitchameleon.protocols.single import RAG_K
from papers.gitchameleon.suites.loader import load_suite
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence


def rows_of(suite: str) -> list[dict]:
    """One row per problem with references and k; the query is the greedy user prompt."""
    problems = load_benchmark() if suite == "benchmark" else load_suite(suite)
    index, rows = BM25(documents_of(problems)), []
    found = {p.example_id: [d.url for d in index.top(problem_text(p), max(RAG_K))] for p in problems}
    for k in RAG_K:
        rows += retrieval_rows(problems, found, suite=suite, retriever=index.name, k=k)
    return rows


@in_one_sentence
def main(
    scale: Annotated[str, typer.Option(help="Scale in config.yaml.")],
    shard: Annotated[str, typer.Option(help="Name of the suite.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
) -> None:
    """Retrieve documents for every problem of a suite and score them."""
    provenance = Provenance()
    settings: Retrieve = load_shard("gitchameleon", "retrieve", scale, shard)
    write_record(out, rows_of(settings.dataset), provenance)


if __name__ == "__main__":
    typer.run(main)

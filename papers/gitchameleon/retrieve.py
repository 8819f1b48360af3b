"""Step: how good BM25 finds a problem's own references, for k = 1 and 3: a row per problem and k.

    python -m papers.gitchameleon.retrieve --scale cpu --shard mini

The benchmark names its references by URL; without their texts the words of the URL are what can be found.
"""

from papers.gitchameleon.metrics.scoring import retrieval_rows
from papers.gitchameleon.protocols.prompts import problem_text
from papers.gitchameleon.protocols.retrieval import BM25, documents_of
from papers.gitchameleon.protocols.single import RAG_K
from papers.gitchameleon.settings import Datasets
from papers.gitchameleon.suites.loader import load_problems
from shared.artifacts.step import step


def rows_of(suite: str) -> list[dict]:
    """One row per problem with references and k; the query is the greedy user prompt."""
    problems = load_problems(suite)
    index, rows = BM25(documents_of(problems)), []
    found = {p.example_id: [d.url for d in index.top(problem_text(p), max(RAG_K))] for p in problems}
    for k in RAG_K:
        rows += retrieval_rows(problems, found, suite=suite, retriever=index.name, k=k)
    return rows


@step(reads=("suites/*/*.yaml", "protocols/templates/v1/*.txt"))
def retrieve(settings: Datasets) -> list[dict]:
    """Retrieve documents for every problem and score them."""
    return [row for name in settings.names for row in rows_of(name)]


if __name__ == "__main__":
    retrieve.main()

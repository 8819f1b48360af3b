"""From problems and evaluated answers to the rows that tables are made of.

`score_rows` is what one system's evaluated answers contribute, `retrieval_rows` what one retriever contributes.
"""

from collections.abc import Iterable, Mapping, Sequence

from papers.gitchameleon.data.categories import perf_category
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.metrics.api_hit import is_hit as api_hit
from papers.gitchameleon.metrics.retrieval import retrieval
from papers.gitchameleon.metrics.tracebacks import exception_names

NOT_RUN = ("env-missing", "no-answer", "harness-error")  # verdicts of what was not run


def score_rows(
    problems: Iterable[Problem],
    results: Iterable[Mapping],
    *,
    suite: str,
    system: str,
    protocol: str,
    seed: int = 0,
    leaky: bool = False,
) -> list[dict]:
    """One row per problem, answered or not.

    Args:
        results: rows of `evaluate` (results.jsonl): example_id, code, hidden, hidden_trace, visible, visible_trace.
        protocol: greedy, temperature, cot, selfdebug, rag_k1, rag_k3, agent, agent_sandbox, no_version.
        leaky: hidden verdicts had a part in making the answers.
    Raises:
        ValueError: two results for one problem; give each sample its own call, with its own seed.
    """
    by_id: dict[int, Mapping] = {}
    for row in results:
        if row["example_id"] in by_id:
            raise ValueError(f"two results for problem {row['example_id']}; score each sample under its own seed")
        by_id[row["example_id"]] = row
    rows = []
    for p in problems:
        found = by_id.get(p.example_id, {})
        hidden, visible = found.get("hidden") or "no-answer", found.get("visible") or "no-answer"
        answered = hidden != "no-answer" or visible != "no-answer"
        hit = api_hit(found.get("code") or "", p.api_calls) if answered else False
        rows.append(
            {
                "suite": suite,
                "system": system,
                "protocol": protocol,
                "seed": seed,
                "example_id": p.example_id,
                "library": p.library,
                "year": p.year,
                "perf_category": perf_category(p.type_of_change) or "(dropped)",
                "hidden": hidden,
                "hidden_passed": hidden == "pass",
                "visible_passed": visible == "pass",
                "missing": hidden in NOT_RUN,
                "parses": hit is not None,
                "api_hit": bool(hit),
                "errors": " ".join(sorted(set(exception_names(found.get("hidden_trace") or "")))),
                "leaky": leaky,
            }
        )
    return rows


def retrieval_rows(
    problems: Iterable[Problem], retrieved: Mapping[int, Sequence[str]], *, suite: str, retriever: str, k: int
) -> list[dict]:
    """Quality of a retriever's top k, one row per problem that has references.

    Args:
        retrieved: problem -> URLs, best first; cut to k here.
    """
    return [
        {
            "suite": suite,
            "retriever": retriever,
            "k": k,
            "example_id": p.example_id,
            **vars(retrieval(list(retrieved.get(p.example_id, ()))[:k], p.docs)),
        }
        for p in problems
        if p.docs
    ]

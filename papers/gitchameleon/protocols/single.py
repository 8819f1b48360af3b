"""Protocols of one question: greedy, sampling at a temperature, zero-shot chain of thought, and retrieval.

Sampling parameters are those of the paper (section 3.6 of the notes): top_p 0.95 throughout; T = 0 but for sampling,
T = 0.8 with 10 seeds. Token limits are those of the authors' older scripts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import Sampling
from papers.gitchameleon.protocols.generation import Request
from papers.gitchameleon.protocols.prompts import Document, problem_text, talk, template_hash, with_context
from papers.gitchameleon.protocols.retrieval import Index

NUM_SEEDS = 10  # of sampling at a temperature
RAG_K = (1, 3)


def _schema(**properties: dict) -> dict:
    names = list(properties)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


TEXT = {"type": "string"}
ANSWER = _schema(answer=TEXT, explanation=TEXT)
STEPS = _schema(steps={"type": "array", "items": TEXT}, answer=TEXT)


@dataclass(frozen=True)
class Single:
    """A protocol of one question per problem."""

    name: str
    system: str  # template of the system text
    sampling: Sampling
    schema: dict


SINGLE = {
    "greedy": Single("greedy", "system", Sampling(0.0, 0.95, 4096), ANSWER),
    "temperature": Single("temperature", "system", Sampling(0.8, 0.95, 4096), ANSWER),
    "cot": Single("cot", "cot_system", Sampling(0.0, 0.95, 6000), STEPS),
}


def requests(
    problems: Sequence[Problem],
    protocol: str = "greedy",
    seeds: Sequence[int | None] = (None,),
    show_version: bool = True,
    sampling: Sampling | None = None,
) -> list[Request]:
    """Requests of a protocol, for every problem and seed.

    Args:
        show_version: False is the ablation: neither the pins nor Python's version are told. Its rows are those of a
            protocol of their own, `no_version` for greedy.
    """
    if protocol not in SINGLE:
        raise ValueError(f"unknown protocol '{protocol}'; there are: {', '.join(SINGLE)}")
    how = SINGLE[protocol]
    name = how.name if show_version else {"greedy": "no_version"}.get(how.name, f"{how.name}_no_version")
    return [
        Request(
            problem=p,
            messages=tuple(talk(how.system, problem_text(p, show_version), show_version)),
            protocol=name,
            sampling=sampling or how.sampling,
            templates=template_hash(how.system, "problem"),
            seed=seed,
            schema=how.schema,
            show_version=show_version,
        )
        for p in problems
        for seed in seeds
    ]


def rag_requests(problems: Sequence[Problem], index: Index, k: int, show_version: bool = True) -> list[Request]:
    """Greedy requests with the top k documents in front; the query is the greedy user prompt."""
    if k < 1:
        raise ValueError(f"k is at least 1; got {k}")
    return document_requests(problems, lambda p, question: index.top(question, k), f"rag_k{k}", show_version)


def document_requests(
    problems: Sequence[Problem],
    documents: Callable[[Problem, str], list[Document]],
    protocol: str,
    show_version: bool = True,
) -> list[Request]:
    """Greedy requests with documents in front.

    `retrieved` of each request, and of its answer's row, has the URLs for scoring.retrieval_rows.

    Args:
        documents: of a problem and its greedy user prompt, best first.
    """
    how, found = SINGLE["greedy"], []
    for p in problems:
        question = problem_text(p, show_version)
        shown = documents(p, question)
        found.append(
            Request(
                problem=p,
                messages=tuple(talk(how.system, with_context(question, shown), show_version)),
                protocol=protocol,
                sampling=how.sampling,
                templates=template_hash(how.system, "problem", "context"),
                schema=how.schema,
                show_version=show_version,
                retrieved=tuple(d.url for d in shown),
            )
        )
    return found

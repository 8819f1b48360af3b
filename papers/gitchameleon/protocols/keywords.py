"""Keyword planning (SEK, Table 10): one call names keywords with explanations, a second one solves with them, ranked.

Ranked by TF-IDF over a corpus of code that is passed in; the paper's has 50 thousand documents. Rare words come first.
"""

import math
from collections import Counter
from collections.abc import Iterable

from papers.gitchameleon.data.parsing import json_object
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import Message, Model
from papers.gitchameleon.protocols.generation import Request, answer_row
from papers.gitchameleon.protocols.prompts import problem_text, render, talk, template_hash
from papers.gitchameleon.protocols.retrieval import words
from papers.gitchameleon.protocols.single import SINGLE

MAX_KEYWORDS = 3
TEMPLATES = ("system", "problem", "keywords", "with_keywords")


class Ranker:
    """Document frequencies of words in a corpus."""

    def __init__(self, corpus: Iterable[str]) -> None:
        counted = [set(words(text)) for text in corpus]
        self.num_documents, self._containing = len(counted), Counter(w for c in counted for w in c)

    def score(self, keyword: str, text: str) -> float:
        """Sum over the keyword's words of their count in `text` times log((1 + N) / (1 + n)) + 1."""
        counts = Counter(words(text))
        idf = {w: math.log((1 + self.num_documents) / (1 + self._containing[w])) + 1 for w in set(words(keyword))}
        return sum(counts[w] * idf[w] for w in idf)

    def rank(self, keywords: list[dict], text: str) -> list[dict]:
        """Highest score first; equal ones as they came."""
        return sorted(keywords, key=lambda k: -self.score(k["keyword"], text))


def parse_keywords(text: str) -> list[dict]:
    """At most three keywords with explanations; none if the reply is not what was asked for."""
    start, end = text.find("{"), text.rfind("}")
    try:
        content = json_object(text[start : end + 1]) or {}
        entries = [{k: str(e[k]) for k in ("keyword", "explanation")} for e in content["keywords"]]
    except (KeyError, TypeError):
        return []
    return entries[:MAX_KEYWORDS]


def request_of(problem: Problem) -> Request:
    """The first call."""
    question = render("keywords", problem=problem_text(problem))
    return Request(
        problem=problem,
        messages=(Message("user", question),),
        protocol="sek",
        sampling=SINGLE["greedy"].sampling,
        templates=template_hash(*TEMPLATES),
    )


def run_sek(model: Model, request: Request, ranker: Ranker) -> dict:
    """The row of one problem after both calls; `keywords` has the ranked ones."""
    how, problem = request.sampling, request.problem
    said = model.complete(request.messages, 1, how.temperature, how.top_p, how.max_tokens)[0]
    text = problem_text(problem)
    ranked = ranker.rank(parse_keywords(said.text), text)
    question = render("with_keywords", problem=text, keywords=ranked) if ranked else text
    schema = SINGLE["greedy"].schema
    answer = model.complete(talk("system", question), 1, how.temperature, how.top_p, how.max_tokens, None, schema)[0]
    return answer_row(request, model.name, answer, keywords=[k["keyword"] for k in ranked])

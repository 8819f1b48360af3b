"""Retrieval of documentation: BM25 without any model, or cosine similarity under an embedder that is passed in.

Ties go to the document that comes first, so that results do not depend on the machine.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.metrics.retrieval import normal_url
from papers.gitchameleon.protocols.prompts import Document

_WORD = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)*")


class Index(Protocol):
    """Documents that can be asked."""

    name: str

    def top(self, query: str, k: int) -> list[Document]:
        """The best k documents, best first; fewer if there are fewer."""
        ...


class Embedder(Protocol):
    """Texts to vectors."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(num_texts, dim) vectors, none of them zero."""
        ...


def words(text: str) -> list[str]:
    """Lower-case words: identifiers whole and in their parts, versions such as 1.2.3 whole."""
    found = []
    for word in _WORD.findall(text):
        parts = [p for p in re.split(r"_+|(?<=[a-z0-9])(?=[A-Z])", word) if p]
        found += [word.lower(), *(p.lower() for p in parts if len(parts) > 1)]
    return found


def documents_of(problems: Iterable[Problem]) -> list[Document]:
    """Documents of all problems, each URL once, in the order of first appearance.

    Problems of one library share references: indexed twice, a document would push others out of the top k. Where a
    problem brings no text the URL itself is what can be found.
    """
    found: dict[str, Document] = {}
    for problem in problems:
        texts = problem.docs_text or [re.sub(r"[/#.?=&_-]+", " ", url) for url in problem.docs]
        for url, text in zip(problem.docs, texts, strict=True):
            found.setdefault(normal_url(url), Document(url, text))
    return list(found.values())


class BM25:
    """Okapi BM25 with idf = log(1 + (N - n + 0.5) / (n + 0.5)), which is never negative.

    Source: Robertson and Zaragoza 2009; k1 and b at their usual values.
    """

    name = "BM25"

    def __init__(self, documents: Sequence[Document], k1: float = 1.5, b: float = 0.75) -> None:
        if not documents:
            raise ValueError("there are no documents to retrieve from")
        self.documents, self.k1, self.b = list(documents), k1, b
        self._counts = [Counter(words(d.text)) for d in self.documents]
        self._lengths = [sum(c.values()) for c in self._counts]
        self._mean = sum(self._lengths) / len(self._lengths) or 1.0
        self._containing = Counter(w for c in self._counts for w in c)

    def scores(self, query: str) -> list[float]:
        """Score of every document."""
        n, terms = len(self.documents), [w for w in dict.fromkeys(words(query)) if w in self._containing]
        idf = {w: math.log(1 + (n - self._containing[w] + 0.5) / (self._containing[w] + 0.5)) for w in terms}
        found = []
        for counts, length in zip(self._counts, self._lengths, strict=True):
            norm = self.k1 * (1 - self.b + self.b * length / self._mean)
            found.append(sum(idf[w] * counts[w] * (self.k1 + 1) / (counts[w] + norm) for w in terms if counts[w]))
        return found

    def top(self, query: str, k: int) -> list[Document]:
        """Best k by score."""
        scores = self.scores(query)
        return [self.documents[i] for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]]


class Dense:
    """Cosine similarity under an embedder."""

    def __init__(self, documents: Sequence[Document], embedder: Embedder) -> None:
        if not documents:
            raise ValueError("there are no documents to retrieve from")
        self.documents, self.embedder, self.name = list(documents), embedder, embedder.name
        self._vectors = _unit(embedder.embed([d.text for d in self.documents]))

    def top(self, query: str, k: int) -> list[Document]:
        """Best k by cosine."""
        scores = self._vectors @ _unit(self.embedder.embed([query]))[0]
        return [self.documents[i] for i in np.argsort(-scores, kind="stable")[:k]]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

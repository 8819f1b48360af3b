"""Metrics of the benchmark, and ours for comparing two systems."""

import math
from collections.abc import Sequence

import numpy as np


def success(passed: Sequence[bool]) -> tuple[float, float]:
    """(rate, standard error): p and sqrt(p (1 - p) / n), over all problems, run or not."""
    if not len(passed):
        raise ValueError("no problem to take a rate of")
    n, p = len(passed), sum(map(bool, passed)) / len(passed)
    return p, math.sqrt(p * (1 - p) / n)


def wilson(passed: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson interval of a rate, 95 % by default: inside [0, 1] also at 0 of n and n of n."""
    if not 0 <= passed <= n or n < 1:
        raise ValueError(f"{passed} of {n} is no rate")
    p, z2 = passed / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half) if passed else 0.0, min(1.0, centre + half) if passed < n else 1.0  # exact ends


def mcnemar(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Exact two-sided p-value that two systems solve equally many: binomial on the problems where they differ."""
    b = sum(bool(x) and not y for x, y in zip(one, other, strict=True))
    c = sum(bool(y) and not x for x, y in zip(one, other, strict=True))
    n, k = b + c, min(b, c)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return min(1.0, 2 * tail)


def agreement(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Share of problems on which both pass or both fail."""
    return sum(bool(x) == bool(y) for x, y in zip(one, other, strict=True)) / len(one)


def normal_url(url: str) -> str:
    return url.lower().rstrip("/")


def retrieval(gold: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """Precision, recall, reciprocal rank of the first gold document, and hit, of one ranked list of URLs."""
    gold_set, ranked = {normal_url(u) for u in gold}, [normal_url(u) for u in found]
    common = gold_set & set(ranked)
    ranks = [rank for rank, url in enumerate(ranked, start=1) if url in gold_set]
    return {
        "precision": len(common) / len(set(ranked)) if ranked else 0.0,
        "recall": len(common) / len(gold_set) if gold_set else 0.0,
        "reciprocal_rank": 1 / ranks[0] if ranks else 0.0,
        "hit": float(bool(common)),
    }


def ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 1, ties get their mean."""
    values = np.asarray(values, float)
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Pearson's correlation of the ranks."""
    return pearson(ranks(x), ranks(y))

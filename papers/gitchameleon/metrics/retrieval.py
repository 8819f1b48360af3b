"""How good retrieved documents are: precision, recall, reciprocal rank and hits against a problem's own references."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Retrieval:
    """Metrics of one ranked list against one gold set."""

    precision: float  # |D & G| / |D|
    recall: float  # |D & G| / |G|
    reciprocal_rank: float  # 1 / rank of the first gold document, 0 if there is none
    hit: float  # 1 if any document is gold
    strict: float  # 1 if all documents are gold; the older script's precision


def normal_url(url: str) -> str:
    """Lower case, without a slash at the end."""
    return url.strip().lower().rstrip("/")


def retrieval(retrieved: Sequence[str], gold: Sequence[str]) -> Retrieval:
    """Metrics of the ranked list `retrieved`. A URL that is retrieved twice counts once, at its first rank.

    Raises:
        ValueError: there are no gold documents.
    """
    wanted = {normal_url(u) for u in gold}
    if not wanted:
        raise ValueError("a problem without references has no retrieval metrics; leave it out")
    found = list(dict.fromkeys(normal_url(u) for u in retrieved))
    good = [rank for rank, url in enumerate(found, start=1) if url in wanted]
    if not found:
        return Retrieval(0.0, 0.0, 0.0, 0.0, 0.0)
    return Retrieval(
        precision=len(good) / len(found),
        recall=len(good) / len(wanted),
        reciprocal_rank=1.0 / good[0] if good else 0.0,
        hit=float(bool(good)),
        strict=float(len(good) == len(found)),
    )


def quality(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over problems per suite, retriever and k, with the paper's errors, std / sqrt(n), in columns `..._se`.

    Args:
        rows: of scoring.retrieval_rows.
    Returns:
        suite, retriever, k, n, and the metrics of `Retrieval`, all but the reciprocal rank in percent.
    """
    names = [field.name for field in fields(Retrieval)]
    factors = [1 if name == "reciprocal_rank" else 100 for name in names]
    groups = rows.assign(**rows[names] * factors).groupby(["suite", "retriever", "k"])[names]
    errors = groups.std(ddof=0).div(np.sqrt(groups.size()), axis=0).add_suffix("_se")
    return groups.mean().join(errors).assign(n=groups.size()).reset_index()

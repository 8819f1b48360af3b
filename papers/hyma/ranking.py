"""How well one order of the pairs agrees with another. No torch here: tables use it, too."""

from typing import Literal

import numpy as np

from shared.base.seeding import numpy_generator

Gain = Literal["raw", "minmax"]
NUM_DRAWS = 4000  # random orders behind an expectation


def gains(truth: np.ndarray, kind: Gain) -> np.ndarray:
    """raw: the scores themselves. minmax: scaled to [0, 1] over the pairs, so that a shift of all changes nothing.

    Raises:
        ValueError: constant scores have no minmax gains.
    """
    truth = np.asarray(truth, dtype=float)
    if kind == "raw":
        return truth
    if np.ptp(truth) == 0:
        raise ValueError("all pairs score the same; no order of them is better than another")
    return (truth - truth.min()) / np.ptp(truth)


def ndcg(scores: np.ndarray, truth: np.ndarray, k: int, kind: Gain = "raw") -> float:
    """DCG@k of the order by `scores` over that of the order by `truth`; gains are of `truth`.

    DCG = sum over ranks r = 1..k of gain / log2(r + 1). Ties of `scores` keep the pairs' order.

    Raises:
        ValueError: k larger than the number of pairs, or unequal lengths.
    """
    scores, gain = np.asarray(scores, dtype=float), gains(truth, kind)
    if scores.shape != gain.shape:
        raise ValueError(f"as many scores as gains are needed; got {len(scores)} and {len(gain)}")
    order, best = np.argsort(-scores, kind="stable"), np.argsort(-gain, kind="stable")
    return float(_dcg(gain[order], k) / _dcg(gain[best], k))


def _dcg(gain: np.ndarray, k: int) -> np.ndarray:
    """Over the last axis, in order of rank."""
    if not 1 <= k <= gain.shape[-1]:
        raise ValueError(f"NDCG@{k} needs at least {k} pairs; there are {gain.shape[-1]}")
    return gain[..., :k] @ (1 / np.log2(np.arange(2, k + 2)))


def random_ndcg(truth: np.ndarray, k: int, kind: Gain, num_draws: int = NUM_DRAWS, seed: int = 0) -> np.ndarray:
    """NDCG@k of random orders, (num_draws,)."""
    gain, rng = gains(truth, kind), numpy_generator(seed, "random orders")
    orders = rng.permuted(np.tile(gain, (num_draws, 1)), axis=1)
    return _dcg(orders, k) / _dcg(np.sort(gain)[::-1], k)


def spearman(scores: np.ndarray, truth: np.ndarray) -> float:
    """Rank correlation. Raises: ValueError, one side is constant."""
    _varied(scores, truth)
    from scipy.stats import spearmanr

    return float(spearmanr(scores, truth).statistic)


def kendall(scores: np.ndarray, truth: np.ndarray) -> float:
    """Kendall's tau-b. Raises: ValueError, one side is constant."""
    _varied(scores, truth)
    from scipy.stats import kendalltau

    return float(kendalltau(scores, truth).statistic)


def _varied(*sides: np.ndarray) -> None:
    if any(np.ptp(np.asarray(side, dtype=float)) == 0 for side in sides):
        raise ValueError("a rank correlation is not defined where all pairs score the same")


def regret(scores: np.ndarray, truth: np.ndarray) -> float:
    """Best true score less that of the pair that `scores` picks."""
    truth = np.asarray(truth, dtype=float)
    return float(truth.max() - truth[int(np.argmax(scores))])


def top_overlap(scores: np.ndarray, truth: np.ndarray, k: int = 3) -> float:
    """Share of the k best pairs that both orders have."""
    best = [set(np.argsort(-np.asarray(side, dtype=float), kind="stable")[:k]) for side in (scores, truth)]
    return len(best[0] & best[1]) / k


def agreement(scores: np.ndarray, truth: np.ndarray, k: int) -> dict[str, float]:
    """All of the above, and NDCG of random orders: its mean, and for raw gains the 95th percentile."""
    row = {"spearman": spearman(scores, truth), "kendall": kendall(scores, truth)}
    for kind in ("raw", "minmax"):
        random = random_ndcg(truth, k, kind)
        row |= {f"ndcg_{kind}": ndcg(scores, truth, k, kind), f"random_{kind}": float(random.mean())}
        row |= {f"random_{kind}_p95": float(np.quantile(random, 0.95))}
    return row | {"top3": top_overlap(scores, truth), "regret": regret(scores, truth)}

"""How well scores tell two sides apart, and how varied texts are. NumPy only.

Scores are those of `score.py`: watermarked text is the positive class and has the LOWER score.
"""

import math
from collections.abc import Sequence

import numpy as np

from shared.base.seeding import numpy_generator


def auc(watermarked: Sequence[float], other: Sequence[float]) -> float:
    """P(score of watermarked text < score of other text) + half of P(equal), by ranks."""
    from scipy.stats import rankdata  # slow to import, and drawing needs none of it

    a, b = _both(watermarked, other)
    ranks = rankdata(np.concatenate([a, b]))
    return float(1 - (ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))


def _both(watermarked: Sequence[float], other: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(watermarked, float), np.asarray(other, float)
    if not len(a) or not len(b):
        raise ValueError(f"both sides need texts; got {len(a)} watermarked and {len(b)} others")
    if not np.isfinite(np.concatenate([a, b])).all():
        raise ValueError("a score is not finite")
    return a, b


def auc_error(watermarked: Sequence[float], other: Sequence[float], *, num_draws: int = 1000, seed: int = 0) -> float:
    """Bootstrap standard error of the AUC by prompt: the i-th texts of both sides are drawn together, with replacement.

    Raises:
        ValueError: sides of different sizes, whose texts cannot have their prompts in common.
    """
    a, b = _both(watermarked, other)
    if len(a) != len(b):
        raise ValueError(f"texts are drawn by prompt, so both sides need as many; got {len(a)} and {len(b)}")
    draw, order = numpy_generator(seed, "auc"), np.sort(b)
    below = (len(b) - np.searchsorted(order, a, "right") + 0.5 * _ties(order, a)) / len(b)  # of each watermarked text
    above = (np.searchsorted(np.sort(a), b, "left") + 0.5 * _ties(np.sort(a), b)) / len(a)  # of each other text
    # a two-sample U-statistic: both sides' resampled placements, to first order
    return float((below + above)[draw.integers(len(a), size=(num_draws, len(a)))].mean(1).std(ddof=1))


def _ties(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.searchsorted(ordered, values, "right") - np.searchsorted(ordered, values, "left")


def roc(watermarked: Sequence[float], other: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates over all thresholds, from (0, 0) to (1, 1)."""
    a, b = _both(watermarked, other)
    thresholds = np.unique(np.concatenate([a, b]))
    fpr = np.searchsorted(np.sort(b), thresholds, "right") / len(b)
    tpr = np.searchsorted(np.sort(a), thresholds, "right") / len(a)
    return np.concatenate([[0.0], fpr]), np.concatenate([[0.0], tpr])


def tpr_at_fpr(watermarked: Sequence[float], other: Sequence[float], fpr: float) -> float:
    """Share of watermarked texts found at the loosest threshold whose false positive rate is at most `fpr`.

    nan where there are fewer than 1 / fpr negatives: such a rate cannot be seen there.
    """
    a, b = _both(watermarked, other)
    if len(b) * fpr < 1 - 1e-12:
        return math.nan
    return float((a < threshold_at_fpr(b, fpr)).mean())


def threshold_at_fpr(negatives: Sequence[float], fpr: float) -> float:
    """The largest threshold t such that at most a share `fpr` of the negatives scores below t.

    Raises:
        ValueError: fewer than 1 / fpr negatives.
    """
    ordered = np.sort(np.asarray(negatives, float))
    allowed = math.floor(fpr * len(ordered) + 1e-12)
    if not 0 < fpr < 1 or allowed < 1:
        raise ValueError(f"{len(ordered)} texts cannot fix a threshold at a false positive rate of {fpr:g}")
    return float(ordered[allowed])


def best_f1_threshold(watermarked: Sequence[float], other: Sequence[float]) -> float:
    """Threshold with the best F1 on a calibration set: halfway between two neighbouring scores."""
    a, b = _both(watermarked, other)
    scores = np.unique(np.concatenate([a, b]))
    cuts = np.concatenate([(scores[1:] + scores[:-1]) / 2, [np.nextafter(scores[-1], np.inf)]])
    return float(cuts[int(np.argmax([f1(a, b, cut) for cut in cuts]))])


def f1(watermarked: Sequence[float], other: Sequence[float], threshold: float) -> float:
    """F1 of calling everything below `threshold` watermarked."""
    a, b = _both(watermarked, other)
    hits, false = (a < threshold).sum(), (b < threshold).sum()
    return float(2 * hits / (len(a) + hits + false))


def distinct(texts: np.ndarray, n: int) -> float:
    """Distinct n-grams over all n-grams of a set of texts (T, L)."""
    texts = np.asarray(texts)
    grams = np.stack([texts[:, i : texts.shape[1] - n + 1 + i] for i in range(n)], -1).reshape(-1, n)
    return len(np.unique(grams, axis=0)) / len(grams)


def repetition(texts: np.ndarray, n: int = 4) -> float:
    """Share of n-grams of a text that occurred in the same text before, mean over texts (T, L)."""
    return float(np.mean([1 - distinct(text[None], n) for text in np.asarray(texts)]))


def matched_pairs(first: Sequence[float], second: Sequence[float], caliper: float) -> list[tuple[int, int]]:
    """Pairs of texts of two sides whose values differ by at most `caliper`, each text once; the closest first."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    gaps = np.abs(a[:, None] - b[None])
    taken_a, taken_b, pairs = set(), set(), []
    for i, j in zip(*np.unravel_index(np.argsort(gaps, axis=None, kind="stable"), gaps.shape), strict=True):
        if gaps[i, j] > caliper:
            break
        if i not in taken_a and j not in taken_b:
            taken_a.add(i), taken_b.add(j), pairs.append((int(i), int(j)))
    return pairs


def auc_bound(kl: float) -> float:
    """No detector has a larger AUC, if KL(watermarked || other) = `kl` nats over the scored text.

    1/2 + v - v^2/2 at v = min(sqrt(kl/2), sqrt(1 - e^-kl)) >= total variation (Pinsker; Bretagnolle and Huber).
    """
    v = min(math.sqrt(max(kl, 0.0) / 2), math.sqrt(1 - math.exp(-max(kl, 0.0))))
    return 0.5 + v - v * v / 2

"""Vocabulary cut into groups of nearly equal frequency mass, from the most to the least frequent token."""

import numpy as np


def token_counts(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """Occurrences of each id, (vocab_size,) int64; `tokens` of any shape."""
    counts = np.bincount(np.asarray(tokens).reshape(-1).astype(np.int64), minlength=vocab_size)
    if len(counts) > vocab_size:
        raise ValueError(f"the text holds id {len(counts) - 1}, but the vocabulary has ids 0..{vocab_size - 1}")
    return counts


def frequency_groups(counts: np.ndarray, num_groups: int) -> np.ndarray:
    """Group of each token, (V,) int64, 0 for the most frequent.

    Tokens are sorted by count (ties by id); group i ends behind the token at which the cumulative mass reaches
    (i + 1) / n. So a group's mass differs from 1/n by at most that of the largest token. Where one token fills several
    groups, the empty ones are left out and the groups number fewer.

    Args:
        counts: occurrences in the training text, (V,), at least one of them positive.
    Source: the split of Kunstner et al. 2024, arXiv 2402.19449.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if num_groups < 1 or counts.ndim != 1 or not counts.sum() > 0 or (counts < 0).any():
        raise ValueError(
            f"needs counts (V,) that are not all zero and at least one group; got shape {counts.shape}, {num_groups}"
        )
    order = np.argsort(-counts, kind="stable")
    cumulative = np.cumsum(counts[order]) / counts.sum()
    ends = np.searchsorted(cumulative, np.arange(1, num_groups) / num_groups, side="left") + 1
    of_rank = np.searchsorted(ends, np.arange(len(counts)), side="right")
    groups = np.empty(len(counts), dtype=np.int64)
    groups[order] = np.unique(of_rank, return_inverse=True)[1]
    return groups

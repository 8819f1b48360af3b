"""Copying, compression and memorisation.

Shapes: N examples, L positions, C content tokens.
"""

import numpy as np

from shared.base.seeding import numpy_generator
from shared.data.synthetic.config import CompressionConfig, CopyConfig, MemorisationConfig, SelectiveCopyConfig
from shared.data.synthetic.registry import UNSCORED, Draws, generates


@generates(SelectiveCopyConfig)
def selective_copy(config: SelectiveCopyConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """C content tokens with blanks before them, the copy token, C blanks at which the content is due in order.

    Content has the ids 0 .. V - 3, the blank is V - 2, the copy token V - 1. Each of L - 2C - 1 blanks stands before
    one of the content tokens, chosen at random, so none follows the last of them.
    Source: Poli et al. 2024 (arXiv 2403.17844); its generator drew the places from a global generator, here they are
    the example's own.
    """
    content, num_blanks = config.num_content, config.seq_len - 2 * config.num_content - 1
    letters = draws.integers("content", config.vocab_size - 2, content)
    gaps = draws.integers("gaps", content, num_blanks)
    before = (gaps[:, :, None] <= np.arange(content)).sum(1)  # blanks up to each content token, (N, C)
    tokens = np.full((draws.num, config.seq_len), config.vocab_size - 2, np.int64)
    np.put_along_axis(tokens, np.arange(content) + before, letters, 1)
    tokens[:, num_blanks + content] = config.vocab_size - 1
    targets = np.full_like(tokens, UNSCORED)
    targets[:, -content:] = letters
    return tokens, targets


@generates(CopyConfig)
def copy(config: CopyConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """BOS x_1 .. x_n SEP x_1 .. x_(n-1): from SEP on each next letter is due; n is uniform in its range.

    Source: Jelassi et al. 2024 (arXiv 2402.01032), section 4.
    """
    bos, sep, pad, end = (config.num_letters + k for k in range(4))
    letters = draws.integers("letters", config.num_letters, config.max_length)
    span = config.max_length - config.min_length + 1
    length = config.min_length + draws.integers("length", span, 1)  # (N, 1)
    column = np.arange(config.max_length)
    inside = column < length
    due = np.where(inside, letters, UNSCORED)
    fed = np.where(inside if config.end_token else column < length - 1, letters, pad)
    if config.end_token:
        due = np.column_stack([due, np.full(draws.num, UNSCORED)])
        np.put_along_axis(due, length, end, 1)
    tokens = np.full((draws.num, config.num_positions), pad, np.int64)
    targets = np.full_like(tokens, UNSCORED)
    tokens[:, 0] = bos
    tokens[:, 1 : config.max_length + 1] = np.where(inside, letters, pad)
    np.put_along_axis(tokens, length + 1, sep, 1)
    row = np.arange(draws.num)[:, None]
    fed = fed if config.end_token else fed[:, :-1]
    behind = length + 2 + np.arange(fed.shape[1])
    keep = fed != pad
    tokens[np.broadcast_to(row, keep.shape)[keep], behind[keep]] = fed[keep]
    at = length + 1 + np.arange(due.shape[1])
    keep = due != UNSCORED
    targets[np.broadcast_to(row, keep.shape)[keep], at[keep]] = due[keep]
    return tokens, targets


@generates(MemorisationConfig)
def memorisation(config: MemorisationConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """k, insert, k, insert ...: at each insert token (id V - 1) the value of the key before it under one fixed map.

    Keys are 0 .. h - 1, values h .. 2 h - 1, h = (V - 1) / 2 rounded down. Source: Poli et al. 2024 (arXiv 2403.17844).
    """
    half = (config.vocab_size - 1) // 2
    value_of = half + numpy_generator(config.map_seed, "memorised map").integers(half, size=half)
    keys = draws.integers("keys", half, config.seq_len // 2)
    tokens = np.full((draws.num, config.seq_len), config.vocab_size - 1, np.int64)
    targets = np.full_like(tokens, UNSCORED)
    tokens[:, 0 : 2 * keys.shape[1] : 2] = keys
    targets[:, 1 : 2 * keys.shape[1] : 2] = value_of[keys]
    return tokens, targets


@generates(CompressionConfig)
def compression(config: CompressionConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """L - 1 random tokens below V - 1 and the token V - 1; every token is due, from the state at the last position.

    Source: Poli et al. 2024 (arXiv 2403.17844).
    """
    tokens = draws.integers("tokens", config.vocab_size - 1, config.seq_len)
    tokens[:, -1] = config.vocab_size - 1
    return tokens, tokens.copy()

"""Recall: the value that a key had earlier in the sequence.

Shapes: N examples, L positions, K pairs, S slots, P pairs of positions.
"""

import functools
import itertools

import numpy as np

from shared.data.synthetic.config import (
    FuzzyRecallConfig,
    InContextRecallConfig,
    MQARConfig,
    NoisyRecallConfig,
    RebindingRecallConfig,
)
from shared.data.synthetic.registry import UNSCORED, Draws, generates


@generates(MQARConfig)
def mqar(config: MQARConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """k_1 v_1 ... k_K v_K, then slots of two positions; key i stands once more at slot s_i, where its value is due.

    Keys are 1 .. V/2 - 1, values V/2 .. V - 1. The slots are drawn one after another without replacement with weights
    (g + 1)^(a - 1), here as the K largest of log weight + Gumbel noise. Filler never touches a key, value or query.
    Source: Arora et al. 2023 (arXiv 2312.04927), section 4 and its published generator.
    """
    half, num_pairs = config.vocab_size // 2, config.num_pairs
    keys = 1 + draws.distinct("keys", half - 1, num_pairs)
    values = half + draws.distinct("values", half, num_pairs)
    slots = query_slots(config, draws)
    shape = (draws.num, config.seq_len)
    tokens = np.zeros(shape, np.int64)
    if config.filler == "random":
        tokens = draws.integers("filler", config.vocab_size, config.seq_len)
    tokens[:, 0 : 2 * num_pairs : 2], tokens[:, 1 : 2 * num_pairs : 2] = keys, values
    targets = np.full(shape, UNSCORED, np.int64)
    at = 2 * num_pairs + 2 * slots
    np.put_along_axis(tokens, at, keys, 1)
    np.put_along_axis(targets, at, values, 1)
    return tokens, targets


def query_slots(config: MQARConfig, draws: Draws) -> np.ndarray:
    """Slot of each pair's query, (N, K)."""
    exponentials = -np.log1p(-draws.uniforms("slots", config.num_slots))  # Exp(1); log weight + Gumbel in other words:
    arrivals = exponentials * np.arange(1, config.num_slots + 1) ** (1 - config.power_a)  # first arrivals are drawn
    return np.argsort(arrivals, axis=1, kind="stable")[:, : config.num_pairs]


@generates(NoisyRecallConfig)
@generates(InContextRecallConfig)
def in_context_recall(config: InContextRecallConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """L/2 - 1 pairs of a random key and its value, then a pair whose key was seen; with noise some pairs are noise.

    Keys are the lower half of the ordinary ids, values the upper half; a key has one value for the whole sequence. One
    pair is protected from noise, so that there is a key to ask for. Source: Poli et al. 2024 (arXiv 2403.17844),
    appendix on the tasks, and its published generator; there an example ends before its last value.
    """
    half, num_pairs = config.num_ordinary // 2, config.seq_len // 2
    value_of = half + draws.integers("values", half, half)  # (N, keys)
    keys = draws.integers("keys", half, num_pairs)
    noise_ids, fraction = config.num_noise
    noisy = draws.uniforms("noisy", num_pairs) < fraction
    np.put_along_axis(noisy, draws.integers("protected", num_pairs - 1, 1), False, 1)
    noisy[:, -1] = False
    before, seen = np.zeros((draws.num, num_pairs), bool), np.zeros((draws.num, half), bool)
    everyone, choice = np.arange(draws.num), draws.uniforms("last key", half)
    for pair in range(num_pairs):
        if pair == num_pairs - 1:
            keys[:, pair] = np.where(seen, choice, -1.0).argmax(1)
        before[:, pair] = seen[everyone, keys[:, pair]] & ~noisy[:, pair]
        seen[everyone, keys[:, pair]] |= ~noisy[:, pair]
    tokens = np.stack([keys, np.take_along_axis(value_of, keys, 1)], axis=2)
    if noise_ids:
        noise = config.num_ordinary + draws.integers("noise", noise_ids, num_pairs, 2)
        tokens = np.where(noisy[..., None], noise, tokens)
    due = np.where(before, tokens[..., 1], UNSCORED)
    targets = np.stack([due, np.full_like(due, UNSCORED)], axis=2).reshape(draws.num, -1)
    tokens = tokens.reshape(draws.num, -1)
    return tokens, _next_tokens(tokens) if config.targets == "all" else targets


def _next_tokens(tokens: np.ndarray, pad: int | None = None) -> np.ndarray:
    """Every next token is due; nothing at the last position, nor at padding."""
    targets = np.full_like(tokens, UNSCORED)
    targets[:, :-1] = tokens[:, 1:]
    return targets if pad is None else np.where(tokens == pad, UNSCORED, targets)


@functools.cache
def words(alphabet: int) -> tuple[np.ndarray, np.ndarray]:
    """All words of 1 to 3 distinct letters of 0 .. alphabet - 1: letters (W, 3), -1 behind the end; lengths (W,)."""
    found = [word for length in (1, 2, 3) for word in itertools.permutations(range(alphabet), length)]
    letters = np.full((len(found), 3), -1, np.int64)
    for row, word in zip(letters, found, strict=True):
        row[: len(word)] = word
    return letters, np.array([len(word) for word in found])


@generates(FuzzyRecallConfig)
def fuzzy_recall(config: FuzzyRecallConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of words as long as they fit, padded on the left; the last key has three letters and was seen.

    Keys are words over the ids 0 .. h - 1, values over h .. 2 h - 1, h = (V - 1) / 2 rounded down; a key has one value
    for the whole sequence. Due are the letters of values whose key was seen. Source: as `in_context_recall`.
    """
    half, pad, most = (config.vocab_size - 1) // 2, config.vocab_size - 1, config.seq_len // 2
    letters, lengths = words(half)
    value_of = draws.integers("values", len(letters), len(letters))
    key = draws.integers("keys", len(letters), most)
    longest = np.flatnonzero(lengths == 3)
    key[:, 0] = longest[draws.integers("first key", len(longest), 1)[:, 0]]
    value = np.take_along_axis(value_of, key, 1)
    room = config.seq_len - 6  # the last pair has at most six letters
    kept = np.cumsum(lengths[key] + lengths[value], axis=1) <= room
    candidates = kept & (lengths[key] == 3)
    last = np.where(candidates, draws.uniforms("last key", most), -1.0).argmax(1)
    key = np.column_stack([key, key[np.arange(draws.num), last]])
    value, kept = np.take_along_axis(value_of, key, 1), np.column_stack([kept, np.ones(draws.num, bool)])
    before, seen, everyone = np.zeros_like(kept), np.zeros((draws.num, len(letters)), bool), np.arange(draws.num)
    for pair in range(most + 1):
        before[:, pair] = seen[everyone, key[:, pair]]
        seen[everyone, key[:, pair]] |= kept[:, pair]
    text = np.concatenate([letters[key], letters[value] + np.where(letters[value] < 0, 0, half)], axis=2)  # (N, P, 6)
    is_value = np.broadcast_to(np.arange(6) >= 3, text.shape)
    present = ((text >= 0) & kept[..., None]).reshape(draws.num, -1)
    place = config.seq_len - present.sum(1, keepdims=True) + np.cumsum(present, axis=1) - 1
    row, column = np.nonzero(present)
    tokens = np.full((draws.num, config.seq_len), pad, np.int64)
    tokens[row, place[row, column]] = text.reshape(draws.num, -1)[row, column]
    if config.targets == "all":
        return tokens, _next_tokens(tokens, pad)
    asked = (is_value & before[..., None]).reshape(draws.num, -1) & present
    row, column = np.nonzero(asked)
    targets = np.full_like(tokens, UNSCORED)
    targets[row, place[row, column] - 1] = text.reshape(draws.num, -1)[row, column]
    return tokens, targets


@generates(RebindingRecallConfig)
def rebinding_recall(config: RebindingRecallConfig, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Slots of a key and a value: a query of a bound key, whose latest value is due and follows, or a new binding."""
    half, num_slots = config.vocab_size // 2, config.seq_len // 2
    latest, everyone = np.full((draws.num, half), -1, np.int64), np.arange(draws.num)
    asks = draws.uniforms("asks", num_slots) < config.query_probability
    choice, fresh = draws.uniforms("choice", num_slots, half), half + draws.integers("values", half, num_slots)
    tokens = np.empty((draws.num, num_slots, 2), np.int64)
    targets = np.full((draws.num, num_slots, 2), UNSCORED, np.int64)
    asks[:, 0] = False
    for slot in range(num_slots):
        key = np.where((latest >= 0) | ~asks[:, slot, None], choice[:, slot], -1.0).argmax(1)
        value = np.where(asks[:, slot], latest[everyone, key], fresh[:, slot])
        latest[everyone, key] = value
        tokens[:, slot, 0], tokens[:, slot, 1] = key, value
        targets[:, slot, 0] = np.where(asks[:, slot], value, UNSCORED)
    return tokens.reshape(draws.num, -1), targets.reshape(draws.num, -1)


def gaps(tokens: np.ndarray) -> np.ndarray:
    """Distance of every token to the first place where it stood before, 0 where it did not; (N, L) -> (N, L)."""
    found = np.zeros_like(tokens)
    for lag in range(1, tokens.shape[1]):
        found[:, lag:] = np.where(tokens[:, lag:] == tokens[:, :-lag], lag, found[:, lag:])
    return found

"""MQAR by brute force, its slot law against sequential draws, the position-only baseline, public bug reports."""

import itertools

import numpy as np
import pytest

from shared.data.synthetic.baselines import (
    position_only_accuracy,
    position_rule,
    slot_law,
    value_guess_accuracy,
)
from shared.data.synthetic.config import MQARConfig
from shared.data.synthetic.registry import UNSCORED, examples


def small(**changes) -> MQARConfig:
    return MQARConfig(**{"vocab_size": 32, "seq_len": 16, "num_pairs": 3} | changes)


def pairs_of(tokens: list[int], config: MQARConfig) -> dict[int, int]:
    """A dictionary of the context: the oracle."""
    context = tokens[: 2 * config.num_pairs]
    return dict(zip(context[::2], context[1::2], strict=True))


@pytest.mark.parametrize("filler", ["zero", "random"])
def test_every_key_is_asked_for_once_and_its_value_is_due(filler):
    config = small(filler=filler)
    found = examples(config, 0, range(400))
    for tokens, targets in zip(found.tokens.tolist(), found.targets.tolist(), strict=True):
        value_of = pairs_of(tokens, config)
        asked = [at for at, target in enumerate(targets) if target != UNSCORED]
        assert sorted(value_of) == sorted(tokens[at] for at in asked) and len(value_of) == 3
        assert all(1 <= key < 16 <= value < 32 for key, value in value_of.items())
        assert len(set(value_of.values())) == 3
        assert all(at >= 6 and at % 2 == 0 and targets[at] == value_of[tokens[at]] for at in asked)
        if filler == "zero":
            assert all(token == 0 for at, token in enumerate(tokens[6:], 6) if at not in asked)


def test_random_filler_leaves_keys_values_and_queries_alone():
    """Filler written wherever a token is 0 once overwrote what happened to be 0; here both fillers share all else."""
    zero, filled = (examples(small(filler=filler), 1, range(300)) for filler in ("zero", "random"))
    np.testing.assert_array_equal(zero.targets, filled.targets)
    meant = zero.tokens != 0
    np.testing.assert_array_equal(zero.tokens[meant], filled.tokens[meant])
    assert set(np.unique(filled.tokens[~meant])) == set(range(32))


def test_keys_are_uniform_ordered_choices():
    config = small(vocab_size=10, seq_len=8, num_pairs=2)
    keys = examples(config, 2, range(12000)).tokens[:, [0, 2]]
    counts = {pair: int((keys == pair).all(1).sum()) for pair in itertools.permutations(range(1, 5), 2)}
    assert sum(counts.values()) == 12000
    expected = 1000
    assert sum((c - expected) ** 2 / expected for c in counts.values()) < 31.3  # chi-square, 11 degrees, 99.9 %


def sequential_law(num_slots: int, num_pairs: int, power_a: float) -> np.ndarray:
    """P(i-th draw = g) by enumerating all ordered draws."""
    weight, law = np.arange(1, num_slots + 1) ** (power_a - 1.0), np.zeros((num_slots, num_pairs))
    for order in itertools.permutations(range(num_slots), num_pairs):
        left, p = weight.sum(), 1.0
        for g in order:
            p, left = p * weight[g] / left, left - weight[g]
        for i, g in enumerate(order):
            law[g, i] += p
    return law


@pytest.mark.parametrize(("num_slots", "num_pairs", "power_a"), [(5, 3, 0.01), (6, 2, 0.5), (4, 4, 1.0)])
def test_the_slot_law_is_that_of_drawing_without_replacement(num_slots, num_pairs, power_a):
    config = small(seq_len=2 * (num_slots + num_pairs), num_pairs=num_pairs, power_a=power_a)
    np.testing.assert_allclose(slot_law(config), sequential_law(num_slots, num_pairs, power_a), atol=1e-9)


def test_slots_of_examples_follow_the_law():
    config = small()
    found = examples(config, 3, range(20000))
    keys, law = found.tokens[:, 0:6:2], slot_law(config)
    slots = (found.tokens[:, 6::2][:, None, :] == keys[:, :, None]).argmax(2)  # (N, K)
    for pair in range(3):
        counts = np.bincount(slots[:, pair], minlength=5)
        expected = 20000 * law[:, pair]
        assert ((counts - expected) ** 2 / expected).sum() < 18.5  # chi-square, 4 degrees, 99.9 %


# (L, K): the values of a Monte Carlo estimate, whose maximum over pairs lies a little too high
TABLE = {(16, 4): 0.386, (32, 4): 0.307, (64, 4): 0.288, (128, 8): 0.155, (256, 16): 0.086}


@pytest.mark.parametrize(("length", "num_pairs"), TABLE)
def test_the_position_only_baseline(length, num_pairs):
    config = MQARConfig(seq_len=length, num_pairs=num_pairs)
    assert position_only_accuracy(config) == pytest.approx(TABLE[length, num_pairs], abs=0.005)


def test_oracle_position_rule_and_value_guess_score_what_they_should():
    config = small(num_pairs=4)
    found, rule = examples(config, 4, range(4000)), position_rule(small(num_pairs=4))
    hits = {"oracle": [], "position": [], "first value": []}
    for tokens, targets in zip(found.tokens.tolist(), found.targets.tolist(), strict=True):
        value_of = pairs_of(tokens, config)
        values = tokens[1:8:2]
        asked = [at for at, target in enumerate(targets) if target != UNSCORED]
        hits["oracle"].append(np.mean([value_of[tokens[at]] == targets[at] for at in asked]))
        hits["position"].append(np.mean([values[rule[(at - 8) // 2]] == targets[at] for at in asked]))
        hits["first value"].append(np.mean([values[0] == targets[at] for at in asked]))
    assert np.mean(hits["oracle"]) == 1.0
    assert np.mean(hits["position"]) == pytest.approx(position_only_accuracy(config), abs=0.02)
    assert np.mean(hits["first value"]) == pytest.approx(value_guess_accuracy(config))


def test_a_full_sequence_asks_at_every_slot():
    config = small(num_pairs=4)
    assert ((examples(config, 0, range(100)).targets[:, 8::2]) != UNSCORED).all()


def test_train_and_test_streams_share_no_example():
    one, other = ({tuple(row) for row in examples(small(), seed, range(3000)).tokens.tolist()} for seed in (10, 11))
    assert len(one & other) <= 1  # 3000 of 15 * 14 * 13 * 16 * 15 * 14 * 60 each


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seq_len": 15}, "must be even"),
        ({"num_pairs": 5}, "need seq_len of at least 20"),
        ({"vocab_size": 16}, "must exceed seq_len"),
        ({"vocab_size": 33}, "must be even"),
        ({"power_a": 0.0}, "greater than 0"),
        ({"train_power_a": 0.1}, "train_power_a"),
    ],
)
def test_what_is_no_mqar_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        small(**changes)

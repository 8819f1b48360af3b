"""The Markov source knows its own entropy, likelihood and support."""

import itertools

import numpy as np
import pytest
import torch

from shared.base.seeding import torch_generator
from shared.data.config import MarkovConfig
from shared.data.markov import MarkovSource, markov_source


def two_state_chain(a: float, b: float) -> MarkovSource:
    """0 -> 1 with probability a, 1 -> 0 with probability b."""
    return MarkovSource(np.array([[0, 1], [0, 1]]), np.array([[1 - a, a], [b, 1 - b]]), num_states=2)


def binary_entropy(p: float) -> float:
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def test_two_state_chain_has_the_entropy_rate_of_the_closed_form():
    a, b = 0.3, 0.1
    chain = two_state_chain(a, b)
    assert chain.stationary == pytest.approx([b / (a + b), a / (a + b)], abs=1e-14)
    expected = (b * binary_entropy(a) + a * binary_entropy(b)) / (a + b)
    assert chain.entropy_rate == pytest.approx(expected, abs=1e-14)


def test_deterministic_cycle_has_entropy_zero():
    assert markov_source(MarkovConfig(num_states=7, num_successors=1)).entropy_rate == 0.0


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_probabilities_of_all_sequences_sum_to_one(order, epsilon):
    chain = markov_source(MarkovConfig(num_states=3, num_successors=2, order=order, seed=4))
    every = np.array(list(itertools.product(range(3), repeat=5)))
    assert np.exp(chain.sequence_log_likelihood(every, epsilon)).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_log_likelihood_equals_the_product_written_out(order):
    chain = markov_source(MarkovConfig(num_states=4, num_successors=2, order=order, seed=1))
    law = {}
    for context in itertools.product(range(4), repeat=order):
        index = int("".join(map(str, context)), 4)
        row = dict(zip(chain.successors[index].tolist(), chain.probabilities[index].tolist(), strict=True))
        law[context] = (chain.stationary[index], row)
    tokens = [*chain.sample(20, 6, torch_generator(0, "test")).tolist(), [0] * 6]
    for sequence, found in zip(tokens, chain.sequence_log_likelihood(np.array(tokens)), strict=True):
        p = law[tuple(sequence[:order])][0]
        for t in range(order, 6):
            p *= law[tuple(sequence[t - order : t])][1].get(sequence[t], 0.0)
        assert np.exp(found) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_samples_have_the_stationary_frequencies_and_the_entropy_rate(order):
    chain = markov_source(MarkovConfig(num_states=6, num_successors=3, order=order, seed=2))
    tokens = chain.sample(4000, 50, torch_generator(3, "test"))
    assert chain.illegal_rate(tokens).max() == 0.0
    contexts = chain._split(tokens)[0]
    for position in (0, -1):  # stationary from the first position to the last
        found = np.bincount(contexts[:, position], minlength=6**order) / 4000
        assert np.abs(found - chain.stationary).max() < 4 * 0.5 / np.sqrt(4000)  # 4 standard errors
    # mean NLL = (H(start) + (L - order) h) / L; its standard error over 4000 sequences is below 0.003
    start = chain.stationary[chain.stationary > 0]
    expected = (-(start * np.log(start)).sum() + (50 - order) * chain.entropy_rate) / 50
    assert chain.nll(tokens, epsilon=0.0).mean() == pytest.approx(expected, abs=0.012)


def test_every_state_recurs_at_order_one():
    for seed in range(20):
        assert (markov_source(MarkovConfig(num_states=40, num_successors=2, seed=seed)).stationary > 0).all()


def test_smoothing_keeps_impossible_sequences_finite():
    chain = markov_source(MarkovConfig(num_states=5, num_successors=1))
    stuck = np.zeros((1, 8), int)
    assert chain.sequence_log_likelihood(stuck)[0] == -np.inf
    assert chain.illegal_rate(stuck)[0] == 1.0
    assert chain.nll(stuck, 1e-3)[0] == pytest.approx(
        -(np.log(0.999 / 5 + 1e-3 / 5) + 7 * np.log(1e-3 / 5)) / 8, rel=1e-12
    )


@pytest.mark.parametrize("order", [1, 2])
def test_a_row_of_a_batch_does_not_depend_on_the_rows_asked_for(order):
    chain = markov_source(MarkovConfig(num_states=6, num_successors=3, order=order))
    whole = chain.crops(5, 7, range(32), 32, 19)
    assert torch.equal(chain.crops(5, 7, range(8, 20), 32, 19), whole[8:20])
    assert torch.equal(chain.crops(5, 7, range(1, 32, 4), 32, 19), whole[1::4])
    assert not torch.equal(chain.crops(5, 8, range(32), 32, 19), whole)
    assert not torch.equal(chain.crops(6, 7, range(32), 32, 19), whole)
    assert len(torch.unique(whole, dim=0)) == 32


def test_settings_that_make_no_chain_are_refused():
    with pytest.raises(ValueError, match="only 4 states"):
        MarkovConfig(num_states=4, num_successors=5)
    with pytest.raises(ValueError, match="at most 4096"):
        MarkovConfig(num_states=100, order=2)
    with pytest.raises(ValueError, match=r"0\.\.3"):
        markov_source(MarkovConfig(num_states=4)).nll(np.full((1, 3), 4))

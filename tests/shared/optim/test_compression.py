"""Unbiased compressors: mean and variance by enumeration or Monte Carlo."""

import itertools

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.optim.compression import Bernoulli, Identity, Quantise, RandK, Sign, TopK, require_unbiased
from shared.optim.draws import ClientDraws, client_draws, one_client, uniform

V = torch.tensor([0.5, -2.0, 1.0, 3.0, 0.0, -0.7, 1.9, -1.1, 0.2, 4.0], dtype=torch.float64)


def samples(compressor, v, count=100_000, seed=0):
    return compressor(v.expand(count, 1, -1), torch_generator(seed, "compression"))[:, 0]


def test_rand_k_is_unbiased_over_all_subsets_and_attains_omega():
    v = V[:4]
    outcomes = {tuple(row.tolist()) for row in samples(RandK(2), v, 2000)}
    expected = {tuple((2 * v * torch.tensor(mask)).tolist()) for mask in itertools.product((0.0, 1.0), repeat=4)
                if sum(mask) == 2}  # fmt: skip
    assert outcomes == expected and len(expected) == 6
    table = torch.tensor(sorted(expected), dtype=torch.float64)
    assert table.mean(0).allclose(v, rtol=1e-14)
    error = (table - v).square().sum(1).mean() / v.square().sum()
    assert float(error) == pytest.approx(RandK(2).omega(4)) == 1.0


@pytest.mark.parametrize("compressor", [RandK(3), Bernoulli(0.25), Quantise(2), Identity(), Bernoulli.with_omega(4.0)])
def test_mean_and_variance_of_the_unbiased_compressors(compressor):
    draws = samples(compressor, V)
    spread = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - V).abs() <= 5 * spread + 1e-12).all()
    ratio = float((draws - V).square().sum(1).mean() / V.square().sum())
    if isinstance(compressor, Quantise):
        assert 0.02 < ratio <= compressor.omega(10)
    else:
        assert ratio == pytest.approx(compressor.omega(10), rel=0.01)  # four standard errors of 1e5 draws


def test_subsets_of_rand_k_are_equally_likely():
    kept = samples(RandK(1), torch.ones(4, dtype=torch.float64), 40_000) > 0
    assert (kept.double().mean(0) - 0.25).abs().max() < 0.01  # four standard errors


def test_clients_and_runs_get_masks_of_their_own():
    v = torch.ones(3, 5, 64, dtype=torch.float64)
    masks = Bernoulli(0.5)(v, torch_generator(0, "masks")) > 0
    assert len({tuple(row.tolist()) for row in masks.flatten(0, 1)}) == 15


def test_clients_may_keep_different_shares():
    v = torch.ones(4000, 2, 8, dtype=torch.float64)
    compressor = Bernoulli([1.0, 0.25])
    out = compressor(v, torch_generator(0, "masks"))
    assert (out[:, 0] == 1).all() and set(out[:, 1].unique().tolist()) == {0.0, 4.0}
    assert compressor.omega(8).tolist() == [0.0, 3.0]


def test_quantised_vectors_lie_on_the_grid_and_zero_stays_zero():
    out = samples(Quantise(4), V, 100)
    level = 4 * out.abs() / V.norm()
    assert (level - level.round()).abs().max() < 1e-12
    assert (samples(Quantise(4), torch.zeros(3), 5) == 0).all()


def test_a_process_with_its_own_stream_draws_what_the_simulation_draws_for_it():
    whole, v = client_draws(5, 3, "run"), torch.zeros(3, 7, dtype=torch.float64)
    for step in range(2):
        together = uniform(v, whole.masks)
        for index in range(3):
            own = one_client(5, index, "run")
            for _ in range(step + 1):
                alone = uniform(v[:1], own.masks)
            assert alone[0].equal(together[index])
    assert isinstance(whole, ClientDraws)


def test_biased_compressors_are_refused_where_the_theory_needs_unbiased_ones():
    assert TopK(1)(V, torch_generator(0)).nonzero().flatten().tolist() == [9]
    for compressor in (TopK(2), Sign()):
        with pytest.raises(ValueError, match="is biased; use Identity"):
            require_unbiased(compressor)
        with pytest.raises(ValueError, match="has no omega"):
            compressor.omega(4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandK(0), "at least one coordinate; got k = 0"),
        (lambda: RandK(5).omega(4), "cannot keep k = 5 of 4"),
        (lambda: Bernoulli(0.0), r"lies in \(0, 1\]; got 0.0"),
        (lambda: Bernoulli([0.5, 1.5]), r"lies in \(0, 1\]"),
        (lambda: Bernoulli.with_omega(-1.0), "omega is at least 0"),
        (lambda: Quantise(0), "at least one level"),
        (lambda: uniform(torch.zeros(2, 3), [torch_generator(0)]), "need vectors of shape"),
    ],
)
def test_what_is_out_of_range_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

"""The solver: its stopping rule, its damping, its truncated gradient, and members of an ensemble."""

import pytest
import torch

from papers.fixed_point_rnn.settings import SolverSettings
from papers.fixed_point_rnn.solver import quantile, relative_residual, solve

EXACT = SolverSettings(tol=1e-12, quantile=1.0, l_max=5000)


def zeros(batch=1, length=1, width=1):
    return torch.zeros(batch, length, width, dtype=torch.float64)


def test_halving_stops_after_ten_iterations():
    found = solve(lambda y: 0.5 * y + 1, zeros(), SolverSettings(tol=1e-3, l_max=1000, quantile=1.0))
    assert int(found.iterations) == 10 + 1  # the differentiable step is counted
    assert float(found.y) == 2 - 2.0**-10


def test_residual_is_that_of_the_worst_token_and_channel():
    new = torch.tensor([[[1.0, -2.0], [4.0, 0.5]], [[1.0, 1.0], [1.0, 1.0]]])
    old = torch.tensor([[[1.0, -1.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert relative_residual(new, old).tolist() == pytest.approx([1.0 / 2.0, 0.0])  # the second token's is 0.5 / 4


def test_a_slightly_expanding_map_converges_once_the_damping_drops():
    settings = SolverSettings(tol=1e-3, l_max=1000, quantile=1.0, damping_decay=0.9, patience=15)
    found = solve(lambda y: -1.05 * y + 1, zeros(), settings)
    assert int(found.iterations) == 67 + 1
    assert float(found.y) == pytest.approx(1 / 2.05, abs=2e-3)
    kept = solve(lambda y: -1.05 * y + 1, zeros(), settings.model_copy(update={"damping_decay": 1.0}))
    assert int(kept.iterations) == 1001 and float(kept.best) > 1e-3


def test_the_quantile_decides_which_sequences_may_be_left():
    rates = torch.tensor([0.1, 0.1, 0.1, 0.9], dtype=torch.float64)[:, None, None]
    counts = [
        int(solve(lambda y: rates * y + 1, zeros(4), SolverSettings(tol=0.01, l_max=500, quantile=q)).iterations)
        for q in (0.6, 1.0)
    ]
    assert counts[0] == 3 + 1 and counts[1] > 20


def test_a_sequence_that_has_once_met_the_tolerance_keeps_that():
    """One stands still in the first iteration and moves later, the other one the other way round."""
    ways = iter(torch.tensor([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0], [4.0, 2.0]])[..., None, None])
    found = solve(lambda y: next(ways), torch.ones(2, 1, 1), SolverSettings(l_max=3, quantile=1.0))
    assert int(found.iterations) == 2 + 1
    assert found.best.tolist() == [0.0, 0.0] and found.residual.tolist() == [0.5, 0.0]


def test_quantile_is_torchs():
    values = torch.tensor([3.0, 1.0, 7.0, 2.0, 2.5])
    for q in (0.0, 0.3, 0.75, 0.9, 1.0):
        torch.testing.assert_close(quantile(values, q), torch.quantile(values, q))


def test_gradient_of_one_step_and_of_many():
    """y = a y + x: dy*/dx = 1 / (1 - a); k steps give 1 + a + ... + a^(k - 1)."""
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    for k in (1, 2, 5):
        found = solve(lambda y: 0.5 * y + x, zeros(), EXACT.model_copy(update={"num_backward": k}))
        (gradient,) = torch.autograd.grad(found.y.sum(), x)
        assert float(gradient) == pytest.approx(2 - 2.0 ** (1 - k))


def test_l_max_of_a_call_replaces_that_of_the_settings():
    for limit in (3, torch.tensor(3)):
        assert int(solve(lambda y: 0.9 * y + 1, zeros(), EXACT, l_max=limit).iterations) == 4


def test_members_stop_by_their_own_rule_under_vmap():
    settings = SolverSettings(tol=1e-4, quantile=0.75, l_max=300, damping=0.99, damping_decay=0.9, patience=5)
    rates = torch.tensor([[0.1], [0.8], [-1.02]], dtype=torch.float64)

    def run(rate):
        found = solve(lambda y: rate * y + torch.ones(2, 3, 1, dtype=torch.float64), zeros(2, 3), settings)
        return found.y, found.iterations, found.best

    stacked = torch.vmap(run)(rates)
    for index, rate in enumerate(rates):
        for whole, alone in zip(stacked, run(rate), strict=True):
            torch.testing.assert_close(whole[index], alone, rtol=0, atol=0)
    assert len(set(stacked[1].tolist())) == 3


def test_what_is_not_finite_is_named_by_its_iteration():
    def explode(y):
        return torch.where(y > 2, torch.full_like(y, float("nan")), 2 * y + 1)

    with pytest.raises(ValueError, match="not finite after iteration 3"):
        solve(explode, zeros(), EXACT, strict=True)


@pytest.mark.parametrize("values", [{"tol": 0.0}, {"tol": 1.0}, {"l_max": 0}, {"quantile": 0.0}, {"patience": 0}])
def test_refused_settings(values):
    with pytest.raises(ValueError):
        SolverSettings(**values)

"""Paths: closed forms, explosions, blocks and threads."""

import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.sde.problem import SDE
from shared.sde.simulate import simulate
from shared.sde.weak_error import linear_moments, mean_estimate, quantiles_with_explosions

ORNSTEIN = SDE(lambda x, t: -1.3 * x, lambda x, t: 0.8, noise="additive")


def run(sde, x0, **changes):
    settings = {"step_size": 0.01, "num_steps": 100, "generator": torch_generator(0, "paths")} | changes
    return simulate(sde, x0, **settings)


@pytest.mark.parametrize("scheme", ["euler", "platen"])
def test_mean_and_variance_of_an_ornstein_uhlenbeck_process(scheme):
    paths = run(ORNSTEIN, torch.full((20_000, 1), 2.0, dtype=torch.float64), scheme=scheme)
    mean, second = linear_moments(2.0, 1.0, rate=1.3, additive=0.64)
    last = paths.states[-1]
    for found, exact in ((mean_estimate(last), mean), (mean_estimate(last**2), second)):
        bias = 0.02 if scheme == "euler" else 1e-3  # dt times a constant of order one
        assert abs(found.mean - exact) < 4 * found.standard_error + bias


def test_without_diffusion_the_error_to_the_ordinary_equation_is_of_order_dt():
    sde = SDE(lambda x, t: -x, lambda x, t: 0.0, noise="additive")
    x0 = torch.ones(1, 1, dtype=torch.float64)
    errors = [float(run(sde, x0, step_size=1 / n, num_steps=n).states[-1]) - math.exp(-1) for n in (100, 200)]
    assert abs(errors[0] / errors[1] - 2) < 0.02 and abs(errors[0]) < 2e-3


def test_threads_do_not_change_the_paths_and_another_seed_does():
    x0 = torch.ones(50, 3, dtype=torch.float64)
    one, two = (run(ORNSTEIN, x0, num_threads=n, block_numbers=24, record_every=10) for n in (1, 2))
    assert one.states.equal(two.states)
    other = run(ORNSTEIN, x0, block_numbers=24, generator=torch_generator(1, "paths"))
    assert not one.states[-1].equal(other.states[-1])
    assert len(one.states[-1].unique()) == 150  # every coordinate of every block has noise of its own


def test_parameters_and_step_sizes_run_together():
    rates = torch.tensor([0.5, 2.0], dtype=torch.float64).unsqueeze(-1)
    steps = torch.tensor([0.01, 0.02], dtype=torch.float64).unsqueeze(-1)
    sde = SDE(lambda x, t: -rates * x, lambda x, t: 0.0, noise="additive")
    last = run(sde, torch.ones(3, 2, 1, dtype=torch.float64), step_size=steps).states[-1]
    expected = torch.tensor([(1 - 0.005) ** 100, (1 - 0.04) ** 100], dtype=torch.float64)
    assert last[..., 0].allclose(expected.expand(3, 2), rtol=1e-12)


def test_time_reaches_drift_and_diffusion():
    sde = SDE(lambda x, t: torch.full_like(x, t), lambda x, t: 0.0, noise="additive")
    last = run(sde, torch.zeros(1, 1, dtype=torch.float64), scheme="platen").states[-1]
    assert float(last) == pytest.approx(0.5, abs=1e-12)  # the trapezoidal rule integrates t exactly


def test_explosions_are_frozen_counted_and_infinite_in_the_record():
    sde = SDE(lambda x, t: x**3, lambda x, t: 0.0, noise="additive")
    x0 = torch.tensor([[0.1], [3.0], [-3.0], [0.2]], dtype=torch.float64)
    paths = run(sde, x0, record_every=1)
    assert (paths.exploded_at >= 0).tolist() == [False, True, True, False]
    at = int(paths.exploded_at[1])
    assert torch.isfinite(paths.states[at - 1]).all() and paths.states[at - 1].abs().max() <= 1e8
    assert paths.states[at:, 1:3].isinf().all() and torch.isfinite(paths.states[:, [0, 3]]).all()
    assert paths.num_exploded.tolist() == [0] * at + [2] * (101 - at)
    assert paths.exploded_at.dtype == torch.int64


def test_one_coordinate_beyond_the_cap_explodes_the_whole_path():
    sde = SDE(lambda x, t: x, lambda x, t: 0.0, noise="additive")
    paths = run(sde, torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64), cap=2.0)
    assert paths.exploded_at.tolist() == [70, -1]  # 1.01^70 > 2 > 1.01^69
    assert paths.states[-1, 0].isinf().all()


def test_quantiles_keep_infinities_and_means_count_them():
    values = torch.tensor([1.0, math.inf, 3.0, math.nan, 2.0])
    assert quantiles_with_explosions(values, (0.2, 0.5, 0.6, 0.75)).tolist() == [1.0, 3.0, 3.0, math.inf]
    found = mean_estimate(values)
    assert (found.mean, found.count, found.excluded) == (2.0, 3, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scheme": "rk4"}, "unknown scheme 'rk4'; the schemes are euler"),
        ({"increments": "bits"}, "unknown increments"),
        ({"scheme": "platen", "increments": "two_point"}, "use three_point"),
        ({"record_every": 7}, "must divide num_steps = 100"),
        ({"step_size": 0.0}, "step_size must be positive"),
        ({"num_steps": 0}, "num_steps"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        run(ORNSTEIN, torch.ones(2, 1), **changes)


def test_a_scheme_of_higher_order_refuses_noise_that_mixes_coordinates():
    with pytest.raises(ValueError, match="declares 'diagonal'"):
        run(SDE(lambda x, t: -x, lambda x, t: x.norm(dim=-1, keepdim=True)), torch.ones(2, 2), scheme="platen")

"""Block quadratics: spectra, unbiased gradients by enumeration, closed forms of descent, independence of packing."""

import itertools
import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.optim.quadratics import (
    HETEROGENEOUS,
    HOMOGENEOUS,
    LANDSCAPES,
    AdditiveNoise,
    RowSampling,
    block_quadratic,
    descend,
    rotation,
    warmup_cosine,
)

EIGENVALUES = torch.tensor([1, 2, 3, 99, 100, 101, 4998, 4999, 5000], dtype=torch.float64)
DESIGNS = ["eig", "sqrt"]


def vector(seed=0, shape=(9,)):
    return torch.randn(*shape, generator=torch_generator(seed, "w"), dtype=torch.float64)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("name", ["hom", "het"])
def test_spectrum_blocks_and_samples(name, design):
    problem = block_quadratic(LANDSCAPES[name], draw=1, design=design)
    assert torch.allclose(torch.linalg.eigvalsh(problem.hessian), EIGENVALUES, rtol=1e-10)
    assert torch.allclose(problem.samples.T @ problem.samples / 9, problem.hessian, atol=1e-9)
    outside = torch.ones(9, 9, dtype=torch.bool)
    for k in range(3):
        own = slice(3 * k, 3 * k + 3)
        outside[own, own] = False
        expected = torch.tensor(LANDSCAPES[name][k], dtype=torch.float64)
        assert torch.allclose(torch.linalg.eigvalsh(problem.hessian[own, own]), expected, rtol=1e-10)
    assert not problem.hessian[outside].any()


def test_rotations_are_orthogonal_and_differ_by_draw():
    u = rotation(3, torch_generator(0, "u"))
    assert torch.allclose(u @ u.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    one, other = (block_quadratic(HETEROGENEOUS, draw=draw).hessian for draw in (0, 1))
    assert (one - other).abs().max() > 0.1
    assert torch.equal(one, block_quadratic(HETEROGENEOUS, draw=0).hessian)


def test_the_designs_have_one_hessian_and_different_samples():
    eig, root = (block_quadratic(HOMOGENEOUS, design=design) for design in DESIGNS)
    assert torch.equal(eig.hessian, root.hessian)
    assert torch.allclose(root.samples, root.samples.T, atol=1e-9)
    assert not torch.allclose(eig.samples, root.samples)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("batch_size", [1, 3, 9])
def test_all_subsets_of_rows_average_to_the_full_gradient(design, batch_size):
    problem, w = block_quadratic(HETEROGENEOUS, design=design), vector()
    subsets = torch.tensor(list(itertools.combinations(range(9), batch_size)))
    assert len(subsets) == math.comb(9, batch_size)
    grads = problem.row_gradient(w.expand(len(subsets), 9), subsets)
    assert torch.allclose(grads.mean(0), problem.hessian @ w, rtol=1e-10, atol=1e-8)
    assert torch.allclose(problem.gradient(w), problem.hessian @ w)
    assert torch.isclose(problem.loss(w), 0.5 * w @ problem.hessian @ w, rtol=1e-12)


def test_rows_are_drawn_without_replacement_and_equally_often():
    drawn = RowSampling(3).draw(9, torch_generator(0, "rows"), 9000)
    assert all(len(set(row)) == 3 for row in drawn[:200].tolist())
    counts = torch.bincount(drawn.flatten(), minlength=9)
    assert (counts - 3000).abs().max() < 5 * math.sqrt(9000 * (1 / 3) * (2 / 3))  # five standard errors


def test_additive_noise_falls_with_the_root_of_the_batch():
    drawn = AdditiveNoise(sigma=2.0, batch_size=16).draw(9, torch_generator(0, "z"), 20000)
    assert drawn.std().item() == pytest.approx(0.5, rel=0.01)
    problem, w = block_quadratic(HETEROGENEOUS), vector()
    noise = AdditiveNoise(sigma=2.0)
    assert torch.allclose(noise.gradient(problem, w, drawn[0]) - drawn[0], problem.hessian @ w)


def test_full_batch_descent_has_its_closed_form():
    problem, lr, num_steps = block_quadratic(HETEROGENEOUS, draw=2), 1e-4, 20
    run = descend(problem, RowSampling(9), "sgd_ema", [{"lr": lr, "momentum": 0.0}], [1.0] * num_steps, [0])
    contraction = torch.eye(9, dtype=torch.float64) - lr * problem.hessian
    w = torch.linalg.matrix_power(contraction, num_steps) @ torch.ones(9, dtype=torch.float64)
    assert run.final.item() == pytest.approx(problem.loss(w).item(), rel=1e-9)
    assert run.steps == list(range(num_steps + 1)) and run.losses.shape == (num_steps + 1, 1, 1)


@pytest.mark.parametrize("noise", [RowSampling(3), AdditiveNoise(10.0, 4)])
def test_packing_settings_and_seeds_changes_nothing(noise):
    problem, multipliers = block_quadratic(HETEROGENEOUS), warmup_cosine(300, 15)
    settings = [{"lr": lr, "beta": beta, "bias_correction": 0.0} for lr in (1e-3, 1e-2) for beta in (0.9, 0.95)]
    packed = descend(problem, noise, "adam_sigma2", settings, multipliers, [3, 5, 8], watch=["exp_avg_var"])
    alone = descend(problem, noise, "adam_sigma2", settings[2:3], multipliers, [8], watch=["exp_avg_var"])
    assert torch.allclose(packed.losses[:, 2, 2], alone.losses[:, 0, 0], rtol=1e-9)
    assert torch.allclose(packed.watched["exp_avg_var"][:, 2, 2], alone.watched["exp_avg_var"][:, 0, 0], rtol=1e-9)


def test_a_diverging_setting_is_infinite_and_leaves_the_others_alone():
    problem, settings = block_quadratic(HETEROGENEOUS), [{"lr": 10.0}, {"lr": 1e-4}]
    both = descend(problem, RowSampling(3), "sgd_ema", settings, [1.0] * 200, [0, 1])
    alone = descend(problem, RowSampling(3), "sgd_ema", settings[1:], [1.0] * 200, [0, 1])
    assert both.final[0].isinf().all() and both.highest[0].isinf().all()
    # packing may change the order of sums inside a product: rounding, nothing more
    assert torch.allclose(both.losses[:, 1], alone.losses[:, 0], rtol=1e-9)


def test_logging_less_keeps_the_end_and_the_highest_loss():
    problem, settings, multipliers = block_quadratic(HOMOGENEOUS), [{"lr": 3e-2}], warmup_cosine(50, 5)
    full = descend(problem, RowSampling(3), "signum", settings, multipliers, [0])
    sparse = descend(problem, RowSampling(3), "signum", settings, multipliers, [0], log_every=20)
    assert sparse.steps == [0, 20, 40, 50]
    assert torch.equal(sparse.losses, full.losses[[0, 20, 40, 50]])
    assert torch.equal(sparse.highest, full.losses.amax(0))


def test_the_schedule_starts_at_zero_peaks_and_comes_down():
    multipliers = warmup_cosine(500, 25)
    assert len(multipliers) == 500 and multipliers[0] == 0.0 and multipliers[24] == multipliers[25] == 1.0
    assert multipliers[25:] == sorted(multipliers[25:], reverse=True) and 0 < multipliers[-1] < 1e-4


def test_refusals():
    with pytest.raises(ValueError, match="10 rows cannot be drawn without replacement from 9"):
        RowSampling(10).draw(9, torch_generator(0, "rows"), 1)
    with pytest.raises(ValueError, match="unknown design 'qr'"):
        block_quadratic(HOMOGENEOUS, design="qr")
    with pytest.raises(ValueError, match="must be positive"):
        block_quadratic(((1.0, 0.0),))
    with pytest.raises(ValueError, match="at least one setting"):
        descend(block_quadratic(HOMOGENEOUS), RowSampling(3), "signum", [], [1.0], [0])
    with pytest.raises(ValueError, match="batch of at least 1"):
        AdditiveNoise(1.0, 0)
    with pytest.raises(ValueError, match="lr of optimiser 'signum' must lie in"):
        descend(block_quadratic(HOMOGENEOUS), RowSampling(3), "signum", [{"lr": -1.0}], [1.0], [0])
    with pytest.raises(ValueError, match=r"warmup_steps must lie in \[0, 5\)"):
        warmup_cosine(5, 5)

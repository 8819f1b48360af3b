"""Solvers against brute force, their limits, and gradients of the relaxations against finite differences."""

import itertools
import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from shared.weightspace.assignment import (
    best_permutation,
    polar,
    procrustes,
    sinkhorn,
    sinkhorn_start,
    straight_through_permutation,
)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_the_assignment_is_the_best_of_all_permutations(size):
    scores = randn(3, size, size, seed=size)
    found = best_permutation(scores)
    for table, index in zip(scores, found, strict=True):
        rows = range(size)
        best = max(itertools.permutations(rows), key=lambda p: sum(float(table[i, p[i]]) for i in rows))
        assert index.tolist() == list(best)


def large_tables() -> dict[str, torch.Tensor]:
    noise, one = randn(150, 150, seed=8), torch.zeros(150, 150, dtype=torch.float64)
    planted = torch.eye(150, dtype=torch.float64)[torch.randperm(150, generator=torch.Generator().manual_seed(9))]
    outlier = one.clone()
    outlier[3, 5], outlier[7] = 1e12, -1e12
    return {
        "noise": noise, "planted": 50 * planted + noise, "low rank": randn(150, 2, seed=10) @ randn(2, 150, seed=11),
        "outlier": noise + outlier, "constant": one, "tiny": 1e-200 * noise, "mostly ties": noise.round(),
    }  # fmt: skip


@pytest.mark.parametrize("kind", large_tables())
def test_potentials_leave_the_optimum_of_a_large_table_and_the_table_itself(kind):
    table = large_tables()[kind]
    found = best_permutation(table)
    rows, best = linear_sum_assignment(table.numpy(), maximize=True)
    assert sorted(found.tolist()) == list(range(150))
    assert float(table[rows, found].sum()) == pytest.approx(float(table[rows, best].sum()), rel=1e-12)
    assert torch.equal(table, large_tables()[kind])


def test_procrustes_beats_every_rotation_and_reflection_of_the_plane():
    a, b = randn(2, 7, seed=1), randn(2, 7, seed=2)
    found = procrustes(a @ b.T)
    angles = torch.linspace(0, 2 * math.pi, 2001, dtype=torch.float64)
    c, s = angles.cos(), angles.sin()
    rotations = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    everything = torch.cat([rotations, rotations @ torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))])
    gaps = (a - everything @ b).norm(dim=(1, 2))
    assert (a - found @ b).norm() <= gaps.min() + 1e-12
    assert (a - found @ b).norm() >= gaps.min() - 1e-2
    assert (a - found @ b).norm() <= (a - b).norm()


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (2, 6, 6)])
def test_the_polar_factor_is_orthogonal_and_its_gradient_that_of_finite_differences(shape):
    z = randn(*shape, seed=3).requires_grad_()
    q = polar(z)
    eye = torch.eye(shape[-1], dtype=torch.float64).expand(*shape[:-2], -1, -1)
    assert torch.allclose(q.transpose(-2, -1) @ q, eye, atol=1e-12)
    assert torch.autograd.gradcheck(polar, z, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 6), (8, 5)])
def test_the_polar_gradient_is_finite_at_the_identity_and_equals_that_nearby(shape):
    """All singular values are 1 there: torch's own backward through the SVD gives NaN."""
    upstream, eye = randn(*shape, seed=4), torch.eye(*shape, dtype=torch.float64)
    grads = []
    for z in (eye, eye + 1e-6 * randn(*shape, seed=5)):
        z = z.clone().requires_grad_()
        (polar(z) * upstream).sum().backward()
        grads.append(z.grad)
    assert grads[0].isfinite().all() and (grads[0] - grads[1]).abs().max() < 1e-4
    naive = eye.clone().requires_grad_()
    u, _, vh = torch.linalg.svd(naive, full_matrices=False)
    ((u @ vh) * upstream).sum().backward()
    assert not naive.grad.isfinite().all()


def test_a_straight_through_permutation_is_hard_and_passes_its_gradient_on():
    z = (torch.eye(4, dtype=torch.float64) + 0.1 * randn(4, 4)).requires_grad_()
    p = straight_through_permutation(z)
    assert torch.equal(p.detach().round(), torch.eye(4, dtype=torch.float64)) and (p - p.round()).abs().max() < 1e-12
    upstream = randn(4, 4, seed=6)
    (p * upstream).sum().backward()
    assert torch.equal(z.grad, upstream)


def test_sinkhorn_is_doubly_stochastic_and_at_low_temperature_the_assignment():
    z = randn(3, 8, 8, seed=7)
    p = sinkhorn(z, 50)
    assert (p.sum(-1) - 1).abs().max() < 1e-4 and (p.sum(-2) - 1).abs().max() < 1e-4
    cold = sinkhorn(z / 0.002, 2000)
    assert torch.equal(cold.argmax(-1), best_permutation(z)) and cold.max(-1).values.min() > 0.9
    assert sinkhorn(1000 * z, 5).isfinite().all()


def test_a_soft_start_is_near_its_permutation_and_strictly_positive():
    start = sinkhorn_start(torch.eye(16), 0.1, torch.Generator().manual_seed(0))
    p = sinkhorn(start, 20)
    assert start.isfinite().all() and torch.equal(p.argmax(-1), torch.arange(16))
    assert 0.3 < p.diagonal().min() < 0.99


def test_scores_that_are_not_finite_are_refused():
    for solve in (best_permutation, procrustes):
        with pytest.raises(ValueError, match="not finite"):
            solve(torch.full((2, 2), float("nan")))

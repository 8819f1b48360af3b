"""Gradients of a fixed point: the implicit one against unrolled autograd and finite differences; one step's; memory."""

import pytest
import torch

from papers.fixed_point_rnn.gradients import EXACT as SOLVER
from papers.fixed_point_rnn.gradients import (
    cosine,
    direct_gradient,
    fixed_point,
    flat,
    implicit_gradient,
    loss_of,
    truncated_gradient,
)
from papers.fixed_point_rnn.settings import Exact
from papers.fixed_point_rnn.verify import complexity_rows, gradient_rows, random_layer, theorem_rows

EXACT = Exact(num_draws=2, num_linear=2, width=6, length=6, contraction_length=10, num_jacobians=20)


def layer_at_its_fixed_point(argument="concat", draw=0):
    layer, u, weights = random_layer(EXACT, argument, 1, draw)
    y, residual = fixed_point(layer, u)
    assert residual < 1e-11
    return layer, u, weights, y


@pytest.mark.parametrize("argument", ["concat", "sum", "input"])
def test_the_implicit_gradient_is_that_of_many_unrolled_iterations(argument):
    layer, u, weights, y = layer_at_its_fixed_point(argument)
    prepared, state = layer.prepare(u), layer.start(u)
    for _ in range(200):
        state = layer.iterate(prepared, state)[0]
    parameters = list(layer.parameters())
    unrolled = flat(torch.autograd.grad(loss_of(layer, u, weights, state), parameters, allow_unused=True), parameters)
    torch.testing.assert_close(implicit_gradient(layer, u, weights, y), unrolled, rtol=1e-6, atol=1e-9)


def test_the_implicit_gradient_is_that_of_finite_differences():
    layer, u, weights, y = layer_at_its_fixed_point()
    exact, parameters = implicit_gradient(layer, u, weights, y), list(layer.parameters())
    values, step = [], 1e-5
    direction = torch.randn(len(exact), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(parameters, direction.split([p.numel() for p in parameters]), strict=True):
                p.add_(sign * step * d.view_as(p))
            values.append(float(loss_of(layer, u, weights, fixed_point(layer, u)[0])))
            for p, d in zip(parameters, direction.split([p.numel() for p in parameters]), strict=True):
                p.sub_(sign * step * d.view_as(p))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(exact @ direction), rel=1e-5)


def test_more_steps_approach_the_implicit_gradient():
    layer, u, weights, y = layer_at_its_fixed_point(draw=1)
    exact = implicit_gradient(layer, u, weights, y)
    cosines = [cosine(truncated_gradient(layer, u, weights, y, k), exact) for k in (1, 2, 4)]
    assert cosines == sorted(cosines) and cosines[0] > 0
    torch.testing.assert_close(truncated_gradient(layer, u, weights, y, 80), exact, rtol=1e-8, atol=1e-10)


def test_training_takes_the_gradient_of_the_one_step():
    layer, u, weights, y = layer_at_its_fixed_point()
    layer.solver = SOLVER
    parameters = list(layer.parameters())
    out, _ = layer(u)
    found = flat(torch.autograd.grad((out * weights).sum(), parameters, allow_unused=True), parameters)
    torch.testing.assert_close(found, truncated_gradient(layer, u, weights, y, 1), rtol=1e-8, atol=1e-10)


def test_angles_are_those_of_the_parts_through_the_fixed_point():
    """The state held fixed gives the read-out its gradient; one step adds J_x^T dL/dy, the exact one J_x^T (I-J)^-T."""
    (found,) = [
        r
        for r in gradient_rows(EXACT)
        if (r["scale"], r["argument"], r["draw"], r["num_backward"]) == (1, "concat", 0, 1)
    ]
    layer, u, weights, y = layer_at_its_fixed_point()
    names = [name for name, _ in layer.named_parameters()]
    direct = direct_gradient(layer, u, weights, y).split([p.numel() for p in layer.parameters()])
    reached = {name for name, part in zip(names, direct, strict=True) if part.abs().max() > 0}
    assert {n for n in names if n.startswith(("mixer", "lam_proj", "b_proj"))}.isdisjoint(reached)
    assert {"out_proj.weight", "norm.weight"} <= reached
    one, exact = truncated_gradient(layer, u, weights, y, 1), implicit_gradient(layer, u, weights, y)
    whole, through = cosine(one, exact), cosine(one - torch.cat(direct), exact - torch.cat(direct))
    assert found["cosine"] == pytest.approx(through, abs=1e-9) and through < whole


def test_theorem_3_2_holds_below_norm_one_and_not_above():
    rows = list(theorem_rows(EXACT))
    assert min(row["cosine"] for row in rows if row["norm"] < 1) > 0
    assert min(row["cosine"] for row in rows if row["norm"] > 1) < 0


def test_memory_and_gradient_steps_do_not_grow_with_l_max():
    rows = list(complexity_rows(EXACT))
    for length in (8, 16, 32):
        own = [row for row in rows if row["length"] == length]
        assert len({row["kilobytes_kept"] for row in own}) == 1
        assert [row["mixer_calls"] for row in own] == [row["l_max"] + 1 for row in own]

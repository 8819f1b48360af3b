"""Channel mixers as matrices: closed forms, norms, limits, refusals."""

import numpy as np
import pytest
import torch

from papers.fixed_point_rnn.mixers import (
    WeightNormLinear,
    as_matrix,
    build_channel_mixer,
    matrix_power,
    top_eigenvalue,
    triangular_gram,
)
from papers.fixed_point_rnn.settings import MixerSettings
from shared.base.seeding import torch_generator
from shared.models.initialisation import drawing_from

D, SHAPE = 8, (2, 5)
KINDS = ["householder", "dplr", "kronecker", "monarch", "constant", "none"]


def built(kind, seed=0, width=D, **settings):
    with drawing_from(torch_generator(seed, "mixer")):
        settings = {"argument": "input", "block": 4} | settings
        mixer = build_channel_mixer(width, MixerSettings(kind=kind, **settings)).double()
    x = 3 * torch.randn(*SHAPE, width, generator=torch_generator(seed, "x"), dtype=torch.float64)
    return mixer, mixer.coefficients(mixer.prepare(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_apply_is_multiplication_by_the_matrix(kind):
    mixer, coefficients = built(kind, r=2)
    v = torch.randn(*SHAPE, D, generator=torch_generator(1, "v"), dtype=torch.float64)
    q = as_matrix(mixer, coefficients, SHAPE)
    torch.testing.assert_close(mixer.apply(coefficients, v), (q @ v.unsqueeze(-1)).squeeze(-1))


@pytest.mark.parametrize("scale", [1, 2])
def test_one_reflection(scale):
    mixer, (u, strength) = built("householder", reflection_scale=scale)
    q = as_matrix(mixer, (u, strength), SHAPE)
    u, alpha = u[..., 0, :], strength[..., 0] / scale
    eye = torch.eye(D, dtype=torch.float64)
    expected = eye - scale * alpha[..., None, None] * u.unsqueeze(-1) * u.unsqueeze(-2)
    torch.testing.assert_close(q, expected)
    torch.testing.assert_close(torch.linalg.det(q), 1 - scale * alpha)
    torch.testing.assert_close(u.norm(dim=-1), torch.ones(SHAPE, dtype=torch.float64))
    assert ((alpha > 0) & (alpha < 1)).all()


def test_the_factor_multiplies_the_strengths_alone():
    (u1, one), (u2, two) = (built("householder", r=2, reflection_scale=scale)[1] for scale in (1, 2))
    assert torch.equal(u1, u2) and torch.equal(two, 2 * one)


def test_reflections_apply_the_first_factor_first():
    mixer, (u, alpha) = built("householder", r=2)
    eye = torch.eye(D, dtype=torch.float64)
    factors = eye - alpha[..., None, None] * u.unsqueeze(-1) * u.unsqueeze(-2)
    torch.testing.assert_close(as_matrix(mixer, (u, alpha), SHAPE), factors[:, :, 1] @ factors[:, :, 0])


def test_low_rank_of_several_terms_need_not_contract():
    mixer, (u, alpha) = built("dplr", r=3)
    same = u[:, :, :1].expand_as(u), torch.full_like(alpha, 0.9)
    distance = torch.eye(D, dtype=torch.float64) - as_matrix(mixer, same, SHAPE)
    norms = torch.linalg.matrix_norm(distance, 2)
    torch.testing.assert_close(norms, torch.full_like(norms, 2.7))


@pytest.mark.parametrize("kind", ["householder", "monarch"])
def test_one_factor_contracts_at_scale_one(kind):
    mixer, coefficients = built(kind)
    distance = torch.eye(D, dtype=torch.float64) - as_matrix(mixer, coefficients, SHAPE)
    assert torch.linalg.matrix_norm(distance, 2).max() < 1


@pytest.mark.parametrize("width", [6, 8, 16])
def test_kronecker_is_a_kronecker_product(width):
    mixer, (k1, k2) = built("kronecker", width=width, reflection_scale=2)
    eye = torch.eye(width, dtype=torch.float64)
    q = as_matrix(mixer, (k1, k2), SHAPE)
    for b in range(SHAPE[0]):
        for t in range(SHAPE[1]):
            torch.testing.assert_close(q[b, t], eye - 2 * torch.kron(k1[b, t].mT.contiguous(), k2[b, t]))


def test_kronecker_factors_are_gated_psd_matrices_of_norm_one():
    flat = torch.randn(3, 10, generator=torch_generator(0, "c"), dtype=torch.float64)
    k = triangular_gram(flat, 4)
    values = torch.linalg.eigvalsh(k)
    assert values.min() > -1e-12
    torch.testing.assert_close(values.sum(-1), torch.full((3,), 4.0, dtype=torch.float64))  # rows of unit length
    torch.testing.assert_close(top_eigenvalue(k, 200)[:, 0], values[:, -1])
    upper = torch.linalg.cholesky(k.flip(-1, -2)).flip(-1, -2)  # k = C C^T with C upper triangular
    torch.testing.assert_close(upper.abs(), (upper.triu()).abs())
    assert top_eigenvalue(k, 2)[:, 0].sub(values[:, -1]).max() < 1e-9  # the power method stays below


@pytest.mark.parametrize("n", [5, 8])  # products side by side, and one after another
@pytest.mark.parametrize("iterations", [1, 2, 3, 16])
def test_the_power_method_by_squaring_takes_as_many_iterations_as_a_loop(iterations, n):
    flat = torch.randn(5, 2, n * (n + 1) // 2, generator=torch_generator(3, "c"))
    k = triangular_gram(flat, n)
    mapped = torch.vmap(lambda own: top_eigenvalue(own, iterations))(k)  # seeds are trained as one program
    for own, found in zip(k.flatten(0, 1).double().numpy(), mapped.flatten(), strict=True):
        vector = own.sum(-1) + 1e-3
        for _ in range(iterations):
            vector = own @ vector
            vector /= np.linalg.norm(vector)
        vector /= np.linalg.norm(vector)
        assert found.item() == pytest.approx(vector @ own @ vector, rel=1e-5)  # rounding of float32


def test_a_kronecker_mixer_takes_the_iterations_of_its_settings():
    pre = torch.randn(1, 1, 19, generator=torch_generator(4, "pre"), dtype=torch.float64)  # width 8: factors 2 and 4
    ungated = pre.index_fill(-1, torch.tensor([3, 4, *range(15, 19)]), 50.0)  # sigmoid is 1
    for iterations in (1, 4, 16):
        mixer, _ = built("kronecker", power_iterations=iterations)
        k = triangular_gram(torch.nn.functional.silu(pre[..., 5:15]), 4)
        torch.testing.assert_close(mixer.coefficients(ungated)[1], k / top_eigenvalue(k, iterations).unsqueeze(-1))
    assert MixerSettings().power_iterations == 16


@pytest.mark.parametrize("n", [2, 6, 8, 12, 16, 32, 64])  # 16 and 32 at `gpu` and `paper`
def test_the_power_method_does_not_overflow_at_the_largest_eigenvalue_there_is(n):
    """Rows of C that all point one way, as training may make them: K is all ones, its eigenvalue n."""
    assert top_eigenvalue(torch.ones(n, n), 16).item() == pytest.approx(n, rel=1e-5)


def test_a_direction_without_length_leaves_a_kronecker_mixer_finite():
    mixer, _ = built("kronecker")
    pre = torch.zeros(1, 2, mixer.num_outputs, dtype=torch.float64)  # SiLU(0) = 0
    v = torch.randn(1, 2, 8, generator=torch_generator(6, "v"), dtype=torch.float64)
    torch.testing.assert_close(mixer.apply(mixer.coefficients(pre), v), v)


@pytest.mark.parametrize("size", [1e-8, 1e-7])
def test_rows_shorter_than_the_bound_on_their_length_are_not_blown_up(size):
    """Such rows keep less than unit length; an eigenvalue that the power method loses to underflow must not divide."""
    mixer, _ = built("kronecker")
    pre = torch.full((1, 1, mixer.num_outputs), 2 * size, dtype=torch.float64)  # SiLU(2 z) is z for small z
    assert all((k.norm() < 1) for k in mixer.coefficients(pre))


def test_an_unlucky_start_of_the_power_method_does_not_divide_by_nothing():
    """Rows of opposite signs in turn: the start, the sum of columns, is orthogonal to the eigenvector of 4."""
    mixer, _ = built("kronecker")
    pre = torch.full((1, 1, mixer.num_outputs), -60.0, dtype=torch.float64)  # SiLU is 0
    pre[..., [8, 13]], pre[..., [11, 14]] = 3.0, -0.5  # the last column of C, with the signs of SiLU
    pre[..., 15:19] = 50.0  # open gates
    _, k = mixer.coefficients(pre)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(k[0, 0], torch.outer(signs, signs))


@pytest.mark.parametrize("n", range(1, 17))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_powers_are_those_of_numpy(n, dtype):
    flat = torch.randn(2, 3, n * (n + 1) // 2, generator=torch_generator(n, "c"), dtype=dtype)
    k = torch.cat([triangular_gram(flat, n), torch.ones(1, 3, n, n, dtype=dtype), torch.zeros(1, 3, n, n, dtype=dtype)])
    for exponent in (1, 3, 8, 16):
        expected = torch.from_numpy(np.linalg.matrix_power(k.double().numpy(), exponent)).to(dtype)
        error = (matrix_power(k, exponent) - expected).abs().amax((-1, -2)) / expected.abs().amax((-1, -2)).clamp_min(1)
        assert error.max() < 20 * torch.finfo(dtype).eps
        torch.testing.assert_close(matrix_power(k[0, 0], exponent), matrix_power(k, exponent)[0, 0])


@pytest.mark.parametrize(("width", "iterations", "most"), [(64, 48, 39), (254, 16, 15)])
def test_power_iterations_that_overflow_are_refused_with_the_most_that_do_not(width, iterations, most):
    with pytest.raises(ValueError, match=f"overflow float32; take power_iterations of at most {most}"):
        built("kronecker", width=width, power_iterations=iterations)
    mixer, _ = built("kronecker", width=width, power_iterations=most)
    n = mixer.sides[1]
    assert top_eigenvalue(torch.ones(n, n), most).item() == pytest.approx(n, rel=1e-5)


def test_the_gradient_of_the_eigenvalue_takes_the_vector_as_fixed():
    """As of a simple eigenvalue, v v^T; how v depends on the matrix is left out, however few the iterations."""
    k = triangular_gram(torch.randn(10, generator=torch_generator(5, "c"), dtype=torch.float64), 4).requires_grad_()
    top = top_eigenvalue(k, 1)
    (gradient,) = torch.autograd.grad(top.sum(), k)
    torch.testing.assert_close(gradient, gradient.mT)
    torch.testing.assert_close(torch.linalg.matrix_rank(gradient), torch.tensor(1))
    torch.testing.assert_close((gradient * k).sum(), top.sum())
    torch.testing.assert_close(gradient.trace(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("overlap", [-0.99, -0.3, 0.3, 0.99])
def test_the_power_method_finds_the_larger_of_two(overlap):
    k = torch.tensor([[1.0, overlap], [overlap, 1.0]], dtype=torch.float64)
    assert top_eigenvalue(k, 200).item() == pytest.approx(1 + abs(overlap), rel=1e-6)


def test_kronecker_gates_multiply_from_the_left():
    mixer, _ = built("kronecker")  # factors of 2 x 2 and 4 x 4
    pre = torch.randn(1, 1, mixer.num_outputs, generator=torch_generator(2, "pre"), dtype=torch.float64)
    ungated = pre.clone()
    ungated[..., 3:5] = ungated[..., 15:19] = 50.0  # sigmoid is 1
    for k, plain, gate in zip(
        mixer.coefficients(pre), mixer.coefficients(ungated), (pre[..., 3:5], pre[..., 15:19]), strict=True
    ):
        torch.testing.assert_close(plain, plain.mT)
        torch.testing.assert_close(k, gate.sigmoid().unsqueeze(-1) * plain)


def test_constant_mixer_is_orthogonal_and_none_the_identity():
    mixer, coefficients = built("constant")
    q, eye = as_matrix(mixer, coefficients, SHAPE)[0, 0], torch.eye(D, dtype=torch.float64)
    torch.testing.assert_close(q @ q.mT, eye)
    assert (q - eye).abs().max() > 1e-3
    mixer, coefficients = built("none")
    torch.testing.assert_close(as_matrix(mixer, coefficients, SHAPE)[0, 0], eye)


def test_the_three_arguments():
    x, h = torch.randn(2, 1, 2, D, generator=torch_generator(0, "xh"), dtype=torch.float64).unbind()
    for argument in ("concat", "sum", "input"):
        mixer = build_channel_mixer(D, MixerSettings(argument=argument)).double()
        pre, state_map = mixer.prepare(x)
        assert (state_map is None) == (argument == "input")
        full = pre if state_map is None else pre + h @ state_map.mT
        z = {"concat": torch.cat([x, h], -1), "sum": x + h, "input": x}[argument]
        torch.testing.assert_close(full, mixer.map(z))


def test_weight_norm_starts_at_the_plain_map_and_scales_by_its_gain():
    linear = WeightNormLinear(5, 3).double()
    torch.testing.assert_close(linear.weight(), linear.v.detach())
    with torch.no_grad():
        linear.v.mul_(7)
    torch.testing.assert_close(linear.weight().norm(dim=1), linear.gain.detach())


def test_the_zero_vector_has_a_direction_of_zero():
    mixer = build_channel_mixer(D, MixerSettings(argument="input")).double()
    u, _ = mixer.coefficients(torch.zeros(1, 1, D + 1, dtype=torch.float64))
    assert (u == 0).all()


def test_refusals_and_the_warning_of_a_prime_width():
    with pytest.raises(ValueError, match="power of two"):
        build_channel_mixer(12, MixerSettings(kind="monarch", block=4))
    with pytest.raises(ValueError, match="its block divides"):
        build_channel_mixer(8, MixerSettings(kind="monarch", block=3))
    with pytest.warns(UserWarning, match="prime"):
        build_channel_mixer(7, MixerSettings(kind="kronecker"))
    with pytest.raises(ValueError):
        MixerSettings(r=0)

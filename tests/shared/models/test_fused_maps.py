import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jvp, vmap

from shared.base.seeding import torch_generator
from shared.models.fused import rms_norm, rotate_halves

EPS = 1e-5


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "x"), dtype=torch.float64)


def angles():
    angle = sample(5, 1, 2, seed=2)
    return angle.cos(), angle.sin()


def test_rms_norm_equals_torch_in_value_and_gradient():
    x, weight = sample(3, 4, 6).requires_grad_(), sample(6, seed=1).requires_grad_()
    ours, theirs = rms_norm(x, weight, EPS), F.rms_norm(x, (6,), weight, EPS)
    torch.testing.assert_close(ours, theirs)
    upstream = sample(3, 4, 6, seed=3)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (x, weight), upstream), torch.autograd.grad(theirs, (x, weight), upstream)
    )


@pytest.mark.parametrize("shape", [(6,), (1, 6), (0, 6), (1, 1, 6), (2, 3, 1)])
def test_rms_norm_of_odd_shapes_has_the_gradients_of_torch_alone_and_stacked(shape):
    x, weight = sample(2, *shape), sample(2, shape[-1], seed=1)

    def ours(x, w):
        return rms_norm(x, w, EPS).sin().sum()

    def theirs(x, w):
        return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * w).sin().sum()

    for position in (0, 1):
        each = [grad(theirs, position)(*own) for own in zip(x, weight, strict=True)]
        torch.testing.assert_close(vmap(grad(ours, position))(x, weight), torch.stack(each))
        torch.testing.assert_close(grad(ours, position)(x[0], weight[0]), each[0])


def test_rotation_equals_its_definition():
    x, (cos, sin) = sample(2, 5, 3, 4), angles()
    x1, x2 = x[..., :2], x[..., 2:]
    torch.testing.assert_close(rotate_halves(x, cos, sin), torch.cat([x1 * cos - x2 * sin, x1 * sin + x2 * cos], -1))


def test_rotation_has_the_bits_of_its_plain_form_with_and_without_a_gradient():
    x, (cos, sin) = sample(2, 5, 3, 4).float().requires_grad_(), (a.float() for a in angles())
    x1, x2 = x[..., :2], x[..., 2:]
    plain = torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
    assert torch.equal(rotate_halves(x, cos, sin), plain)
    with torch.no_grad():
        assert torch.equal(rotate_halves(x, cos, sin), plain)
    (upstream,) = torch.randn(1, 2, 5, 3, 4, generator=torch_generator(3, "g"))
    ours, theirs = (torch.autograd.grad(y, x, upstream)[0] for y in (rotate_halves(x, cos, sin), plain))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_both_orders_and_modes(check):
    x, weight = sample(2, 3, 4).requires_grad_(), sample(4, seed=1).requires_grad_()
    forward = {"check_forward_ad": True} if check is gradcheck else {}
    assert check(lambda x, w: rms_norm(x, w, EPS), (x, weight), **forward)
    assert check(lambda x: rotate_halves(x, *angles()), (sample(2, 5, 3, 4).requires_grad_(),), **forward)


def test_hessian_vector_product_through_vmap_equals_torch():
    x, weights, direction = sample(3, 4), sample(2, 4, seed=1), sample(4, seed=2)

    def hvp(norm):
        def loss(weight):
            return norm(norm(x, weight), weight).pow(3).sum()

        return vmap(lambda w: jvp(grad(loss), (w,), (direction,))[1])(weights)

    torch.testing.assert_close(hvp(lambda x, w: rms_norm(x, w, EPS)), hvp(lambda x, w: F.rms_norm(x, (4,), w, EPS)))


@pytest.mark.parametrize("dims", [(0, 0), (0, None), (1, 0), (None, 0)])
def test_members_have_the_values_and_gradients_that_each_has_alone(dims):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 2, 5, 8, generator=generator, dtype=torch.float64)
    weight = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    members = [(x[0] if dims[0] is None else x[m], weight[0] if dims[1] is None else weight[m]) for m in range(3)]
    given = [x[0] if dims[0] is None else x.movedim(0, dims[0]), weight[0] if dims[1] is None else weight]
    cos, sin = torch.rand(2, 5, 4, generator=generator, dtype=torch.float64)

    def norm_and_turn(z, w):
        return rotate_halves(rms_norm(z, w, 1e-6), cos, sin)

    leaves = [z.clone().requires_grad_() for z in given]
    together = vmap(norm_and_turn, in_dims=dims)(*leaves)
    alone = torch.stack([norm_and_turn(*member) for member in members])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=0)
    found = torch.autograd.grad(together.square().sum(), leaves)
    copies = [z.clone().requires_grad_() for z in given]
    parts = [z.expand(3, *z.shape) if d is None else z.movedim(d, 0) for z, d in zip(copies, dims, strict=True)]
    expected = torch.autograd.grad(sum(norm_and_turn(z, w).square().sum() for z, w in zip(*parts, strict=True)), copies)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_members_may_turn_by_tables_of_their_own():
    generator = torch.Generator().manual_seed(2)
    x, tables = torch.randn(3, 2, 5, 1, 8, generator=generator), torch.rand(2, 3, 5, 1, 4, generator=generator)
    together = vmap(rotate_halves)(x, *tables)
    alone = torch.stack([rotate_halves(x[m], *tables[:, m]) for m in range(3)])
    torch.testing.assert_close(together, alone)

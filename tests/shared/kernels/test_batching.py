"""Autograd functions that are mapped by folding: what torch's own way gives, in value and gradient."""

import pytest
import torch
from torch.func import grad, vmap

from shared.kernels.batching import BatchFunction


class Scaled(BatchFunction):
    """x (B, T) times its row's y (B,), and the mean of the rows of x."""

    @staticmethod
    def forward(x, y, power):
        return x * y[:, None] ** power, x.mean(1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y, ctx.power = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx, d_out, d_mean):
        x, y = ctx.saved_tensors
        d_x = d_out * y[:, None] ** ctx.power + d_mean[:, None] / x.shape[1]
        return d_x, (d_out * x).sum(1) * ctx.power * y ** (ctx.power - 1), None


def plain(x, y, power):
    return torch.autograd.Function.apply.__func__(Scaled, x, y, power)  # torch's way, without ours


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(shape, generator=generator, dtype=torch.float64) for shape in ((3, 2, 4, 5), (3, 2, 4), (4,))]


@pytest.mark.parametrize("dims", [(0, 0), (0, None), (1, 0), (None, 0), (None, None)])
def test_mapped_values_and_gradients_are_those_of_torchs_way(tensors, dims):
    x = tensors[0][:, 0] if dims[0] == 0 else tensors[0][0, 0] if dims[0] is None else tensors[0][:, 0].movedim(0, 1)
    y = tensors[1][:, 0] if dims[1] == 0 else tensors[2]

    def both(function):
        leaves = [z.clone().requires_grad_() for z in (x, y)]
        if dims == (None, None):
            found = vmap(lambda _: function(*leaves, 2))(torch.zeros(3))
        else:
            found = vmap(lambda a, b: function(a, b, 2), in_dims=dims)(*leaves)
        return [*found, *torch.autograd.grad(sum((z**2).sum() for z in found), leaves)]

    for ours, theirs in zip(both(Scaled.apply), both(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_maps_may_be_nested_and_lie_around_gradients(tensors):
    x, y, _ = tensors
    nested = vmap(vmap(lambda a, b: Scaled.apply(a, b, 2)[0]))(x, y)
    torch.testing.assert_close(nested, x * y[..., None] ** 2)
    inside = vmap(grad(lambda a, b: Scaled.apply(a, b, 2)[0].sum()))(x[:, 0], y[:, 0])
    torch.testing.assert_close(inside, (y[:, 0, :, None] ** 2).expand_as(x[:, 0]))
    around = grad(lambda a: vmap(lambda b: Scaled.apply(a, b, 2)[0])(y[:, 0]).sum())(x[0, 0])
    torch.testing.assert_close(around, (y[:, 0, :, None] ** 2).sum(0).expand_as(around))


def test_nothing_is_kept_without_gradients(tensors):
    x, y, _ = tensors
    with torch.no_grad():
        out = vmap(lambda a, b: Scaled.apply(a, b, 1)[0])(x[:, 0].requires_grad_(), y[:, 0])
    assert not out.requires_grad

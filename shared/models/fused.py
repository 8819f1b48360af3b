"""Maps with a hand-written backward: fewer passes over memory on the CPU than torch's own.

All of them have batching rules, forward-mode derivatives and derivatives of every order. Under torch.compile and on
other devices the plain forms run instead; a compiler or a device kernel fuses those.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import vmap

from shared.kernels.batching import DirectFunction


def _by_hand(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension; weight (D,) or None."""
    if weight is None or not _by_hand(x) or x.dtype != weight.dtype:
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    return _RMSNorm.apply(x, weight, eps)[0]


def rotate_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(x1 cos - x2 sin, x2 cos + x1 sin), x1 and x2 the halves of the last dimension.

    Args:
        x: (B, T, H, N). cos: (T, 1, N / 2). sin: (T, 1, N / 2).
    """
    if _by_hand(x):  # where no gradient is taken the map alone will do, at half the cost
        return _RotateHalves.apply(x, cos, sin) if torch.is_grad_enabled() else _turn(x, cos, sin)
    return _plain(x, cos, sin)


def _plain(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class _NormRule:
    """(x, weight) -> (y, r) with r = (mean(x^2) + eps)^(-1/2); r is an output so that it need not be recomputed."""

    stacked: bool  # x (M, ..., D) and weight (M, D) of M members, else x (..., D) and weight (D,)

    @classmethod
    def beside(cls, weight: Tensor, x: Tensor) -> Tensor:
        """The weight with as many dimensions as x, where it is stacked."""
        return weight.unflatten(0, (-1, *[1] * (x.ndim - 2))) if cls.stacked else weight

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], inputs[1], output[1])
        ctx.save_for_forward(inputs[0], inputs[1], output[1])
        ctx.set_materialize_grads(False)

    @classmethod
    def normalised(cls, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        """y, of the shape of x, and r (..., 1)."""
        r = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        return x * r * cls.beside(weight, x), r

    @classmethod
    def gradients(cls, ctx, grad: Tensor | None, grad_r: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Of x and weight; a member's sums are those that vmap makes, bit by bit."""
        x, weight, r = ctx.saved_tensors
        if grad is None:
            grad = torch.zeros_like(x)
        products = grad * x
        if cls.stacked:
            rows = products.reshape(len(x), -1, x.shape[-1])
            grad_weight = torch.bmm(r.reshape(len(x), 1, -1), rows).squeeze(1)
            dot = torch.bmm(rows, weight.unsqueeze(-1)).view(r.shape)
        else:
            grad_weight = r.flatten() @ products.reshape(-1, x.shape[-1])
            dot = (products @ weight).unsqueeze(-1)
        if grad_r is not None:
            dot = dot + grad_r  # dot: the sum over channels of grad * weight * x
        scaled = grad * cls.beside(weight, x) * r
        return torch.addcmul(scaled, x, r.pow(3) * dot, value=-1 / x.shape[-1]), grad_weight, None

    @classmethod
    def tangents(cls, ctx, x_dot: Tensor | None, weight_dot: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of y and r."""
        x, weight, r = ctx.saved_tensors
        x_dot = torch.zeros_like(x) if x_dot is None else x_dot
        weight_dot = torch.zeros_like(weight) if weight_dot is None else weight_dot
        r_dot = -r.pow(3) * (x * x_dot).mean(-1, keepdim=True)
        return (x_dot * r + x * r_dot) * cls.beside(weight, x) + x * r * cls.beside(weight_dot, x), r_dot


class _RMSNorm(_NormRule, DirectFunction):
    stacked = False

    @staticmethod
    def vmap(info, in_dims, x, weight, eps):
        x, weight = (_first(z, dim, info.batch_size) for z, dim in zip((x, weight), in_dims, strict=False))
        return _StackedRMSNorm.apply(x, weight, eps), (0, 0)

    @staticmethod
    def forward(x, weight, eps):
        return _RMSNorm.normalised(x, weight, eps)

    @staticmethod
    def backward(ctx, grad, grad_r):
        return _RMSNorm.gradients(ctx, grad, grad_r)

    @staticmethod
    def jvp(ctx, x_dot, weight_dot, _):
        return _RMSNorm.tangents(ctx, x_dot, weight_dot)


class _StackedRMSNorm(_NormRule, torch.autograd.Function):
    generate_vmap_rule = True  # of a second map, which is rare
    stacked = True

    @staticmethod
    def forward(x, weight, eps):
        return _StackedRMSNorm.normalised(x, weight, eps)

    @staticmethod
    def backward(ctx, grad, grad_r):
        return _StackedRMSNorm.gradients(ctx, grad, grad_r)

    @staticmethod
    def jvp(ctx, x_dot, weight_dot, _):
        return _StackedRMSNorm.tangents(ctx, x_dot, weight_dot)


def _first(z: Tensor, dim: int | None, size: int) -> Tensor:
    """The mapped axis in front; where there is none, one of the given size."""
    return z.expand(size, *z.shape) if dim is None else z.movedim(dim, 0)


class _RotateHalves(DirectFunction):
    """Linear in x; its transpose turns back. No gradient for the tables."""

    @staticmethod
    def vmap(info, in_dims, x, cos, sin):
        if in_dims[1:] != (None, None):  # tables of their own
            return vmap(_plain, in_dims)(x, cos, sin), 0
        return _RotateHalves.apply(x.movedim(in_dims[0], 0), cos, sin), 0

    @staticmethod
    def forward(x, cos, sin):
        return _turn(x, cos, sin)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx, grad):
        cos, sin = ctx.saved_tensors
        return rotate_halves(grad, cos, -sin), None, None

    @staticmethod
    def jvp(ctx, x_dot, *_):
        return _turn(x_dot, *ctx.saved_tensors)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x times (cos, cos) plus x with its halves swapped times (-sin, sin): rounded as in the plain form."""
    shape = (*x.shape[-3:-1], 2 * cos.shape[-1])
    cos = torch.cat([cos, cos], dim=-1).expand(shape).contiguous()  # long inner loops
    sin = torch.cat([-sin, sin], dim=-1).expand(shape).contiguous()
    swapped = torch.cat(x.chunk(2, dim=-1)[::-1], dim=-1)
    return (x * cos).add_(swapped.mul_(sin))  # addcmul_ would save a pass, but has no batching rule

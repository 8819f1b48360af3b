"""Second-order facts of a loss along a direction, by differentiating twice: the Hessian is never formed.

Parameters, directions and gradients are mappings of names to tensors, as `dict(model.named_parameters())`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Tree = Mapping[str, Tensor]
Loss = Callable[[Tree], Tensor]


@dataclass(frozen=True)
class DirectionalTerms:
    """Along u at x: value f(x), slope <grad f(x), u> and curvature u^T Hess f(x) u, in the units of the loss.

    f(x + c u) = value + c slope + c^2 curvature / 2 + O(c^3).
    """

    value: float
    slope: float
    curvature: float

    def predicted_change(self, scale: float) -> float:
        """f(x + scale u) - f(x) to second order."""
        return scale * self.slope + 0.5 * scale**2 * self.curvature


def tree_inner(a: Tree, b: Tree) -> Tensor:
    """Sum of products over all entries, 0-d."""
    return torch.stack([(a[name] * b[name]).sum() for name in a]).sum()


def gradient(loss: Loss, params: Tree) -> tuple[Tensor, dict[str, Tensor]]:
    """(loss, gradient) at `params`, detached."""
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    value = loss(leaves)
    grads = torch.autograd.grad(value, list(leaves.values()))
    return value.detach(), dict(zip(leaves, grads, strict=True))


def hessian_vector_product(loss: Loss, params: Tree, vector: Tree) -> dict[str, Tensor]:
    """Hess f(x) v. Exact to rounding; about the cost of two gradients, and their memory twice."""
    return _twice(loss, params, vector)[2]


def directional_terms(loss: Loss, params: Tree, direction: Tree) -> DirectionalTerms:
    """Value, slope and curvature of `loss` at `params` along `direction`."""
    value, slope, product = _twice(loss, params, direction)
    return DirectionalTerms(float(value), float(slope), float(tree_inner(direction, product)))


def _twice(loss: Loss, params: Tree, vector: Tree) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """(f, <grad f, v>, Hess f v)."""
    if params.keys() != vector.keys():
        missing = sorted(params.keys() ^ vector.keys())
        raise ValueError(f"parameters and direction must have the same names; '{missing[0]}' is in one of them only")
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    fixed = {name: v.detach() for name, v in vector.items()}
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        value = loss(leaves)
        grads = torch.autograd.grad(value, list(leaves.values()), create_graph=True)
        slope = tree_inner(dict(zip(leaves, grads, strict=True)), fixed)
        if not slope.requires_grad:  # the loss is linear: its Hessian is zero
            return value.detach(), slope, {name: torch.zeros_like(p) for name, p in leaves.items()}
        products = torch.autograd.grad(slope, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return value.detach(), slope.detach(), dict(zip(leaves, products, strict=True))

"""The exact gradient of a fixed point by the implicit function theorem, and how well few steps approximate it.

Shapes: B sequences, T time, D inner width.
"""

import torch
from torch import Tensor

from papers.fixed_point_rnn.layer import ImplicitLayer
from papers.fixed_point_rnn.settings import SolverSettings
from papers.fixed_point_rnn.solver import solve

EXACT = SolverSettings(tol=1e-12, quantile=1.0, l_max=2000)


def flat(tensors: tuple[Tensor | None, ...], like: list[Tensor]) -> Tensor:
    """One vector of all gradients; zeros where there is none."""
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(tensors, like, strict=True)])


def loss_of(layer: ImplicitLayer, u: Tensor, weights: Tensor, y: Tensor) -> Tensor:
    """A linear functional of the layer's output at the state y; weights as the output."""
    return (layer.read_out(layer.prepare(u), y) * weights).sum()


def fixed_point(layer: ImplicitLayer, u: Tensor) -> tuple[Tensor, float]:
    """y* to 1e-12, and its residual."""
    with torch.no_grad():
        prepared = layer.prepare(u)
        found = solve(lambda y: layer.iterate(prepared, y)[0], layer.start(u), EXACT)
    return found.y, float(found.best.max())


def implicit_gradient(layer: ImplicitLayer, u: Tensor, weights: Tensor, y: Tensor) -> Tensor:
    """dL/dtheta = direct part + w^T df/dtheta with (I - df/dy)^T w = dL/dy at the fixed point y, for all parameters."""
    parameters = list(layer.parameters())
    leaf = y.detach().requires_grad_()
    loss = loss_of(layer, u, weights, leaf)
    direct = torch.autograd.grad(loss, [leaf, *parameters], allow_unused=True)
    prepared = layer.prepare(u.detach())
    with torch.no_grad():
        constant = layer.prepare(u)
    jacobian = torch.autograd.functional.jacobian(lambda h: layer.iterate(constant, h)[0], y).reshape(y.numel(), -1)
    eye = torch.eye(y.numel(), dtype=y.dtype)
    w = torch.linalg.solve((eye - jacobian).mT, direct[0].flatten()).view_as(y)
    through = torch.autograd.grad(layer.iterate(prepared, y)[0], parameters, w, allow_unused=True)
    return flat(direct[1:], parameters) + flat(through, parameters)


def truncated_gradient(layer: ImplicitLayer, u: Tensor, weights: Tensor, y: Tensor, num_backward: int) -> Tensor:
    """Gradient through `num_backward` steps from the fixed point y; 1 is the paper's."""
    parameters = list(layer.parameters())
    prepared, state = layer.prepare(u), y.detach()
    for _ in range(num_backward):
        state = layer.iterate(prepared, state)[0]
    return flat(torch.autograd.grad(loss_of(layer, u, weights, state), parameters, allow_unused=True), parameters)


def direct_gradient(layer: ImplicitLayer, u: Tensor, weights: Tensor, y: Tensor) -> Tensor:
    """What the read-out's parameters get at the state y held fixed: the same part of both gradients."""
    parameters = list(layer.parameters())
    return flat(torch.autograd.grad(loss_of(layer, u, weights, y.detach()), parameters, allow_unused=True), parameters)


def cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of the angle between two vectors."""
    return float(a @ b / (a.norm() * b.norm()))

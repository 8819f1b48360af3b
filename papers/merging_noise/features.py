"""Features of a network and how alike those of two networks are."""

import torch
from torch import Tensor, nn


def linear_cka(x: Tensor, y: Tensor) -> float:
    """|Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F) of centred columns, in float64.

    Args:
        x, y: features (N, P), (N, Q) of the same N inputs.
    Source: Kornblith et al. 2019 (arXiv 1905.00414), eq. of linear CKA.
    """
    if len(x) != len(y):
        raise ValueError(f"both sets of features need the same inputs; got {len(x)} and {len(y)} rows")
    x, y = ((z.double() - z.double().mean(0)) for z in (x, y))
    return float((y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


@torch.no_grad()
def penultimate(model: nn.Module, images: Tensor) -> Tensor:
    """What the last linear map of the model takes in, (N, P)."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        model(images)
    finally:
        handle.remove()
    return seen[0]

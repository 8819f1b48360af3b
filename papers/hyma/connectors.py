"""Connectors: small ReLU networks from one embedding space into another, their parameters given from outside.

Parameters of P connectors are stacked and padded: weight (P, O, I), bias (P, O) for each layer, zero outside a
connector's own shape. Zeros stay zero: padded inputs are zero, and so are the gradients of padded outputs. So a stack
trains as its members would alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from papers.hyma.shapes import Shape
from shared.base.seeding import torch_generator

Layers = list[tuple[Tensor, Tensor]]


def apply_connectors(layers: Layers, x: Tensor) -> Tensor:
    """x (P, B, I) -> (P, B, O); ReLU between the layers.

    Raises:
        ValueError: the number of connectors or the width does not fit.
    """
    for index, (weight, bias) in enumerate(layers):
        if weight.shape[0] != x.shape[0] or weight.shape[2] != x.shape[2]:
            raise ValueError(
                f"layer {index} has weights {tuple(weight.shape)}, which take {weight.shape[0]} inputs of width"
                f" {weight.shape[2]}; got {tuple(x.shape)}"
            )
        x = torch.baddbmm(bias[:, None], F.relu(x) if index else x, weight.mT)
    return x


def initial_connectors(shapes: Sequence[Sequence[Shape]], seeds: Sequence[int], *purpose: str) -> Layers:
    """Torch's own initial values of Linear for each connector, padded; connector k draws from (seeds[k], purpose).

    Args:
        shapes: per connector, per layer.
    Raises:
        ValueError: no connectors.
    """
    if not shapes:
        raise ValueError("there is no pair to make a connector for; give at least one image and one text encoder")
    layers = []
    for index in range(len(shapes[0])):
        sizes = [layer[index] for layer in shapes]
        rows, columns = (max(s[k] for s in sizes) for k in (0, 1))
        weight, bias = torch.zeros(len(sizes), rows, columns), torch.zeros(len(sizes), rows)
        for k, (out, into) in enumerate(sizes):
            generator, bound = torch_generator(seeds[k], *purpose, "layer", index), into**-0.5
            weight[k, :out, :into] = torch.rand(out, into, generator=generator) * 2 * bound - bound
            bias[k, :out] = torch.rand(out, generator=generator) * 2 * bound - bound
        layers.append((weight, bias))
    return layers


def chosen(layers: Layers, rows: Sequence[int] | Tensor) -> Layers:
    """Some of the connectors of a stack."""
    return [(weight[rows], bias[rows]) for weight, bias in layers]

"""Alignment by what units do: Pearson correlations of activations on the same inputs, and the assignment they favour.

Source: Ainsworth et al. 2023 (arXiv 2209.04836, section 3.1), Verma and Elbayad 2024 (arXiv 2403.00986); the recipe for
heads (by the correlation of their attention weights) is our own, as theirs is not public.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from shared.weightspace.assignment import best_permutation


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation of every unit of A with every unit of B; (S, N) and (S, M) over S samples -> (N, M).

    A unit that never varies has correlation 0 with all.
    """
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"activations of the same samples are compared; got {a.shape[0]} and {b.shape[0]} of them")
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    norms = a.norm(dim=0)[:, None] * b.norm(dim=0)
    return torch.where(norms > 1e-12, a.T @ b / norms.clamp(min=1e-12), torch.zeros(()).double())


def match_activations(a: Mapping[str, Tensor], b: Mapping[str, Tensor], sites: Mapping[str, Sequence[str]]) -> dict:
    """Permutations of B by activations.

    Args:
        a, b: site -> activations of both networks on the same inputs, units last.
        sites: space -> sites whose correlations are added up.
    Returns:
        Space -> index (N,).
    """
    found = {}
    for space, names in sites.items():
        found[space] = best_permutation(
            sum(correlations(a[name].flatten(0, -2), b[name].flatten(0, -2)) for name in names)
        )
    return found

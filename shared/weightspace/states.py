"""Models as named tensors: what may be averaged, and whether two models have the same parameters at all.

A state is what `model.state_dict()` or an ensemble's result gives: name -> tensor.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def check_same_parameters(first: State, *others: State) -> None:
    """Refuse states that are not of one architecture.

    Raises:
        ValueError: names the first parameter, in the order of `first`, that the others lack or have in another shape.
    """
    for other in others:
        for name, tensor in first.items():
            if name not in other:
                raise ValueError(f"the models differ in architecture: one has '{name}', the other does not")
            if other[name].shape != tensor.shape:
                shapes = f"{tuple(tensor.shape)} and {tuple(other[name].shape)}"
                raise ValueError(f"the models differ in architecture: '{name}' has shapes {shapes}")
        for name in other:
            if name not in first:
                raise ValueError(f"the models differ in architecture: one has '{name}', the other does not")


def check_finite(*states: State) -> None:
    """Refuse a model that diverged: an average with it is no model. Raises: ValueError, naming the parameter."""
    for state in states:
        for name, tensor in state.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"'{name}' is not finite; leave models that diverged out of a merge")


def combined(states: Sequence[State], combine: Callable[..., Tensor]) -> dict[str, Tensor]:
    """`combine(tensors of all states)` for each floating-point tensor, computed in float32 or wider, in its own dtype.

    Integer buffers, such as BatchNorm's counters, cannot be averaged and are those of the first state.

    Raises:
        ValueError: other parameters, or values that are not finite.
    """
    check_same_parameters(*states)
    check_finite(*states)
    found = {}
    for name, tensor in states[0].items():
        if not tensor.is_floating_point():
            found[name] = tensor.clone()
            continue
        wide = torch.promote_types(tensor.dtype, torch.float32)  # bf16 weights are added up in float32
        found[name] = combine(*(state[name].to(wide) for state in states)).to(tensor.dtype)
    return found


def flat_vector(state: State) -> Tensor:
    """All floating-point tensors as one vector (P,), in the order of the state."""
    return torch.cat([tensor.reshape(-1) for tensor in state.values() if tensor.is_floating_point()])


def distance(first: State, second: State) -> float:
    """Euclidean distance of two models."""
    check_same_parameters(first, second)
    parts = [(first[k] - second[k]).double().square().sum() for k in first if first[k].is_floating_point()]
    return math.sqrt(float(sum(parts)))

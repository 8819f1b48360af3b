"""Averages of models and arithmetic with what training added to a base.

Source: Wortsman et al. 2022 (arXiv 2203.05482), soups; Ilharco et al. 2023 (arXiv 2212.04089), task arithmetic;
Yadav et al. 2023 (arXiv 2306.01708), TIES; Yu et al. 2024 (arXiv 2311.03099), DARE; Matena and Raffel 2022 (arXiv
2111.09832), Fisher merging.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from shared.weightspace.states import State, combined


def average(states: Sequence[State], weights: Sequence[float] | None = None) -> dict[str, Tensor]:
    """Weighted mean of models (a uniform soup if `weights` is None), summed in float32 or wider.

    Raises:
        ValueError: no model, other weights than models or not summing to 1, models that do not fit or are not finite.
    """
    if not states:
        raise ValueError("an average needs at least one model; got none")
    shares = [1 / len(states)] * len(states) if weights is None else list(weights)
    if len(shares) != len(states) or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"an average needs one weight per model, with sum 1; got {shares} for {len(states)} models")
    return combined(states, lambda *tensors: sum(share * tensor for share, tensor in zip(shares, tensors, strict=True)))


def greedy_soup(states: Sequence[State], score: Callable[[State], float]) -> tuple[dict[str, Tensor], list[int]]:
    """Add models to the average, best first, as long as its score does not fall.

    Args:
        score: higher is better, on data that the final evaluation does not use.
    Returns:
        The average and the indices of its members, in the order of joining.
    """
    if not states:
        raise ValueError("a soup needs at least one model; got none")
    scores = [score(state) for state in states]
    order = sorted(range(len(states)), key=lambda i: -scores[i])
    kept, best = order[:1], scores[order[0]]
    for index in order[1:]:
        tried = score(average([states[i] for i in [*kept, index]]))
        if tried >= best:
            kept, best = [*kept, index], tried
    return average([states[i] for i in kept]), kept


def task_vector(state: State, base: State) -> dict[str, Tensor]:
    """What training added: state - base, in float32 or wider; integer buffers are left out."""
    floats = [{k: v for k, v in own.items() if v.is_floating_point()} for own in (state, base)]
    wide = [{k: v.to(torch.promote_types(v.dtype, torch.float32)) for k, v in own.items()} for own in floats]
    return combined(wide, lambda a, b: a - b)


def add(base: State, vector: State, scale: float) -> dict[str, Tensor]:
    """base + scale * vector, in the dtypes of the base."""
    floats = {k: v for k, v in base.items() if v.is_floating_point()}
    return dict(base) | combined([floats, vector], lambda b, tau: b + scale * tau)


def total(vectors: Sequence[State]) -> dict[str, Tensor]:
    """Sum of task vectors."""
    return combined(vectors, lambda *taus: sum(taus))


def task_arithmetic(base: State, states: Sequence[State], scale: float) -> dict[str, Tensor]:
    """base + scale * sum of task vectors; with two models scale 0.5 is their average."""
    return add(base, total([task_vector(state, base) for state in states]), scale)


def ties_vector(vectors: Sequence[State], keep: float) -> dict[str, Tensor]:
    """Trim, elect signs, and take the mean of those entries that agree with the elected sign.

    Args:
        vectors: task vectors of one architecture.
        keep: share in (0, 1] of each vector's entries, the largest ones over all parameters, that is kept; at least
            one entry. Among equal magnitudes the first ones stay.
    Returns:
        The merged task vector; 0 where the kept entries sum to 0.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep is a share in (0, 1]; got {keep:g}")
    if not vectors:
        raise ValueError("TIES needs at least one task vector; got none")
    trimmed = [_trimmed(vector, keep) for vector in vectors]
    return combined(trimmed, _elected_mean)


def ties(base: State, states: Sequence[State], *, keep: float = 0.2, scale: float = 1.0) -> dict[str, Tensor]:
    """base + scale * the TIES vector of the models' task vectors."""
    return add(base, ties_vector([task_vector(state, base) for state in states], keep), scale)


def dare_vector(vector: State, drop: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Drop each entry of a task vector with probability `drop` and divide the others by 1 - drop: the mean stays.

    Args:
        drop: in [0, 1). generator: of the draws, on the vector's device.
    """
    if not 0 <= drop < 1:
        raise ValueError(f"drop is a probability in [0, 1); got {drop:g}")

    def dropped(tau: Tensor) -> Tensor:
        kept = torch.rand(tau.shape, generator=generator, device=tau.device) >= drop
        return tau * kept / (1 - drop)

    return combined([vector], dropped)


def fisher_average(states: Sequence[State], fishers: Sequence[State], floor: float = 1e-6) -> dict[str, Tensor]:
    """sum_i (F_i + floor) theta_i / sum_i (F_i + floor), entry by entry.

    Args:
        states: models. fishers: diagonals of their Fisher information, not negative; what they lack (running
            statistics) is averaged plainly.
        floor: what an entry counts on which a model's outputs do not depend; a large one gives the plain average.
    Raises:
        ValueError: another number of diagonals than of models, or a floor that is not positive.
    """
    if len(fishers) != len(states) or not floor > 0:
        raise ValueError(
            f"Fisher merging needs a diagonal per model and a positive floor; got {len(fishers)} diagonals for"
            f" {len(states)} models and the floor {floor:g}"
        )
    merged, known = average(states), list(fishers[0])

    def weighted(*both: Tensor) -> Tensor:
        thetas, weights = both[: len(states)], [fisher + floor for fisher in both[len(states) :]]
        return sum(w * theta for w, theta in zip(weights, thetas, strict=True)) / sum(weights)

    return merged | combined([*({name: s[name] for name in known} for s in states), *fishers], weighted)


def _trimmed(vector: State, keep: float) -> dict[str, Tensor]:
    flat = torch.cat([tensor.reshape(-1) for tensor in vector.values()])
    number = max(1, round(keep * len(flat)))
    kept = torch.zeros_like(flat)
    largest = torch.argsort(flat.abs(), descending=True, stable=True)[:number]
    kept[largest] = flat[largest]
    parts = kept.split([tensor.numel() for tensor in vector.values()])
    return {name: part.view(tensor.shape) for (name, tensor), part in zip(vector.items(), parts, strict=True)}


def _elected_mean(*taus: Tensor) -> Tensor:
    stacked = torch.stack(taus)
    sign = stacked.sum(0).sign()
    agrees = (stacked.sign() == sign) & (sign != 0)
    return (stacked * agrees).sum(0) / agrees.sum(0).clamp(min=1)

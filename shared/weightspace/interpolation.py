"""Straight paths between models and the barriers on them.

Shapes: K points of a path, ... any leading axes (pairs, seeds).

    theta(alpha) = (1 - alpha) theta_A + alpha theta_B

Source: Frankle et al. 2020 (arXiv 1912.05671), linear mode connectivity; the barrier is that of Entezari et al. 2022
(arXiv 2110.06296): the largest excess over the straight line between the values at the two ends.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from shared.train.ensemble.stacked import StackedModel, balanced
from shared.train.task import Task, num_rows
from shared.weightspace.states import State, check_same_parameters, combined


def lerp(first: State, second: State, alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) first + alpha second; the ends are the models themselves, bit by bit. alpha may leave [0, 1].

    Raises:
        ValueError: models of different architecture (the first differing parameter is named) or not finite.
    """
    if alpha in (0, 1):
        check_same_parameters(first, second)
        return {name: tensor.clone() for name, tensor in (second if alpha else first).items()}
    return combined([first, second], lambda a, b: (1 - alpha) * a + alpha * b)


def grid(num_points: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Evenly spaced alphas (K,) in which 0 and 1 are exact.

    Raises:
        ValueError: a grid that misses 0 or 1, without which no barrier can be read off it.
    """
    alphas = np.linspace(low, high, num_points)
    for end in (0.0, 1.0):
        alphas[np.isclose(alphas, end, atol=1e-9)] = end
    check_alphas(alphas)
    return alphas


def check_alphas(alphas: Sequence[float]) -> None:
    """Refuse a grid without both ends or out of order."""
    values = np.asarray(alphas, dtype=float)
    missing = [f"{end:g}" for end in (0.0, 1.0) if end not in values]
    if missing:
        raise ValueError(f"a path needs both of its ends; the grid of alphas lacks {' and '.join(missing)}")
    if (np.diff(values) <= 0).any():
        raise ValueError("alphas have to rise; sort the grid and drop repeated values")


def path(first: State, second: State, alphas: Sequence[float]) -> list[dict[str, Tensor]]:
    """The models at `alphas`."""
    return [lerp(first, second, float(alpha)) for alpha in alphas]


def barrier(alphas: Sequence[float], values: np.ndarray, *, higher_is_better: bool = False) -> np.ndarray:
    """Largest excess of a path over the line between its ends, for alpha in [0, 1]; 0 at least, as it is 0 at the ends.

    Args:
        alphas: (K,), rising, with 0 and 1.
        values: (..., K), losses; with `higher_is_better` accuracies, whose barrier is the largest shortfall.
    Returns:
        (...) in the unit of the values; nan or inf where a value on the path is.
    Raises:
        ValueError: alphas without both ends, or another number of values.
    """
    check_alphas(alphas)
    alphas, values = np.asarray(alphas, dtype=float), np.asarray(values, dtype=float)
    if values.shape[-1] != len(alphas):
        raise ValueError(f"there are {len(alphas)} alphas and {values.shape[-1]} values along the last axis")
    inside = (alphas >= 0) & (alphas <= 1)
    alphas, values = alphas[inside], values[..., inside]
    straight = (1 - alphas) * values[..., :1] + alphas * values[..., -1:]
    excess = straight - values if higher_is_better else values - straight
    return excess.max(axis=-1)


@torch.no_grad()
def evaluate_states(
    task: Task, states: Sequence[State], template: nn.Module, *, device: str = "cpu", stack: int = 64
) -> list[dict[str, float]]:
    """Metrics of many models of one architecture: means over the task's held-out rows, a stack of models at a time.

    Args:
        task: its `evaluation` and `metrics`.
        states: parameters, and running statistics where a model has them.
        template: a model of the architecture; what it does not learn (frozen parameters, tables) is taken from it.
        stack: models computed together; bounds memory.
    """
    found: list[dict[str, float]] = []
    for rows in balanced(len(states), stack) if states else []:
        part = states[rows.start : rows.stop]
        model, totals, count = StackedModel(template, part, device=torch.device(device)), {}, 0
        for batch in task.evaluation():
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            for name, values in model.metrics(task.metrics, batch, model.stacks[0]).items():
                totals[name] = totals.get(name, 0.0) + values.double() * num_rows(batch)
            count += num_rows(batch)
        columns = {name: (total / count).tolist() for name, total in totals.items()}
        found += [{name: column[k] for name, column in columns.items()} for k in range(len(part))]
    return found

"""Shapes of connectors. No torch here: tables use them, too."""

import itertools
from collections.abc import Sequence

Shape = tuple[int, int]  # outputs, inputs


def connector_shapes(depth: int, num_in: int, num_out: int, hidden: int) -> list[Shape]:
    """(outputs, inputs) of each layer of a connector with `depth` hidden layers.

    Raises:
        ValueError: a depth other than 0, 1, 2.
    """
    if depth not in (0, 1, 2):
        raise ValueError(f"connectors have 0, 1 or 2 hidden layers; got {depth}")
    widths = [num_in, *[hidden] * depth, num_out]
    return [(out, into) for into, out in itertools.pairwise(widths)]


def largest_shapes(shapes: Sequence[Sequence[Shape]]) -> list[Shape]:
    """Per layer the largest outputs and inputs over the pairs."""
    return [tuple(max(pair[layer][k] for pair in shapes) for k in (0, 1)) for layer in range(len(shapes[0]))]

"""The authors' released connectors: a state dict of Linear layers between ReLUs -> our stack of one.

Their own helper builds the first layer twice, so that its modules do not fit their files; here the shapes in the file
decide. Files: hyma4vlms-ours-mlp1 and hyma4vlms-gs-mlp1 on the hub.
"""

import re

from torch import Tensor

from papers.hyma.connectors import Layers
from papers.hyma.shapes import connector_shapes

KEYS = {0: (0,), 1: (0, 2), 2: (0, 2, 4)}  # places of the linear layers among the ReLUs


def released_connector(state: dict[str, Tensor], depth: int) -> Layers:
    """Weights (1, O, I) and biases (1, O) of a connector with `depth` hidden layers.

    Args:
        state: names end in <place>.weight and <place>.bias; a single layer may do without its place.
    Raises:
        ValueError: another depth than the file has, a missing bias, or layers that do not fit each other.
    """
    if depth not in KEYS:
        connector_shapes(depth, 1, 1, 1)  # says which depths there are
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        match = re.fullmatch(r"(?:.*?(\d+)\.)?(weight|bias)", name.removeprefix("module."))
        if match is None:
            raise ValueError(f"'{name}' is no weight or bias of a connector")
        found.setdefault(int(match[1] or 0), {})[match[2]] = value
    if tuple(sorted(found)) != KEYS[depth]:
        raise ValueError(
            f"a connector with {depth} hidden layers has layers {KEYS[depth]}; found {tuple(sorted(found))}"
        )
    layers = []
    for place in KEYS[depth]:
        if set(found[place]) != {"weight", "bias"}:
            raise ValueError(f"layer {place} has {sorted(found[place])}; a weight and a bias are needed")
        weight, bias = found[place]["weight"], found[place]["bias"]
        if weight.shape[0] != len(bias) or (layers and weight.shape[1] != layers[-1][0].shape[1]):
            raise ValueError(f"layer {place} is {tuple(weight.shape)}, which does not fit the layer before or its bias")
        layers.append((weight[None], bias[None]))
    return layers


def manifest(layers: Layers, image: str, text: str) -> dict[str, int]:
    """Widths that a zoo's encoders need for this connector; see `Embeddings.check_manifest`."""
    return {text: layers[0][0].shape[2], image: layers[-1][0].shape[1]}

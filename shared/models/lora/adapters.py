"""Named adapters of a whole model: add, use, route, merge, weaken.

    add_adapter(model, "performer", LoraConfig(rank=8, alpha=16), generator)
    performer = Adapted(model, "performer")
    logits = performer(tokens)                       # the base's weights with the adapter; the base alone: None
    logits = Adapted(model, ("performer", "observer"))(tokens)   # first half of the rows, second half

`Adapted` names its adapter at every call, so that one which is recomputed later (gradient checkpointing) uses its own
and not the one that was last switched on.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from shared.base.errors import nearest_or_all
from shared.models.lora.config import LoraConfig
from shared.models.lora.layer import LoraLinear, Route


def add_adapter(model: nn.Module, name: str, config: LoraConfig, generator: torch.Generator | None = None) -> None:
    """Give every target of `model` an adapter called `name`; the model's own parameters are frozen.

    Raises:
        ValueError: the name is taken or holds a dot, no linear map is a target, or the rank is too large for one.
    """
    if "." in name or not name:
        raise ValueError(f"an adapter's name must be a word without dots; got '{name}'")
    if name in adapter_names(model):
        raise ValueError(f"the model has an adapter '{name}' already")
    model.requires_grad_(False)
    targets = [path for path, module in model.named_modules() if _is_target(path, module, config)]
    if not targets:
        linear = sorted({path.rsplit(".", 1)[-1] for path, m in model.named_modules() if isinstance(m, nn.Linear)})
        raise ValueError(f"no linear map of the model ends in {', '.join(config.targets)}; there are {linear}")
    for path in targets:
        module = model.get_submodule(path)
        if isinstance(module, nn.Linear):
            parent, _, last = path.rpartition(".")
            module = LoraLinear(module)
            setattr(model.get_submodule(parent), last, module)
        module.add(name, config.rank, config.scale, generator)
    for parameter in _parameters(model):
        parameter.requires_grad_(True)


def _is_target(path: str, module: nn.Module, config: LoraConfig) -> bool:
    return path.rsplit(".", 1)[-1] in config.targets and isinstance(module, nn.Linear | LoraLinear)


def layers(model: nn.Module) -> dict[str, LoraLinear]:
    """Path -> the maps that have adapters."""
    return {path: module for path, module in model.named_modules() if isinstance(module, LoraLinear)}


def adapter_names(model: nn.Module) -> list[str]:
    """Names of all adapters, in the order in which they were added."""
    return list(dict.fromkeys(name for layer in layers(model).values() for name in layer.lora_a))


def adapter_parameters(model: nn.Module, name: str) -> list[nn.Parameter]:
    """A and B of every layer of one adapter."""
    _check(model, [name])
    found = [(layer.lora_a[name], layer.lora_b[name]) for layer in layers(model).values() if name in layer.lora_a]
    return [parameter for pair in found for parameter in pair]


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    return [p for layer in layers(model).values() for table in (layer.lora_a, layer.lora_b) for p in table.values()]


def _check(model: nn.Module, names: Sequence[str | None]) -> None:
    known = adapter_names(model)
    for name in names:
        if name is not None and name not in known:
            raise ValueError(f"the model has no adapter '{name}'; {nearest_or_all(name, known)}")


@contextlib.contextmanager
def using(model: nn.Module, route: str | Sequence[str | None] | None) -> Iterator[nn.Module]:
    """The model under an adapter, the base alone (None), or one of them for each equal group of rows.

    Raises:
        ValueError: unknown name.
    """
    chosen: Route = (route,) if route is None or isinstance(route, str) else tuple(route)
    _check(model, chosen)
    found = list(layers(model).values())
    before = [layer.route for layer in found]
    for layer in found:
        layer.use(chosen)
    try:
        yield model
    finally:
        for layer, old in zip(found, before, strict=True):
            layer.use(old)


class Adapted:
    """A model under an adapter, as something to call and to decode with; see the module.

    Args:
        model: shared, never copied.
        route: as in `using`.
    """

    def __init__(self, model: nn.Module, route: str | Sequence[str | None] | None) -> None:
        _check(model, [route] if route is None or isinstance(route, str) else list(route))
        self.model, self.route = model, route

    def __call__(self, tokens: Tensor) -> Tensor:
        with using(self.model, self.route):
            return self.model(tokens)

    def initial_cache(self, batch_size: int, device=None, dtype=None):
        return self.model.initial_cache(batch_size, device, dtype)

    def prefill(self, tokens: Tensor, cache):
        with using(self.model, self.route):
            return self.model.prefill(tokens, cache)

    def step(self, token: Tensor, cache):
        with using(self.model, self.route):
            return self.model.step(token, cache)


def set_strength(model: nn.Module, name: str, strength: float) -> None:
    """Scale what an adapter adds: 0 is the base, 1 the adapter as trained."""
    _check(model, [name])
    for layer in layers(model).values():
        if name in layer.strengths:
            layer.strengths[name] = strength


@contextlib.contextmanager
def merged(model: nn.Module, name: str) -> Iterator[nn.Module]:
    """The model with one adapter written into its weights; afterwards the weights are what they were, to the bit."""
    _check(model, [name])
    found = [layer for layer in layers(model).values() if name in layer.lora_a]
    done = []
    try:
        for layer in found:
            layer.merge(name)
            done.append(layer)
        yield model
    finally:
        for layer in done:
            layer.unmerge()
